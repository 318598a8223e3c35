"""Several annotators of the same notes: whose annotations count."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from spacy_clinner.corpora.checks import NO_ANNOTATION, OTHER_ANNOTATOR
from spacy_clinner.corpora.note import Note, Problem
from spacy_clinner.corpora.votes import VOTE, vote
from spacy_clinner.errors import ClinnerError

# Who annotated a note, where that is known, and the note as this annotator left it.
Annotated = tuple[str | None, Note]


class Session(str):
    """The name of a session of Prodigy: that of a data set, "-", and who annotated."""

    __slots__ = ()


# INCEpTION's own names: of a document that nobody opened yet, and of one that was curated.
INITIAL, CURATED = "INITIAL_CAS", "CURATION_USER"


def decide(found: Iterable[Annotated], annotator: str) -> Iterator[Note]:
    """One note of all that have the same id and text.

    found (Iterable[tuple[str | None, Note]]): The notes of all annotators.
    annotator (str): Whose count, as `full_name` knows them, or "vote" for what most of them have.
    YIELDS (Note): In the order of the first of each; one that the annotator did not annotate is
        marked as such, and has no spans, and a problem.
    """
    alike: dict[tuple[str, str], list[Annotated]] = {}
    for who, note in found:
        alike.setdefault((note.id, note.text), []).append((who, note))
    names = {who for notes in alike.values() for who, _ in notes if who is not None}
    name = None if annotator == VOTE else full_name(names, annotator)
    for notes in alike.values():
        yield _voted(notes) if annotator == VOTE else _chosen(notes, name)


def of_project(found: Sequence[tuple[Path, Note]]) -> Iterator[Annotated]:
    """Who annotated what, by the names of files in what INCEpTION exports of a project: for each
    document a folder, with a file for each annotator.

    found (Sequence[tuple[Path, Note]]): The notes, with their files.
    YIELDS (tuple[str | None, Note]): The name of the file without its ending, and the note, those
        that were curated first; that of a document that nobody opened (`INITIAL_CAS`) only where
        there is no other, as one that nobody annotated.
    """
    opened = {file.parent for file, _ in found if file.stem != INITIAL}
    for file, note in sorted(found, key=lambda pair: pair[0].stem != CURATED):
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


def full_name(names: Collection[str], annotator: str) -> str | None:
    """The name of an annotator as an export has it.

    names (Collection[str]): The names in the export.
    annotator (str): The name that the user gave; of a session of Prodigy its end is enough.
    RETURNS (str | None): The name in the export, None where there is none.
    RAISES (ClinnerError): Several end so.
    """
    if annotator in names:
        return annotator
    found = [n for n in names if isinstance(n, Session) and n.endswith(f"-{annotator}")]
    if len(found) > 1:
        raise ClinnerError(
            f"several annotators may be {annotator!r}: {', '.join(sorted(found))}. Give the whole "
            f"name."
        )
    return found[0] if found else None


def _chosen(notes: Sequence[Annotated], name: str | None) -> Note:
    own = [pair for pair in notes if name is not None and pair[0] == name]
    if own:
        return first([own[-1], *(pair for pair in notes if pair not in own)])
    (_, note), *_ = notes
    return first([(None, unannotated(Note(note.id, note.text, source=note.source))), *notes])


def _voted(notes: Sequence[Annotated]) -> Note:
    # Who annotated a note again meant the last; who curated it decided for all.
    known = enumerate(notes)
    last = {at if who is None else who: note for at, (who, note) in known if note.annotated}
    if CURATED in last:
        return last[CURATED]
    return vote([*last.values()]) if last else notes[0][1]
