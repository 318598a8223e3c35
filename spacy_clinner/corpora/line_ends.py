"""Offsets that were counted with other line ends than the text has ("\\r\\n" as one or as two)."""

from collections.abc import Sequence

from spacy_clinner.corpora.checks import SURFACE_DIFFERS, surface_fault
from spacy_clinner.corpora.note import Fragment


def recount(text: str, fragments: Sequence[Fragment], surface: str) -> tuple[Fragment, ...] | None:
    """Count offsets anew, as if the text they were made for had other line ends.

    text (str): The text of the note.
    fragments (Sequence[tuple[int, int]]): Character offsets that do not cover `surface`.
    surface (str): What the file says that they cover.
    RETURNS (tuple[tuple[int, int], ...] | None): Offsets that do; None where line ends are not
        the reason.
    """
    places = _places(text)
    if not all(0 <= start < end <= len(places) for start, end in fragments):
        return None
    moved = tuple((places[start], places[end - 1] + 1) for start, end in fragments)
    fits = all(start < end for start, end in moved)
    return moved if fits and surface_fault(surface, text, moved) != SURFACE_DIFFERS else None


def _places(text: str) -> list[int]:
    """Where each character of the text with the other line ends stands in this text."""
    if "\r\n" in text:
        kept = text.replace("\r\n", "\0\n")
        return [at for at, character in enumerate(kept) if character != "\0" or text[at] == "\0"]
    return [at for at, character in enumerate(text) for _ in range(1 + (character == "\n"))]
