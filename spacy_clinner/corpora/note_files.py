"""Files named after notes: a name for each, and its text as bytes that readers give back."""

import re
from collections.abc import Iterable, Iterator

from spacy_clinner.corpora.note import Note
from spacy_clinner.errors import ClinnerError

# Note ids that can be file names everywhere; a folder's name has no dot, lest a file have it too.
FILE_NAME = re.compile(r"(?:[0-9A-Za-z][\w-]*/)*[0-9A-Za-z](?:[\w .()-]*[\w)-])?", re.ASCII)
LONGEST_NAME = 120


def file_name(note_id: str, taken: set[str]) -> str:
    """A name for a note's files, also where "A" and "a" are one file.

    note_id (str): The note's id; where it cannot be a file name, the name resembles it.
    taken (set[str]): The names given so far, without case; the new one is added.
    RETURNS (str): The name, without an ending; with folders where the id has such.
    """
    name = note_id
    if len(name) > LONGEST_NAME or not FILE_NAME.fullmatch(name):
        name = re.sub(r"[^0-9A-Za-z]+", "_", name)[:60].strip("_") or "note"
    stem, n = name, 1
    while name.casefold() in taken:
        n += 1
        name = f"{stem}-{n}"
    taken.add(name.casefold())
    return name


def file_names(ids: Iterable[str]) -> Iterator[str]:
    """Names for the files of notes, all different.

    ids (Iterable[str]): The ids of the notes.
    YIELDS (str): As `file_name` gives them.
    """
    taken: set[str] = set()
    for note_id in ids:
        yield file_name(note_id, taken)


def encode(text: str, note: Note) -> bytes:
    """The content of a note's file.

    text (str): Its text, with or without marks.
    note (Note): The note, for the error.
    RETURNS (bytes): UTF-8.
    RAISES (ClinnerError): The text cannot be written as UTF-8.
    """
    try:
        # The reader takes one byte order mark away, so a text that begins with one needs another.
        return text.encode("utf-8-sig" if text.startswith("\ufeff") else "utf-8")
    except UnicodeEncodeError as error:
        raise ClinnerError(
            f"{note.id}: character {error.start} of the text is half of a surrogate pair and "
            f"cannot be written as UTF-8. Correct the source {note.source}."
        ) from None
