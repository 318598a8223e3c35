from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from spacy_clinner.corpora.annotators import Annotated, decide, full_name
from spacy_clinner.corpora.bioc import read_bioc
from spacy_clinner.corpora.brat import brat_by_annotator, read_brat, write_brat
from spacy_clinner.corpora.checks import flag_duplicate_ids
from spacy_clinner.corpora.conll import read_conll
from spacy_clinner.corpora.inception import inception_by_annotator, read_inception
from spacy_clinner.corpora.jsonl import jsonl_by_annotator, read_jsonl, write_jsonl
from spacy_clinner.corpora.markup import read_markup, write_markup
from spacy_clinner.corpora.note import Note, Problem
from spacy_clinner.corpora.pubtator import read_pubtator
from spacy_clinner.corpora.votes import VOTE
from spacy_clinner.corpora.webanno import read_webanno, webanno_by_annotator
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import check_file
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
BY_ANNOTATOR: dict[str, Callable[[Path], Iterator[Annotated]]] = {
    "brat": brat_by_annotator,
    "inception": inception_by_annotator,
    "jsonl": jsonl_by_annotator,
    "webanno": webanno_by_annotator,
}
WRITERS: dict[str, Callable[[Iterable[Note], Path], list[Problem] | None]] = {
    "brat": write_brat,
    "jsonl": write_jsonl,
    "markup": write_markup,
}


def read(path: Path, format: str, annotator: str | None = None) -> Iterator[Note]:
    """Read a corpus.

    path (Path): The file, or for brat, inception and webanno the folder, for brat also a zip.
    format (str): A key of `READERS`.
    annotator (str | None): Whose annotations count, of a format in `BY_ANNOTATOR`, which says how
        its files name annotators; "vote" for what most of them have; None where there is one.
    RETURNS (Iterator[Note]): The notes.
    RAISES (ClinnerError): The format is unknown, or does not tell annotators apart, or nobody of
        that name annotated anything; while iterating, whatever its reader raises.
    """
    if format not in READERS:
        raise ClinnerError(f"{path}: unknown format {format!r}. Known: {', '.join(READERS)}.")
    return READERS[format](path) if annotator is None else _of(path, format, annotator)


def _of(path: Path, format: str, annotator: str) -> Iterator[Note]:
    """The notes as one annotator, or most of them, left them."""
    if format not in BY_ANNOTATOR:
        known = ", ".join(BY_ANNOTATOR)
        raise ClinnerError(
            f"{path}: {format} does not tell annotators apart. Those that do: {known}."
        )
    found = list(BY_ANNOTATOR[format](path))
    names = {who for who, _ in found if who is not None}
    if annotator != VOTE and full_name(names, annotator) is None:
        raise ClinnerError(
            f"{path}: nothing by an annotator {annotator!r}; there is something by "
            f"{', '.join(sorted(names)) or 'nobody who is named'}."
        )
    return flag_duplicate_ids(decide(found, annotator))


def reformat(
    source: Path, target: Path, source_format: str, target_format: str, progress: Progress = quiet
) -> tuple[list[Note], list[Problem]]:
    """Convert a corpus from any format to one that keeps everything, or to marks in the text.

    source (Path): The corpus, as `read` takes it.
    target (Path): What is written: for brat and markup a folder that is empty or not there yet,
        for jsonl a file that is not there yet.
    source_format (str): A key of `READERS`.
    target_format (str): A key of `WRITERS`.
    progress (Progress): Shows how far it is.
    RETURNS (tuple[list[Note], list[Problem]]): The notes, with the problems that their reader saw,
        and what of them the target format has no place for.
    RAISES (ClinnerError): A format is unknown, a file cannot be read, or the target holds
        something.
    """
    if target_format not in WRITERS:
        known = ", ".join(WRITERS)
        raise ClinnerError(f"{target}: cannot write the format {target_format!r}. Known: {known}.")
    if target_format == "jsonl":
        check_file(target, [source], replaced=False)
    notes = list(progress(read(source, source_format), "Reading"))
    return notes, WRITERS[target_format](notes, target) or []
