"""Notes of the clinical scheme with their annotation written into the text, for people.

`⟦P1|⟦SEV>P1|severe⟧ ⟦LOC>P1|knee⟧ pain⟧`, `⟦NEG>P1,P2|denies⟧`: an entity has a letter and a
number, a modifier names the entities that it is linked to.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple, NoReturn

from spacy_clinner import schemes
from spacy_clinner.corpora.lines import decode
from spacy_clinner.corpora.note import Note, NoteSpan, Problem, Relation
from spacy_clinner.corpora.note_files import encode, file_name
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import check_folder, folder_written_whole

ENTITIES = {"P": "PROBLEM", "T": "TREATMENT", "D": "DRUG", "X": "TEST"}
MODIFIERS = {
    "NEG": "NEGATION",
    "UNC": "UNCERTAIN",
    "SUB": "SUBJECT",
    "CON": "CONDITION",
    "COU": "COURSE",
    "SEV": "SEVERITY",
    "LOC": "BODYLOC",
    "TIM": "TEMPORAL",
    "FRM": "FORM",
    "FRQ": "FREQUENCY",
    "DOS": "DOSAGE",
    "DUR": "DURATION",
    "STR": "STRENGTH",
    "RTE": "ROUTE",
    "VAL": "LABVALUE",
    "REF": "REFERENCE_RANGE",
}
LETTERS = {label: letter for letter, label in ENTITIES.items()}
CODES = {label: code for code, label in MODIFIERS.items()}
MARK = re.compile(r"⟦(?:(?P<entity>[PTDX]\d+)|(?P<code>[A-Z]{3})>(?P<links>[PTDX0-9,]+))\||⟧")
BRACKETS = "⟦⟧"
ID_CHANGED = "id: cannot be the name of a file of its own, changed"
NO_PLACE = ": no place in marks, left out"
ROLES = ("Arg1", "Arg2")
# Parts of a note that marks keep, or that are told of each by itself.
HAVE_A_PLACE = {"id", "text", "spans", "relations", "source", "problems"}


def read_markup(path: Path) -> Iterator[Note]:
    """Read notes with their marks.

    path (Path): A folder of `.txt` files, read with the folders in it, or one such file.
    YIELDS (Note): One per file, in the order of the names; ids are the paths inside the folder
        without the ending.
    RAISES (ClinnerError): Nothing is there, or a mark is broken, unknown, blank, given twice,
        linked to nothing, or linked to what the scheme does not allow; names the line.
    """
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise ClinnerError(f"{path}: no such file, and no folder with .txt files.")
    for file in files:
        name = file.relative_to(path if path.is_dir() else path.parent)
        marked = decode(file.read_bytes(), file)
        yield parse_markup(marked, name.with_suffix("").as_posix(), str(file))


def parse_markup(marked: str, note_id: str, source: str) -> Note:
    """Take the marks out of a note.

    marked (str): The text with its marks.
    note_id (str): The note's id.
    source (str): Where it is from, for errors.
    RETURNS (Note): The text without marks; entities are `T1`, `T2`, … in reading order, modifiers
        behind them, and a relation `hasLABEL` stands for each link.
    RAISES (ClinnerError): As `read_markup`.
    """
    faults = _Faults(marked, source)
    text, marks = _take_out(marked, faults)
    spans: list[NoteSpan] = []
    entities: dict[str, str] = {}
    for start, end, mark in (row for row in marks if row[2]["entity"]):
        name = mark["entity"]
        if name in entities:
            raise faults.at(mark, f"{name} is there twice")
        spans.append(_span(spans, ENTITIES[name[0]], text, start, end) or faults.blank(mark, name))
        entities[name] = spans[-1].id
    legal = schemes.load("clinical").pairs
    relations: list[Relation] = []
    for start, end, mark in (row for row in marks if row[2]["code"]):
        label = MODIFIERS.get(mark["code"])
        if label is None:
            raise faults.at(mark, f"unknown code {mark['code']}")
        spans.append(_span(spans, label, text, start, end) or faults.blank(mark, f"a {label}"))
        for name in mark["links"].split(","):
            if name not in entities:
                raise faults.at(mark, f"a {label} is linked to {name}, which is not there")
            if label not in legal[ENTITIES[name[0]]]:
                raise faults.at(mark, f"a {label} may not modify a {ENTITIES[name[0]]} ({name})")
            number = len(relations) + 1
            relations.append(Relation(f"R{number}", f"has{label}", entities[name], spans[-1].id))
    return Note(note_id, text, tuple(spans), tuple(relations), source=source)


class _Faults(NamedTuple):
    marked: str
    source: str

    def at(self, mark: re.Match[str], what: str) -> ClinnerError:
        line = self.marked.count("\n", 0, mark.start()) + 1
        return ClinnerError(f"{self.source}:{line}: {what}.")

    def blank(self, mark: re.Match[str], what: str) -> NoReturn:
        raise self.at(mark, f"{what} is blank, or begins or ends with a blank")


def _take_out(marked: str, faults: _Faults) -> tuple[str, list[tuple[int, int, re.Match[str]]]]:
    """The text without marks, and of each its start, end and opening, outer ones first."""
    parts: list[str] = []
    length = at = 0
    opened: list[tuple[re.Match[str], int]] = []
    marks: list[tuple[int, int, re.Match[str]]] = []
    for found in MARK.finditer(marked):
        parts.append(marked[at : found.start()])
        length += len(parts[-1])
        at = found.end()
        if found.group() != "⟧":
            opened.append((found, length))
        elif not opened:
            raise faults.at(found, "a ⟧ that closes nothing")
        else:
            mark, start = opened.pop()
            marks.append((start, length, mark))
    if opened:
        raise faults.at(opened[-1][0], "a mark that is not closed")
    text = "".join([*parts, marked[at:]])
    for broken in re.finditer("⟦", marked):
        if not MARK.match(marked, broken.start()):
            raise faults.at(broken, "a ⟦ without a known code")
    marks.sort(key=lambda row: (row[0], -row[1]))
    return text, marks


def _span(before: list[NoteSpan], label: str, text: str, start: int, end: int) -> NoteSpan | None:
    words = text[start:end]
    if not words or words != words.strip():
        return None
    surface = words.replace("\n", " ")
    return NoteSpan(f"T{len(before) + 1}", label, ((start, end),), surface)


def write_markup(notes: Iterable[Note], folder: Path) -> list[Problem]:
    """Write notes with their marks, one `.txt` each.

    notes (Iterable[Note]): Notes of the clinical scheme. An id that cannot be a file name, or is
        an earlier note's, gives one that resembles it.
    folder (Path): A folder that is empty or not there yet; it appears once it is whole.
    RETURNS (list[Problem]): What was not written, as marks have no place for it.
    RAISES (ClinnerError): The folder holds something, a span has another label, is in pieces,
        crosses another one or begins or ends with a blank, a modifier has no link, or the text
        holds the brackets of marks or cannot be written as UTF-8.
    """
    check_folder(folder)
    problems: list[Problem] = []
    names: set[str] = set()
    with folder_written_whole(folder) as partial:
        for note in notes:
            name = file_name(note.id, names)
            place = partial / f"{name}.txt"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(encode(render_markup(note), note))
            problems += _left_out(note, name)
    return problems


def _left_out(note: Note, name: str) -> Iterator[Problem]:
    """A problem for all that a note says and its marks do not."""
    where = note.source or note.id
    if name != note.id:
        yield Problem(where, ID_CHANGED)
    links = _links(note)
    for relation in note.relations:
        tail = links.get(relation)
        if tail is None or replace(relation, label=f"has{tail.label}", roles=ROLES) != relation:
            yield Problem(where, f"relations{NO_PLACE}")
    for span in note.spans:
        if span.codes:
            yield Problem(where, f"codes{NO_PLACE}", span)
    for field in fields(Note):
        value = getattr(note, field.name)
        if field.name not in HAVE_A_PLACE and value != field.default:
            several = isinstance(value, tuple) and field.name != "labels"
            for _ in value if several else (value,):
                yield Problem(where, f"{field.name}{NO_PLACE}")


def _links(note: Note) -> dict[Relation, NoteSpan]:
    """The modifier of each relation that marks can say: those of the scheme's pairs."""
    spans = {span.id: span for span in note.spans}
    legal = schemes.load("clinical").pairs
    found: dict[Relation, NoteSpan] = {}
    for relation in note.relations:
        head, tail = spans.get(relation.head), spans.get(relation.tail)
        if head and tail and tail.label in legal.get(head.label, ()):
            found[relation] = tail
    return found


