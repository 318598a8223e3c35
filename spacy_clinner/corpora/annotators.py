"""Several annotators of the same notes: whose annotations count."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from spacy_clinner.corpora.checks import NO_ANNOTATION, OTHER_ANNOTATOR
from spacy_clinner.corpora.note import Note, Problem
from spacy_clinner.corpora.votes import VOTE, vote

# Who annotated a note, where that is known, and the note as this annotator left it.
Annotated = tuple[str | None, Note]
# INCEpTION's own names: of a document that nobody opened yet, and of one that was curated.
INITIAL, CURATED = "INITIAL_CAS", "CURATION_USER"


def decide(found: Iterable[Annotated], annotator: str) -> Iterator[Note]:
    """One note of all that have the same text.

    found (Iterable[tuple[str | None, Note]]): The notes of all annotators.
    annotator (str): Whose count, as `is_of` knows them, or "vote" for what most of them have.
    YIELDS (Note): In the order of the first of each; one that the annotator did not annotate is
        marked as such, and has no spans, and a problem.
    """
    alike: dict[str, list[Annotated]] = {}
    for who, note in found:
        alike.setdefault(note.text, []).append((who, note))
    for notes in alike.values():
        yield _voted(notes) if annotator == VOTE else _chosen(notes, annotator)


def of_project(found: Sequence[tuple[Path, Note]]) -> Iterator[Annotated]:
    """Who annotated what, by the names of files in what INCEpTION exports of a project: for each
    document a folder, with a file for each annotator.

    found (Sequence[tuple[Path, Note]]): The notes, with their files.
    YIELDS (tuple[str | None, Note]): The name of the file without its ending, and the note; that of
        a document that nobody opened (`INITIAL_CAS`) only where there is no other, as one that
        nobody annotated.
    """
    opened = {file.parent for file, _ in found if file.stem != INITIAL}
    for file, note in found:
        if file.stem != INITIAL:
            yield file.stem, note
        elif file.parent not in opened:
            yield file.stem, unannotated(note)


def unannotated(note: Note) -> Note:
    """The note as one that nobody annotated, with a problem that says so."""
    nothing = Problem(note.source, NO_ANNOTATION)
    return replace(note, annotated=False, problems=(*note.problems, nothing))


def first(notes: Sequence[Annotated]) -> Note:
    """The first of the notes of several annotators, with a problem for each of the others.

    notes (Sequence[tuple[str | None, Note]]): At least one.
    RETURNS (Note): The note.
    """
    note = notes[0][1]
    others = [Problem(other.source, OTHER_ANNOTATOR) for _, other in notes[1:]]
    return replace(note, problems=(*note.problems, *others)) if others else note


def is_of(who: str | None, annotator: str) -> bool:
    """Whether a name is that of an annotator.

    who (str | None): The name that the export has; Prodigy writes "dataset-name".
    annotator (str): The name that the user gave.
    RETURNS (bool): Whether it is the same.
    """
    return who is not None and (who == annotator or who.endswith(f"-{annotator}"))


def _chosen(notes: Sequence[Annotated], annotator: str) -> Note:
    own = [pair for pair in notes if is_of(pair[0], annotator)]
    if own:
        return first([own[-1], *(pair for pair in notes if pair not in own)])
    (_, note), *_ = notes
    return first([(None, unannotated(Note(note.id, note.text, source=note.source))), *notes])


def _voted(notes: Sequence[Annotated]) -> Note:
    # Who annotated a note again meant the last; who curated decides for all, and votes with none.
    known = enumerate(notes)
    last = {at if who is None else who: note for at, (who, note) in known if note.annotated}
    voters = [note for who, note in last.items() if who != CURATED] or [*last.values()]
    return vote(voters) if voters else notes[0][1]
