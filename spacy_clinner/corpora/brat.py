import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from spacy_clinner.corpora.annotators import Annotated
from spacy_clinner.corpora.archives import find_files
from spacy_clinner.corpora.checks import (
    DUPLICATE_ID,
    FRAGMENTS_OVERLAP,
    JUNK_LINE,
    LINE_ENDS,
    LINE_ENDS_LOST,
    NO_ANNOTATION,
    SURFACE_DIFFERS,
    Annotation,
    check_fragments,
    flag_duplicate_ids,
    surface_fault,
    unresolved,
)
from spacy_clinner.corpora.line_ends import recount
from spacy_clinner.corpora.lines import decode
from spacy_clinner.corpora.note import (
    Attribute,
    Comment,
    Equivalence,
    Event,
    Normalization,
    Note,
    NoteSpan,
    Problem,
    Relation,
)
from spacy_clinner.corpora.note_files import encode, file_name
from spacy_clinner.corpora.standoff import Placed, brat_names, parse_line, restore, write_lines
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import check_folder, folder_written_whole

SPAN_ID = re.compile(r"T[0-9]")


def read_brat(path: Path) -> Iterator[Note]:
    """Read a brat corpus.

    A note's id is its path inside the corpus without the ending. A `.txt` without an `.ann`, or
    without a text, is a note that nobody annotated, and a problem.

    path (Path): A folder (read with the folders in it), a zip, a folder inside a zip, or a zip
        inside a zip: `outer.zip/inner.zip`.
    YIELDS (Note): One per `.txt`, in the order of the file names.
    RAISES (ClinnerError): Nothing is there, an `.ann` has no `.txt`, a file is not UTF-8,
        or a span cannot be read or has impossible offsets.
    """
    return flag_duplicate_ids(_notes(path))


def brat_by_annotator(path: Path) -> Iterator[Annotated]:
    """Read a brat corpus in which every annotator has a folder with the same notes.

    path (Path): As `read_brat` takes it; the folders in it are the annotators'.
    YIELDS (tuple[str | None, Note]): The annotator, None for a note in no such folder, and the
        note, whose id begins below that folder.
    RAISES (ClinnerError): As `read_brat`.
    """
    for note in _notes(path):
        name = note.source.removeprefix(f"{path}/").removesuffix(".txt").removesuffix(".ann")
        who, found, rest = name.partition("/")
        yield who if found else None, replace(note, id=rest) if found and note.id == name else note


def _notes(path: Path) -> Iterator[Note]:
    files = find_files(path)
    for name in files:
        if name.endswith(".ann") and name.removesuffix(".ann") + ".txt" not in files:
            raise ClinnerError(
                f"{path}/{name}: its text {name.removesuffix('.ann')}.txt is missing. "
                f"Put it beside the .ann file, or take that away."
            )
    names = sorted(name.removesuffix(".txt") for name in files if name.endswith(".txt"))
    if not names:
        raise ClinnerError(f"{path}: no .txt file in it; brat has a .txt and an .ann per note.")
    for name in names:
        yield _read_note(path, name, files[f"{name}.txt"], files.get(f"{name}.ann"))


def _read_note(
    path: Path, name: str, read_text: Callable[[], bytes], read_ann: Callable[[], bytes] | None
) -> Note:
    source = f"{path}/{name}.txt"
    text = decode(read_text(), source)
    if read_ann is None:
        nothing = (Problem(source, NO_ANNOTATION),)
        return Note(name, text, annotated=False, source=source, problems=nothing)
    source = f"{path}/{name}.ann"
    problems = [] if text else [Problem(source, NO_ANNOTATION)]
    placed = list(_annotations(decode(read_ann(), source), source, problems))
    placed = list(_fitted(placed, text, problems))
    placed, whole, unreadable = restore(placed)
    placed = [_checked(where, a, text, problems) for where, a in _renamed(placed, problems)]
    annotations = [annotation for _, annotation in placed]
    return Note(
        whole.get("id", name),
        text,
        spans=tuple(a for a in annotations if isinstance(a, NoteSpan)),
        relations=tuple(a for a in annotations if isinstance(a, Relation)),
        attributes=tuple(a for a in annotations if isinstance(a, Attribute)),
        events=tuple(a for a in annotations if isinstance(a, Event)),
        equivalences=tuple(a for a in annotations if isinstance(a, Equivalence)),
        normalizations=tuple(a for a in annotations if isinstance(a, Normalization)),
        comments=tuple(a for a in annotations if isinstance(a, Comment)),
        labels=whole.get("labels"),
        annotated=bool(text) and whole.get("annotated", True),
        linked=whole.get("linked", True),
        source=source,
        problems=(*problems, *unreadable, *unresolved(placed)),
    )