def render_markup(note: Note) -> str:
    """Write a note's annotation into its text; `parse_markup` reads it.

    note (Note): The note.
    RETURNS (str): The text with marks.
    RAISES (ClinnerError): As `write_markup`.
    """
    where = note.source or note.id
    if any(bracket in note.text for bracket in BRACKETS):
        raise ClinnerError(f"{where}: the text holds ⟦ or ⟧, which are marks.")
    order = sorted(note.spans, key=lambda s: (s.start, -s.end, s.label not in LETTERS))
    names: dict[str, str] = {}
    for span in order:
        if span.label in LETTERS:
            names[span.id] = f"{LETTERS[span.label]}{len(names) + 1}"
    links: dict[str, list[str]] = {}
    for relation in _links(note):
        links.setdefault(relation.tail, []).append(names[relation.head])
    out: list[str] = []
    open_ends: list[int] = []
    at = 0
    for span in order:
        while open_ends and open_ends[-1] <= span.start:
            out += [note.text[at : open_ends[-1]], "⟧"]
            at = open_ends.pop()
        if len(span.fragments) > 1 or (open_ends and span.end > open_ends[-1]):
            raise ClinnerError(f"{where}: {span.id} is in pieces, or crosses another span.")
        if note.text[span.start : span.end] != note.text[span.start : span.end].strip():
            raise ClinnerError(f"{where}: {span.id} begins or ends with a blank.")
        name = (
            names.get(span.id) or f"{CODES.get(span.label, '')}>{','.join(links.get(span.id, ()))}"
        )
        if name[0] == ">" or name[-1] == ">":
            raise ClinnerError(f"{where}: {span.id} ({span.label}) has no code, or no link.")
        out += [note.text[at : span.start], f"⟦{name}|"]
        at = span.start
        open_ends.append(span.end)
    for end in reversed(open_ends):
        out += [note.text[at:end], "⟧"]
        at = end
    return "".join([*out, note.text[at:]])
