from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from spacy_clinner.corpora.bioc import read_bioc
from spacy_clinner.corpora.brat import read_brat, write_brat
from spacy_clinner.corpora.conll import read_conll
from spacy_clinner.corpora.inception import read_inception
from spacy_clinner.corpora.jsonl import read_jsonl, write_jsonl
from spacy_clinner.corpora.markup import read_markup, write_markup
from spacy_clinner.corpora.note import Note
from spacy_clinner.corpora.pubtator import read_pubtator
from spacy_clinner.corpora.webanno import read_webanno
from spacy_clinner.errors import ClinnerError
from spacy_clinner.progress import Progress, quiet

READERS: dict[str, Callable[[Path], Iterator[Note]]] = {
    "bioc": read_bioc,
    "brat": read_brat,
    "conll": read_conll,
    "inception": read_inception,
    "jsonl": read_jsonl,
    "markup": read_markup,
    "pubtator": read_pubtator,
    "webanno": read_webanno,
}
WRITERS: dict[str, Callable[[Iterable[Note], Path], None]] = {
    "brat": write_brat,
    "jsonl": write_jsonl,
    "markup": write_markup,
}


def read(path: Path, format: str, annotator: str | None = None) -> Iterator[Note]:
    """Read a corpus.

    path (Path): The file, or for brat, inception and webanno the folder, for brat also a zip.
    format (str): A key of `READERS`.
    annotator (str | None): Whose annotations count, where a file holds those of several; see
        `read_jsonl`.
    RETURNS (Iterator[Note]): The notes.
    RAISES (ClinnerError): The format is unknown; while iterating, whatever its reader raises.
    """
    if annotator is not None:
        if format != "jsonl":
            raise ClinnerError(f"{path}: only jsonl holds several annotators, not {format}.")
        return read_jsonl(path, annotator)
    if format not in READERS:
        raise ClinnerError(f"{path}: unknown format {format!r}. Known: {', '.join(READERS)}.")
    return READERS[format](path)


def reformat(
    source: Path, target: Path, source_format: str, target_format: str, progress: Progress = quiet
) -> list[Note]:
    """Convert a corpus from any format to one that keeps everything.

    source (Path): The corpus, as `read` takes it.
    target (Path): What is written: a folder for brat and markup, a file for jsonl.
    source_format (str): A key of `READERS`.
    target_format (str): A key of `WRITERS`.
    progress (Progress): Shows how far it is.
    RETURNS (list[Note]): The notes, with the problems that their reader saw.
    RAISES (ClinnerError): A format is unknown, or a file cannot be read.
    """
    if target_format not in WRITERS:
        known = ", ".join(WRITERS)
        raise ClinnerError(f"{target}: cannot write the format {target_format!r}. Known: {known}.")
    notes = list(progress(read(source, source_format), "Reading"))
    WRITERS[target_format](notes, target)
    return notes
