from collections.abc import Callable, Iterator
from pathlib import Path

from spacy_clinner.corpora.brat import read_brat
from spacy_clinner.corpora.conll import read_conll
from spacy_clinner.corpora.jsonl import read_jsonl
from spacy_clinner.corpora.markup import read_markup
from spacy_clinner.corpora.note import Note
from spacy_clinner.corpora.pubtator import read_pubtator
from spacy_clinner.errors import ClinnerError

READERS: dict[str, Callable[[Path], Iterator[Note]]] = {
    "brat": read_brat,
    "conll": read_conll,
    "jsonl": read_jsonl,
    "markup": read_markup,
    "pubtator": read_pubtator,
}


def read(path: Path, format: str) -> Iterator[Note]:
    """Read a corpus.

    path (Path): The file, or for brat the folder or zip.
    format (str): A key of `READERS`.
    RETURNS (Iterator[Note]): The notes.
    RAISES (ClinnerError): The format is unknown; while iterating, whatever its reader raises.
    """
    if format not in READERS:
        raise ClinnerError(f"{path}: unknown format {format!r}. Known: {', '.join(READERS)}.")
    return READERS[format](path)
