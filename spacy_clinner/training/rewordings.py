"""What notes could say in other letters: each function proposes edits of one kind."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from spacy.tokens import Span

from spacy_clinner.annotation import store
from spacy_clinner.annotation.moving import Edit
from spacy_clinner.files import read_toml
from spacy_clinner.pipeline.abbreviations.short_forms import expansions, known

FILE = Path(__file__).with_name("rewordings.toml")
# In a note where signs are left out or blanks are wrong, so many of them are.
LOST_SIGNS = 0.7
LOST_BLANKS = 0.4
MORE_BLANKS = 0.03

LETTERS = re.compile(r"[^\W\d_]+")
# A word, or a short form such as "s/p", "w/", "b.i.d." and "H&P".
WORD = re.compile(r"(?<![\w/.'’-])[^\W\d_](?:[\w/&.-]*[\w/])?")
LINE_BREAKS = re.compile(r"[^\S\n\r]*[\n\r]\s*(?=\S)")
SIGN = re.compile(r"(?<=[\w)])[.,;:](?=\s|$)")
BLANK_AFTER_SIGN = re.compile(r"(?<=[,;:/]) (?=\w)")
BLANK_BEFORE_UNIT = re.compile(
    r"(?<=\d) (?=(?:mc?g|ml|cc|mm|cm|kg|lbs?|units?|tabs?|caps?|puffs?|hrs?|days?|weeks?|x)\b)"
)
BLANK = re.compile(r"(?<=\w) (?=\w)")
TYPED = re.compile(r"(?<![\w'’])[A-Z]?[a-z]{4,}(?![\w'’])")
MONTH = "(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)[a-z]*"
MASKED = {
    "dates": re.compile(
        rf"\b(?:\d{{1,2}}([/-])\d{{1,2}}\1(?:\d\d){{1,2}}|\d{{4}}-\d\d-\d\d|{MONTH}\.? \d{{1,2}}"
        rf"(?:st|nd|rd|th)?,? \d{{4}})\b|\[\*\*\d[^\]\n]{{0,20}}\*\*\]"
    ),
    "names": re.compile(r"(?<=\b[DM][rs]\. )[A-Z][a-z]+(?: [A-Z][a-z]+)?"),
    "places": re.compile(r"(?:\b[A-Z][a-z]+ )+(?:Hospital|Clinic|Medical Center)\b"),
}
# Letters beside each other on a keyboard.
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
BESIDE = {
    letter: row[max(0, at - 1) : at] + row[at + 1 : at + 2]
    for row in ROWS
    for at, letter in enumerate(row)
}


@dataclass
class Plan:
    """Edits that can be made together.

    text (str): The text.
    edges (Iterable[int]): Where spans begin and end: no edit has one inside it.
    """

    text: str
    edges: Iterable[int]
    _taken: bytearray = field(init=False)
    _edits: list[Edit] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._taken = bytearray(len(self.text))
        self._edge = sorted(self.edges)

    @property
    def edits(self) -> list[Edit]:
        """The edits, in order."""
        return sorted(self._edits, key=lambda edit: edit.start)

    def add(self, edits: Iterable[Edit]) -> None:
        """Take what fits of some edits.

        edits (Iterable[Edit]): Those that an edge or an edit of the plan cuts are left out.
        """
        for edit in edits:
            inside = bisect_left(self._edge, edit.start + 1)
            cut = inside < len(self._edge) and self._edge[inside] < edit.end
            if not cut and not any(self._taken[edit.start : edit.end]):
                self._edits.append(edit)
                self._taken[edit.start : edit.end] = b"\1" * (edit.end - edit.start)

    def change_case(self, case: Callable[[str], str]) -> None:
        """Write all in another case, what the edits write, too.

        case (Callable[[str], str]): `str.upper` or `str.lower`. A word that would get longer, as
            one with "ß", stays.
        """
        self._edits = [Edit(edit.start, edit.end, case(edit.new)) for edit in self._edits]
        for word in LETTERS.finditer(self.text):
            start, end, new = word.start(), word.end(), case(word[0])
            if new != word[0] and len(new) == end - start and not any(self._taken[start:end]):
                self._edits.append(Edit(start, end, new))


@cache
def _tables() -> Mapping[str, Mapping[str, list[str]]]:
    tables: dict[str, Any] = read_toml(FILE, "missing; install clinner again.")
    return tables


@cache
def _forms() -> Mapping[str, list[tuple[str, tuple[str, ...]]]]:
    """Long forms in lower case with what stands for them, the longest first, by the letters that
    they begin with."""
    shorter: dict[str, list[str]] = defaultdict(list)
    for short, meanings in known().items():
        for long in meanings:
            shorter[long.lower()].append(short)
    for long, shorts in _tables()["shorthand"].items():
        shorter[long] += shorts
    found: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    for long in sorted(shorter, key=len, reverse=True):
        if first := LETTERS.match(long):
            found[first[0]].append((long, tuple(shorter[long])))
    return found


def other_forms(text: str, spans: Iterable[Span], rate: float, rng: Random) -> Iterator[Edit]:
    """Short forms for long ones, and long ones for short ones.

    text (str): The note.
    spans (Iterable[Span]): Its spans: cues have further short forms.
    rate (float): The share of the places that are changed.
    rng (Random): Decides.
    YIELDS (Edit): The edits.
    """
    lowered = text.lower()
    if not rate or len(lowered) != len(text):
        return
    cues = _tables()["spans"]
    for span in spans:
        start, end = span.start_char, span.end_char
        of_cue = cues.get(lowered[start:end])
        if of_cue and rng.random() < rate:
            yield Edit(start, end, rng.choice(of_cue))
    forms = _forms()
    for word in WORD.finditer(text):
        # Drawn first: most words need not be looked up then.
        if rng.random() >= rate:
            continue
        start, end = word.span()
        longs = expansions(word[0])
        if len(longs) == 1 and not (word[0].isupper() and _line(text, start, end).isupper()):
            yield Edit(start, end, longs[0])
            continue
        first = LETTERS.match(lowered, start)
        for long, shorts in forms.get(first[0], ()) if first else ():
            behind = start + len(long)
            if lowered.startswith(long, start) and not text[behind : behind + 1].isalnum():
                yield Edit(start, behind, _as_written(rng.choice(shorts), text[start], rng))
                break


def _line(text: str, start: int, end: int) -> str:
    """The line of a place."""
    last = text.find("\n", end)
    return text[text.rfind("\n", 0, start) + 1 : len(text) if last < 0 else last]


def _as_written(short: str, first: str, rng: Random) -> str:
    """A short form in one of the cases that notes have it in."""
    if not short.islower():
        return short
    if "/" not in short and len(short) < 6 and rng.random() < 0.5:
        return short.upper()
    return short.capitalize() if first.isupper() else short


def other_drugs(spans: Iterable[Span], rate: float, rng: Random) -> Iterator[Edit]:
    """Other drugs, where a span is the name of one. A span with a code would lie then, and stays.

    spans (Iterable[Span]): The spans of a note.
    rate (float): The share of the names that are changed.
    rng (Random): Decides.
    YIELDS (Edit): The edits.
    """
    chosen: dict[str, str | None] = {}
    lists = _drugs()
    for span in spans if rate else ():
        name = span.text.lower()
        if name in lists:
            if name not in chosen:
                chosen[name] = rng.choice(lists[name]) if rng.random() < rate else None
            other = chosen[name]
            if other is not None and not _has_code(span):
                yield Edit(span.start_char, span.end_char, _in_case_of(other, span.text))


@cache
def _drugs() -> Mapping[str, list[str]]:
    return {name.lower(): names for names in _tables()["names"].values() for name in names}


def _has_code(span: Span) -> bool:
    return bool(span.kb_id or store.values(span).get("codes"))


def _in_case_of(name: str, other: str) -> str:
    if other.isupper():
        return name.upper()
    return name.capitalize() if other[0].isupper() and name.islower() else name


def masks(text: str, rate: float, rng: Random) -> Iterator[Edit]:
    """Masks of de-identification for dates, names and hospitals.

    text (str): The note.
    rate (float): The share of them that are masked.
    rng (Random): Decides.
    YIELDS (Edit): The edits.
    """
    for kind, pattern in MASKED.items() if rate else ():
        # A note is masked in one way.
        mask = rng.choice(_tables()["masks"][kind])
        for found in pattern.finditer(text):
            if rng.random() < rate:
                numbers = {
                    "year": rng.randint(2100, 2200),
                    "month": rng.randint(1, 12),
                    "day": rng.randint(1, 28),
                    "number": rng.randint(1, 9999),
                }
                yield Edit(found.start(), found.end(), mask.format(**numbers))


def lost_line_breaks(text: str) -> Iterator[Edit]:
    """A blank for each line break.

    text (str): The note.
    YIELDS (Edit): The edits.
    """
    for found in LINE_BREAKS.finditer(text):
        yield Edit(found.start(), found.end(), " ")


def lost_punctuation(text: str, rng: Random) -> Iterator[Edit]:
    """No signs at the ends of words and sentences.

    text (str): The note.
    rng (Random): Decides which are lost.
    YIELDS (Edit): The edits.
    """
    for found in SIGN.finditer(text):
        if rng.random() < LOST_SIGNS:
            yield Edit(found.start(), found.end(), "")


def other_spacing(text: str, rng: Random) -> Iterator[Edit]:
    """No blank behind signs and before units, two between some words.

    text (str): The note.
    rng (Random): Decides where.
    YIELDS (Edit): The edits.
    """
    for pattern, rate, new in (
        (BLANK_AFTER_SIGN, LOST_BLANKS, ""),
        (BLANK_BEFORE_UNIT, LOST_BLANKS, ""),
        (BLANK, MORE_BLANKS, "  "),
    ):
        for found in pattern.finditer(text):
            if rng.random() < rate:
                yield Edit(found.start(), found.end(), new)


def typing_errors(text: str, rate: float, rng: Random) -> Iterator[Edit]:
    """Words with two letters exchanged, one left out, one twice, or one of the key beside it.

    text (str): The note.
    rate (float): The share of the words of four and more letters.
    rng (Random): Decides.
    YIELDS (Edit): The edits.
    """
    for found in TYPED.finditer(text) if rate else ():
        if rng.random() < rate:
            yield Edit(found.start(), found.end(), _mistyped(found[0], rng))


def _mistyped(word: str, rng: Random) -> str:
    """A word with a typing error behind its first letter."""
    at = rng.randrange(1, len(word) - 1)
    before, letter, behind = word[:at], word[at], word[at + 1 :]
    match rng.randrange(4):
        case 0:
            return before + behind[0] + letter + behind[1:]
        case 1:
            return before + behind
        case 2:
            return before + letter + letter + behind
    return before + rng.choice(BESIDE[letter]) + behind
