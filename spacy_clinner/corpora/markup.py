"""Notes of the clinical scheme with their annotation written into the text, for people.

`⟦P1|⟦SEV>P1|severe⟧ ⟦LOC>P1|knee⟧ pain⟧`, `⟦NEG>P1,P2|denies⟧`: an entity has a letter and a
number, a modifier names the entities that it is linked to.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from spacy_clinner import schemes
from spacy_clinner.corpora.lines import decode
from spacy_clinner.corpora.note import Note, NoteSpan, Relation
from spacy_clinner.errors import ClinnerError

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
MARK = re.compile(r"⟦(?:(?P<entity>[PTDX]\d+)|(?P<code>[A-Z]{3})>(?P<links>[PTDX0-9,]+))\||⟧")


def read_markup(path: Path) -> Iterator[Note]:
    """Read notes with their marks.

    path (Path): A folder of `.txt` files, or one such file.
    YIELDS (Note): One per file, in the order of the names; ids are the names without the ending.
    RAISES (ClinnerError): Nothing is there, or a mark is broken, unknown, blank, given twice,
        linked to nothing, or linked to what the scheme does not allow; names the line.
    """
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise ClinnerError(f"{path}: no such file, and no folder with .txt files.")
    for file in files:
        yield parse_markup(decode(file.read_bytes(), file), file.stem, str(file))


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
