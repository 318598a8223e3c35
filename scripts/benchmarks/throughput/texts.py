"""The notes that the systems read."""

import random
import re
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from spacy_clinner.corpora.unlabelled import read_texts
from spacy_clinner.errors import ClinnerError

MTSAMPLES = Path("assets/mtsamples-raw/mtsamples.csv.xz")
SAMPLE = Path("corpus/sample")


def read_notes(path: Path | None) -> tuple[list[str], Path]:
    """Read the notes to run over.

    path (Path | None): What `read_texts` reads; None for MTSamples' raw notes, or where these are
        absent the sample corpus.
    RETURNS (tuple[list[str], Path]): Its notes, each once and none empty, and where they are from.
    RAISES (ClinnerError): There are none.
    """
    path = path or (MTSAMPLES if MTSAMPLES.is_file() else SAMPLE)
    if not path.exists():
        raise ClinnerError(f"{path}: missing. Name a folder with text files with --texts.")
    notes = read_texts([path])
    if not notes:
        raise ClinnerError(f"{path}: holds no note. Name a folder with text files with --texts.")
    return notes, path


def n_words(texts: Sequence[str]) -> int:
    """Words, as white space parts them."""
    return sum(len(text.split()) for text in texts)


def spread(notes: Sequence[str], count: int) -> list[str]:
    """That many notes, evenly from all; where there are fewer, all of them about equally often."""
    return [notes[(2 * at + 1) * len(notes) // (2 * count)] for at in range(count)]


def typical(notes: Sequence[str], count: int) -> list[str]:
    """That many notes whose lengths are distributed like those of all, in random order."""
    chosen = spread(sorted(notes, key=lambda note: len(note.split())), count)
    random.Random(0).shuffle(chosen)
    return chosen


def joined(notes: Sequence[str], count: int) -> str:
    """One note of exactly that many words, made of notes one after the other."""
    parts: list[str] = []
    words = 0
    for note in cycle(notes):
        parts.append(note)
        words += len(note.split())
        if words >= count:
            break
    text = "\n\n".join(parts)
    last = next(islice(re.finditer(r"\S+", text), count - 1, None))
    return text[: last.end()]