def _annotations(ann: str, source: str, problems: list[Problem]) -> Iterator[Placed]:
    for number, line in enumerate(ann.split("\n"), 1):
        line, where = line.removesuffix("\r"), f"{source}:{number}"
        annotation = parse_line(line)
        if annotation is not None:
            yield where, annotation
        elif SPAN_ID.match(line):
            raise ClinnerError(
                f"{where}: not a brat span. It needs an id, a tab, a label and offsets with a "
                f"space between them, a tab and the text."
            )
        elif line.strip():
            problems.append(Problem(where, JUNK_LINE))


def _renamed(placed: list[Placed], problems: list[Problem]) -> Iterator[Placed]:
    """The annotations with ids that occur once; those that point to such an id mean the first."""
    seen: set[str] = set()
    for where, annotation in placed:
        if not isinstance(annotation, Equivalence):
            if annotation.id in seen:
                problems.append(Problem(where, DUPLICATE_ID))
                n = 2
                while f"{annotation.id}.{n}" in seen:
                    n += 1
                annotation = replace(annotation, id=f"{annotation.id}.{n}")
            seen.add(annotation.id)
        yield where, annotation


def _fitted(placed: list[Placed], text: str, problems: list[Problem]) -> Iterator[Placed]:
    """The annotations, with offsets counted anew where they were made for other line ends; of a
    note with such offsets, spans that fit neither way are dropped."""
    moved = {
        at: recount(text, span.fragments, span.surface)
        for at, (_, span) in enumerate(placed)
        if isinstance(span, NoteSpan) and span.surface is not None and not _fits(span, text)
    }
    repaired = any(moved.values())
    for at, (where, annotation) in enumerate(placed):
        fragments = moved.get(at)
        if fragments and isinstance(annotation, NoteSpan):
            annotation = replace(annotation, fragments=tuple(sorted(fragments)))
            problems.append(Problem(where, LINE_ENDS, annotation))
        elif at in moved and (repaired or "\r\n" in text):
            problems.append(Problem(where, LINE_ENDS_LOST))
            continue
        yield where, annotation


def _fits(span: NoteSpan, text: str) -> bool:
    if not all(0 <= start < end <= len(text) for start, end in span.fragments):
        return False
    # Written out of order, the surface may follow either order.
    orders = (span.fragments, sorted(span.fragments))
    faults = (surface_fault(span.surface or "", text, order) for order in orders)
    return any(fault != SURFACE_DIFFERS for fault in faults)


def _checked(where: str, annotation: Annotation, text: str, problems: list[Problem]) -> Placed:
    """A span with its fragments in reading order, and a problem if its surface is another text."""
    if not isinstance(annotation, NoteSpan):
        return where, annotation
    check_fragments(annotation.fragments, text, where)
    span = replace(annotation, fragments=tuple(sorted(annotation.fragments)))
    if span.surface is not None:
        # Written out of order, the surface may follow either order.
        faults = {surface_fault(span.surface, text, a.fragments) for a in (annotation, span)}
        reason = None if None in faults else faults.pop()
        if reason:
            problems.append(Problem(where, reason, span))
    if any(end > start for (_, end), (start, _) in pairwise(span.fragments)):
        problems.append(Problem(where, FRAGMENTS_OVERLAP, span))
    return where, span


def write_brat(notes: Iterable[Note], folder: Path, labels: Iterable[str] = ()) -> None:
    """Write notes as a brat corpus that `read_brat` reads back without loss.

    What brat has no place for (codes, labels with spaces, other ids than T1) is kept in comments
    of the type `clinner`. An id that cannot be a file name gives one that resembles it.

    notes (Iterable[Note]): The notes.
    folder (Path): A folder that is empty or not there yet; it appears once it is whole.
    labels (Iterable[str]): What annotators will choose from. Of what they give a span, brat's
        spelling of one of these is read back as the label.
    RAISES (ClinnerError): The folder holds something, a text cannot be written as UTF-8, or brat
        would write two labels alike.
    """
    check_folder(folder)
    spelled = brat_names(labels)
    with folder_written_whole(folder) as partial:
        names: set[str] = set()
        for note in notes:
            _write_note(note, file_name(note.id, names), partial, spelled)


def _write_note(note: Note, name: str, folder: Path, spelled: Mapping[str, str]) -> None:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.with_name(f"{place.name}.txt").write_bytes(encode(note.text, note))
    ann = "".join(f"{line}\n" for line in write_lines(note, name, spelled))
    place.with_name(f"{place.name}.ann").write_bytes(ann.encode())
