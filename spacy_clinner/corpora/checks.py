"""What every reader checks, and the words in which `Problem`s say what was found.

A reason is a constant: the loss report counts by it. File, line and span stand beside it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from spacy_clinner.corpora.lines import read_lines
from spacy_clinner.corpora.note import (
    Attribute,
    Comment,
    Equivalence,
    Event,
    Fragment,
    Normalization,
    Note,
    NoteSpan,
    Problem,
    Relation,
)
from spacy_clinner.errors import ClinnerError

Annotation = NoteSpan | Relation | Attribute | Event | Equivalence | Normalization | Comment

CANCELLED = "cancelled annotation, left out"
CHOICES_LEFT_OUT = "choices in Label Studio's JSON-MIN, left out: export as JSON"
COMMENTS_LEFT_OUT = "comments on the document, left out"
DUPLICATE_DOCUMENT = "duplicate document id"
DUPLICATE_ID = "duplicate annotation id, renamed"
FEATURE_LEFT_OUT = "a feature that is no text, number or choice, left out"
FRAGMENTS_OVERLAP = "fragments of the span overlap"
LINE_ENDS = "offsets were counted with other line ends, repaired"
LINE_ENDS_LOST = "offsets do not fit the text with its line ends, dropped"
JUNK_LINE = "not an annotation line, left out"
NO_ANNOTATION = "no annotation for the text"
OTHER_ANNOTATOR = "a further annotation of the same text, left out"
RELATION_LEFT_OUT = "a relation without its two spans, left out"
RESULT_LEFT_OUT = "a result that is no span, relation or property of a span, left out"
SURFACE_DIFFERS = "the text given for the span is not the text at its offsets"
UNRESOLVED = "refers to an id that is not in the document"
UTF16 = "offsets count characters beyond the basic plane as two, repaired"
WHITE_SPACE_DIFFERS = "the text given for the span differs from the text in white space"

# Everything that some reader takes for the end of a line, and the tab that separates columns.
BREAK = re.compile("[\t\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def check_fragments(fragments: Sequence[Fragment], text: str, where: str) -> None:
    """Stop at offsets that cannot be.

    fragments (Sequence[tuple[int, int]]): Character offsets of one span.
    text (str): The text of the note.
    where (str): "file:line", for the error.
    RAISES (ClinnerError): A start not before its end, or offsets outside the text.
    """
    for start, end in fragments:
        if start >= end:
            raise ClinnerError(
                f"{where}: a span starts at {start} and ends at {end}; the start must come first."
            )
        if start < 0 or end > len(text):
            raise ClinnerError(
                f"{where}: a span at {start}-{end} is outside the text of {len(text)} characters. "
                f"Correct the offsets, or use the text that they were made for."
            )


def surface_fault(surface: str, text: str, fragments: Sequence[Fragment]) -> str | None:
    """Whether the text that a file gives for a span is the text at its offsets.

    A line break in the text is a space in most files, and so is the gap between fragments.

    surface (str): What the file gives.
    text (str): The text of the note.
    fragments (Sequence[tuple[int, int]]): Character offsets.
    RETURNS (str | None): `SURFACE_DIFFERS`, `WHITE_SPACE_DIFFERS`, or None when it is.
    """
    covered = " ".join(text[start:end] for start, end in fragments)
    if surface == covered or BREAK.sub(" ", surface) == BREAK.sub(" ", covered):
        return None
    return WHITE_SPACE_DIFFERS if surface.split() == covered.split() else SURFACE_DIFFERS


def references(annotation: Annotation) -> tuple[str, ...]:
    """The ids that an annotation points to."""
    match annotation:
        case Relation():
            return annotation.head, annotation.tail
        case Event():
            return annotation.trigger, *(target for _, target in annotation.arguments)
        case Equivalence():
            return annotation.members
        case Attribute() | Normalization() | Comment():
            return (annotation.target,)
        case NoteSpan():
            return ()


def unresolved(annotations: Iterable[tuple[str, Annotation]]) -> Iterator[Problem]:
    """A problem for every annotation that points to what is not there.

    annotations (Iterable[tuple[str, Annotation]]): "file:line" and annotation, of one document.
        Codes count as ids: the relations of PubTator link concepts.
    YIELDS (Problem): `UNRESOLVED`.
    """
    annotations = list(annotations)
    known: set[str] = set()
    for _, annotation in annotations:
        if not isinstance(annotation, Equivalence):
            known.add(annotation.id)
        if isinstance(annotation, NoteSpan):
            known.update(annotation.codes)
    for where, annotation in annotations:
        if not known.issuperset(references(annotation)):
            yield Problem(where, UNRESOLVED)


def flag_duplicate_ids(notes: Iterable[Note]) -> Iterator[Note]:
    """The notes, with a problem on each whose id an earlier one has."""
    seen: set[str] = set()
    for note in notes:
        if note.id in seen:
            fault = Problem(note.source, DUPLICATE_DOCUMENT)
            note = replace(note, problems=(*note.problems, fault))
        seen.add(note.id)
        yield note


def only_listed(notes: Iterable[Note], ids: Path) -> Iterator[Note]:
    """The notes of a split.

    notes (Iterable[Note]): The notes of the whole corpus.
    ids (Path): A file with one note id (PMID) per line.
    YIELDS (Note): Those listed, in the order of the corpus.
    RAISES (ClinnerError): The corpus lacks one that is listed.
    """
    listed = {line.strip() for _, line in read_lines(ids)} - {""}
    missing = set(listed)
    for note in notes:
        if note.id in listed:
            missing.discard(note.id)
            yield note
    if missing:
        raise ClinnerError(
            f"{ids}: {len(missing)} of {len(listed)} ids are not in the corpus, {min(missing)} "
            f"for one. Check that the split file belongs to this corpus."
        )
