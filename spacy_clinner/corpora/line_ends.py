"""Offsets that were counted in another way: with other line ends than the text has ("\\r\\n" as one
or as two), or in units of UTF-16, as JavaScript and Java count."""

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
    return _moved(_places(text), text, fragments, surface)


def from_utf16(
    text: str, fragments: Sequence[Fragment], surface: str
) -> tuple[Fragment, ...] | None:
    """Count offsets anew, as if they counted units of UTF-16; as `recount`."""
    return _moved(code_points(text)[:-1], text, fragments, surface)


def code_points(text: str) -> list[int]:
    """By offset in units of UTF-16, up to the end, the offset in characters."""
    units = (at for at, character in enumerate(text) for _ in range(1 + (character > "\uffff")))
    return [*units, len(text)]


def _moved(
    places: Sequence[int], text: str, fragments: Sequence[Fragment], surface: str
) -> tuple[Fragment, ...] | None:
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
