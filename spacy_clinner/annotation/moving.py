"""What a document annotates, carried over to a document of the same words in another shape."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from spacy.tokens import Doc, Span, SpanGroup

from spacy_clinner.annotation import store
from spacy_clinner.annotation.sheets import Entry, Sheet
from spacy_clinner.annotation.spans import all_spans

Move = Callable[[int], int]


@dataclass(frozen=True)
class Edit:
    """A part of a text, and what to write in its place.

    start (int), end (int): Characters of the text, at least one.
    new (str): What to write; may be empty.
    """

    start: int
    end: int
    new: str


def rewritten(text: str, edits: Sequence[Edit]) -> str:
    """A text with some edits made.

    text (str): The text.
    edits (Sequence[Edit]): In order, without overlaps.
    RETURNS (str): The new text.
    """
    pieces: list[str] = []
    done = 0
    for edit in edits:
        pieces += (text[done : edit.start], edit.new)
        done = edit.end
    return "".join((*pieces, text[done:]))


def moves(edits: Sequence[Edit]) -> Move:
    """Where the places of a text are in the text with some edits made.

    edits (Sequence[Edit]): In order, without overlaps.
    RETURNS (Callable[[int], int]): The new offset of an old one. A place inside an edit is as far
        from its start as it was, but not beyond its end.
    """
    starts = [edit.start for edit in edits]
    shifts = [0]
    for edit in edits:
        shifts.append(shifts[-1] + len(edit.new) - (edit.end - edit.start))

    def move(place: int) -> int:
        before = bisect_right(starts, place)
        if before and place < edits[before - 1].end:
            edit = edits[before - 1]
            return edit.start + shifts[before - 1] + min(place - edit.start, len(edit.new))
        return place + shifts[before]

    return move


def misplaced(doc: Doc, new: Doc, move: Move) -> list[int]:
    """Where spans would begin or end within a token, with white space, or hold nothing.

    doc (Doc): The document.
    new (Doc): The other one, as yet without spans.
    move (Callable[[int], int]): The place in `new` of each one in `doc`.
    RETURNS (list[int]): The places, in characters of `doc`.
    """
    starts, ends = _edges(new)
    found = []
    for span in all_spans(doc):
        begin, end = span.start_char, span.end_char
        first, last = starts.get(move(begin)), ends.get(move(end))
        if first is None:
            found.append(begin)
        if last is None:
            found.append(end)
        elif first is not None and last <= first:
            found += (begin, end)
    return found


def carry_over(doc: Doc, new: Doc, move: Move) -> None:
    """Give a document all that another one annotates: entities, groups of spans with their
    attributes, user data and what is said of spans, relations and sections.

    doc (Doc): The document. Of its tokens nothing is carried over but which entities are unknown.
    new (Doc): The other one; none of the spans is misplaced in it.
    move (Callable[[int], int]): The place in `new` of each one in `doc`.
    """
    starts, ends = _edges(new)

    def moved(span: Span) -> Span:
        first, last = starts[move(span.start_char)], ends[move(span.end_char)]
        return Span(new, first, last, span.label, kb_id=span.kb_id, span_id=span.id)

    for name, group in doc.spans.items():
        spans = [moved(span) for span in group]
        new.spans[name] = SpanGroup(new, name=group.name, attrs=dict(group.attrs), spans=spans)
    known = doc.to_array("ENT_IOB")
    if known.any():
        unknown = [] if known.all() else list(_unknown(doc, new, move))
        new.set_ents([moved(ent) for ent in doc.ents], missing=unknown)
    sheet = store.sheet_of(doc)
    new.user_data.update(_moved_data(doc.user_data, move))
    if sheet is not None:
        store.set_sheet(new, _moved_sheet(sheet, new.text, move))


def _edges(doc: Doc) -> tuple[dict[int, int], dict[int, int]]:
    """The first token of spans by where they begin, and the one behind their last by where they
    end; white space is neither's."""
    starts, lengths, blank = doc.to_array(["IDX", "LENGTH", "IS_SPACE"]).T
    (words,) = np.nonzero(blank == 0)
    ends = (starts + lengths)[words].tolist()
    return (
        dict(zip(starts[words].tolist(), words.tolist(), strict=True)),
        dict(zip(ends, (words + 1).tolist(), strict=True)),
    )


def _unknown(doc: Doc, new: Doc, move: Move) -> Iterator[Span]:
    """What is left of each run of tokens of which nobody said whether they are entities."""
    for known, run in groupby(doc, key=lambda token: bool(token.ent_iob)):
        if not known:
            tokens = list(run)
            start, end = move(tokens[0].idx), move(tokens[-1].idx + len(tokens[-1]))
            span = new.char_span(start, end, alignment_mode="expand") if start < end else None
            if span is not None:
                yield span


def _moved_data(data: Mapping[Any, Any], move: Move) -> dict[Any, Any]:
    """User data; the values of extensions are kept by the place of their span."""
    found: dict[Any, Any] = {}
    for key, value in data.items():
        match key:
            case ("._.", str(name), int(start), int(end)):
                if not name.startswith(store.NAME):
                    found["._.", name, move(start), move(end)] = value
            case ("._.", str(name), int(start), None):
                found["._.", name, move(start), None] = value
            case _:
                found[key] = value
    return found


def _moved_sheet(sheet: Sheet, text: str, move: Move) -> Sheet:
    """A sheet of the new text. Other spans in what is said of one count from its start."""
    spans: dict[str, list[Entry]] = {}
    for place, entries in sheet["spans"].items():
        start, end = map(int, place.split(":"))
        # Two places may become one.
        spans.setdefault(f"{move(start)}:{move(end)}", []).extend(
            (label, span_id, _moved_said(said, start, move)) for label, span_id, said in entries
        )
    moved: Sheet = {"text": text, "spans": dict(spans)}
    if "relations" in sheet:
        moved["relations"] = [
            (_moved_chars(head, 0, move), _moved_chars(tail, 0, move), confidence)
            for head, tail, confidence in sheet["relations"]
        ]
    if "sections" in sheet:
        moved["sections"] = [
            (title, header and (move(header[0]), move(header[1])), move(start), move(end))
            for title, header, start, end in sheet["sections"]
        ]
    return moved


def _moved_said(said: Mapping[str, Any], start: int, move: Move) -> dict[str, Any]:
    found = dict(said)
    if found.get("negation_cue") is not None:
        found["negation_cue"] = _moved_chars(found["negation_cue"], start, move)
    if found.get("modifiers"):
        found["modifiers"] = [
            (_moved_chars(chars, start, move), confidence)
            for chars, confidence in said["modifiers"]
        ]
    return found


def _moved_chars(chars: Sequence[Any], origin: int, move: Move) -> tuple[Any, ...]:
    start = move(origin)
    return (move(chars[0] + origin) - start, move(chars[1] + origin) - start, *chars[2:])
