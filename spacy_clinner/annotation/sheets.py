"""Sheets of what is said of a text, and what of them holds for a text that was put together."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

# Label, span id, and plain data by name.
Entry = tuple[str, str, Mapping[str, Any]]
# Where a sentence surely ends, whatever component cuts sentences.
SENTENCE_END = re.compile(r"([.!?](?=\s)|[\n\r\f\v\x85\u2028\u2029])\s*")


class Sheet(TypedDict):
    """What is said of a text.

    text (str): The text; all offsets are in characters of it.
    spans (dict[str, Sequence[Entry]]): By "START:END", what is said of the spans there. Other
        spans in it (`negation_cue`, `modifiers`) have offsets from the start of this one.
    relations (Sequence): Entity, modifier (START, END, label, id each) and confidence.
    sections (Sequence): Title, header (START, END) or None, and START, END of the section.
    """

    text: str
    spans: dict[str, Sequence[Entry]]
    relations: NotRequired[Sequence[Any]]
    sections: NotRequired[Sequence[Any]]


@dataclass(frozen=True)
class Piece:
    """A sheet laid on a text, and where what it says holds there.

    start (int): Where in the text the sheet's own begins; may be before its start.
    sheet (Sheet): The sheet.
    runs (list[tuple[int, int]]): Starts and ends of the runs of whole sentences that both texts
        have; a sentence that the text's own start or end cuts off counts as whole.
    """

    start: int
    sheet: Sheet
    runs: list[tuple[int, int]]

    @classmethod
    def lay(cls, text: str, start: int, sheet: Sheet) -> "Piece":
        """Compare a sheet's text with the one that it is laid on."""
        own = sheet["text"]
        marks = list(SENTENCE_END.finditer(own))
        begins = [start + len(own) - len(own.lstrip()), *(start + mark.end() for mark in marks)]
        ends = [*(start + mark.end(1) for mark in marks), start + len(own.rstrip())]
        runs = []
        for low, high in _common_runs(text, own, start):
            # Beyond its last whole sentence, texts may be alike by chance: "No fever" begins many.
            if low > 0:
                at = bisect_left(begins, low)
                low = begins[at] if at < len(begins) else high
            if high < len(text):
                at = bisect_right(ends, high) - 1
                high = ends[at] if at >= 0 else low
            if low < high:
                runs.append((low, high))
        return cls(start, sheet, runs)

    def run_of(self, start: int, end: int) -> tuple[int, int] | None:
        """The run that holds a span; None where what is said of it does not hold."""
        at = bisect_right(self.runs, start, key=lambda run: run[0]) - 1
        return self.runs[at] if at >= 0 and end <= self.runs[at][1] else None


def join_sheets(text: str, pieces: Iterable[tuple[int, Sheet]]) -> Sheet:
    """Make one sheet of those that a text has from the texts it was made of.

    text (str): The text.
    pieces (Iterable[tuple[int, Sheet]]): Where the text of a sheet begins, and the sheet. The text
        need not be there, or not all of it.
    RETURNS (Sheet): What holds for this text. Where two sheets speak of the same words, the one
        with more of the words around them is right.
    """
    joined: Sheet = {"text": text, "spans": {}}
    lengths: dict[str, int] = {}
    for piece in (Piece.lay(text, start, sheet) for start, sheet in pieces):
        for place, entries in piece.sheet["spans"].items():
            start, end = (int(offset) + piece.start for offset in place.split(":"))
            run = piece.run_of(start, end)
            here = f"{start}:{end}"
            if run is not None and run[1] - run[0] > lengths.get(here, 0):
                lengths[here] = run[1] - run[0]
                joined["spans"][here] = [
                    (label, span_id, _within(said, start, run)) for label, span_id, said in entries
                ]
        if "relations" in piece.sheet:
            joined["relations"] = [*joined.get("relations", ()), *_relations(piece)]
        if "sections" in piece.sheet:
            joined["sections"] = sorted(
                [*joined.get("sections", ()), *_sections(piece)], key=lambda section: section[2]
            )
    return joined


def _common_runs(text: str, other: str, start: int) -> list[tuple[int, int]]:
    """Where a text and another one that begins at `start` have the same characters."""
    low, high = max(start, 0), min(start + len(other), len(text))
    if high <= low:
        return []
    same = _codes(text[low:high]) == _codes(other[low - start : high - start])
    edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
    return [(low + a, low + b) for a, b in edges.reshape(-1, 2).tolist()]


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _within(said: Mapping[str, Any], start: int, run: tuple[int, int]) -> Mapping[str, Any]:
    """What is said of a span, without the words that are not there any more."""

    def is_there(other: Sequence[Any]) -> bool:
        return bool(run[0] <= start + other[0] and start + other[1] <= run[1])

    kept = dict(said)
    cue = said.get("negation_cue")
    if cue is not None and not is_there(cue):
        kept["negation_cue"] = None
    if "modifiers" in said:
        kept["modifiers"] = [link for link in said["modifiers"] if is_there(link[0])]
    return kept


def _relations(piece: Piece) -> list[Any]:
    found = []
    for head, tail, confidence in piece.sheet["relations"]:
        ends = [(end[0] + piece.start, end[1] + piece.start, *end[2:]) for end in (head, tail)]
        runs = [piece.run_of(end[0], end[1]) for end in ends]
        if runs[0] is not None and runs[0] == runs[1]:
            found.append((*ends, confidence))
    return found


def _sections(piece: Piece) -> list[Any]:
    found = []
    for title, header, first, last in piece.sheet["sections"]:
        for low, high in piece.runs:
            begin, end = max(first + piece.start, low), min(last + piece.start, high)
            if begin < end:
                found.append((title, _header(header, piece.start, (begin, end)), begin, end))
    return found


def _header(
    header: Sequence[int] | None, start: int, section: tuple[int, int]
) -> tuple[int, int] | None:
    if header is None:
        return None
    begin, end = header[0] + start, header[1] + start
    return (begin, end) if section[0] <= begin and end <= section[1] else None
