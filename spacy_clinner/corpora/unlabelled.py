"""Texts without annotation, for adapting an encoder and for a model's own labels."""

import csv
import gzip
import lzma
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.vocab import Vocab

from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.corpora.jsonl import read_jsonl
from spacy_clinner.corpora.lines import decode
from spacy_clinner.errors import ClinnerError

# Two texts that share more than this part of their word 8-grams are copies of one another.
COPY = 0.1
SHINGLE = 8
COLUMNS = ("transcription", "note", "text")
LONGEST_FIELD = 100_000_000


def read_texts(paths: Sequence[Path], exclude: Sequence[Path] = ()) -> list[str]:
    """Read texts, each once, without those of some documents.

    paths (Sequence[Path]): .spacy files, .csv or .csv.xz files with a column `transcription`,
        `note` or `text`, .txt.gz files with a text on each line, .jsonl files of clinner's own
        notes, or folders with .txt and .txt.gz files, at any depth.
    exclude (Sequence[Path]): The same. A text that is one of these, or shares a tenth of its word
        8-grams with them, is left out, so that near copies of test documents are, too.
    RETURNS (list[str]): The texts, in their order.
    RAISES (ClinnerError): A file cannot be read.
    """
    known = Known.of(exclude)
    texts = dict.fromkeys(text for path in paths for text in _texts(path) if text.strip())
    return [text for text in texts if text not in known]


@dataclass(frozen=True)
class Known:
    """Texts that are to be left out, with near copies of them.

    texts (frozenset[int]): Hashes of the texts, of which the short ones have no n-grams.
    shingles (frozenset[int]): Hashes of their word 8-grams.
    """

    texts: frozenset[int]
    shingles: frozenset[int]

    @classmethod
    def of(cls, paths: Iterable[Path]) -> "Known":
        """paths (Iterable[Path]): Files or folders, as `read_texts` takes them."""
        texts, shingles = set(), set()
        for path in paths:
            for text in _texts(path):
                texts.add(hash(text.strip()))
                shingles |= _shingles(text)
        return cls(frozenset(texts), frozenset(shingles))

    def __contains__(self, text: str) -> bool:
        """Whether a text is one of them, or shares a tenth of its word 8-grams with them."""
        return hash(text.strip()) in self.texts or _share(_shingles(text), self.shingles) > COPY


def _texts(path: Path) -> Iterator[str]:
    try:
        if path.suffix == ".spacy":
            yield from (doc.text for doc in read_docs(path, Vocab()))
            return
        if path.suffix == ".jsonl":
            yield from (note.text for note in read_jsonl(path))
            return
        if path.is_dir():
            yield from (decode(file.read_bytes(), file) for file in sorted(path.rglob("*.txt")))
            for file in sorted(path.rglob("*.txt.gz")):
                yield from _texts(file)
            return
        if path.name.endswith(".txt.gz"):
            with gzip.open(path, "rb") as lines:
                yield from (line.rstrip("\n") for line in decode(lines.read(), path).split("\n"))
            return
        csv.field_size_limit(LONGEST_FIELD)
        opened: Any = lzma.open if path.suffix == ".xz" else open
        with opened(path, "rt", encoding="utf8", newline="") as file:
            rows = csv.DictReader(file)
            column = next((c for c in COLUMNS if c in (rows.fieldnames or ())), None)
            if column is None:
                raise KeyError(COLUMNS)
            yield from (row[column] or "" for row in rows)
    except ClinnerError:
        raise
    except (OSError, EOFError, ValueError, KeyError, csv.Error, lzma.LZMAError) as error:
        raise ClinnerError(
            f"{path}: neither a .spacy file, a folder, .txt.gz, nor CSV with a column "
            f"{', '.join(COLUMNS)} ({type(error).__name__})."
        ) from None


def _shingles(text: str) -> set[int]:
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    return {hash(tuple(words[at : at + SHINGLE])) for at in range(len(words) - SHINGLE + 1)}


def _share(shingles: set[int], known: frozenset[int]) -> float:
    return len(shingles & known) / len(shingles) if shingles else 0.0
