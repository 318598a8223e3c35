"""What orders and headings are about: the list under them, the row of a table they stand in."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from spacy_clinner.pipeline.context.items import GIVEN, Items
from spacy_clinner.pipeline.context.tokens import LINE, WIDE, Mark

SIG = 60  # tokens that a drug's line may have: its dose, what to do, its status
BLOCK_LINE = 12  # tokens that a line of a list under "Denies:" may have
INTRODUCED = 8  # tokens from a cue to the colon of its list: "if you have any of the following:"
AHEAD = 4  # tokens up to the entity that an order speaks of: "hold the evening metoprolol"
BOUND = 5  # tokens from "hold" to the sign of its bound: "hold for heart rate < 55"
HEAD = 8  # tokens from an order to the colon before its list: "hold these meds for now:"


class Orders:
    """Questions about the cues of one text."""

    def __init__(self, items: Items, marks: Sequence[Mark]) -> None:
        self.items, self.marks = items, marks
        self.said, self.tokens = items.said, items.tokens
        self.entities, self.starts = items.entities, items.starts

    def looks_ahead(self, number: int) -> bool:
        """Whether an order speaks of what follows: "hold metformin"; but "metformin: hold"."""
        start, end, cue = self.marks[number]
        if self.list_head(number) is not None:
            return True
        sentence, block = self.tokens.last[start], self.block_end(start, end)
        entity = bisect_left(self.starts, end)
        last = block if block > sentence else min(end + AHEAD, sentence)
        if end >= sentence or entity == len(self.starts) or self.starts[entity] >= last:
            return False
        first = self.starts[entity]
        end += self.tokens.words[end] in self.said.colons  # "held: lisinopril"
        if block == sentence and not self.said.breaks.isdisjoint(self.tokens.words[end:first]):
            return False
        return self.items.concerns(cue, entity)

    def gives_bound(self, number: int) -> bool:
        """Whether an order says when a dose is to be held: "Lasix 40 mg, hold for Cr > 2"."""
        start, end, _ = self.marks[number]
        words, said, last = self.tokens.words, self.said, self.tokens.last[start]
        if end > start + 1 or words[start] not in said.holding or end >= last:
            return False
        if words[end] in said.purpose and end + 1 < last and words[end + 1] in said.effects:
            return True
        for token in range(end, min(end + BOUND, last)):
            if words[token] in said.compares:
                return True
            if words[token] in said.pauses or words[token] in said.until:
                return False  # "hold until Hgb > 10"
        return False

    def list_head(self, number: int) -> int | None:
        """Where a list starts that an order heads: "hold all BP meds: lisinopril, HCTZ"."""
        start, end, cue = self.marks[number]
        entity = bisect_left(self.starts, end)
        if not cue.heads or entity == len(self.starts):
            return None
        words, said = self.tokens.words, self.said
        last = min(end + HEAD, self.tokens.last[start])
        if last == end and words[end] in said.listed and self.tokens.gaps[end] < LINE:
            last = self.tokens.last[end]  # "HELD MEDS: lisinopril": a heading's own sentence
        for token in range(end, last):
            if words[token] in said.colons or (words[token] in said.opening and token > end):
                before = words[max(start - 2, self.tokens.first[start]) : start]
                named = not said.listed.isdisjoint(words[end:token])
                # "meds to hold before surgery: metformin"
                alone = not entity or self.entities[entity - 1][1] <= self.tokens.first[start]
                follows = bisect_left(self.starts, token + 1)
                given = follows < len(self.starts) and self.items.family(follows) in (0, GIVEN)
                if follows > entity and self.entities[follows - 1][1] < token:
                    return None
                if given and (named or (alone and not said.listed.isdisjoint(before))):
                    return token + 1
                return None
            if words[token] in said.pauses:
                return None
        return None

    def block_end(self, start: int, end: int) -> int:
        """Where a cue's sentence ends, or the list under it: "Denies:", then a finding a line."""
        words, gaps, count = self.tokens.words, self.tokens.gaps, len(self.tokens.words)
        stop = token = self.tokens.last[start]
        colon = token < count and words[token - 1] in self.said.colons
        if not colon or token - end > INTRODUCED:
            return stop
        while token < count and gaps[token] == LINE:
            line = token
            token += 1
            while token < count and gaps[token] < LINE:
                token += 1
            long = token - line > BLOCK_LINE
            if long or not self.said.colons.isdisjoint(words[line:token]):
                return line
            stop = token
        return stop

    def in_row(self, number: int) -> int | None:
        """The entity that an order in a table's cell is about: "glipizide | 5 mg | STOP"."""
        start, end, cue = self.marks[number]
        words, gaps, count = self.tokens.words, self.tokens.gaps, len(self.tokens.words)
        line = bisect_right(self.tokens.lines, start)
        first = self.tokens.lines[line - 1] if line else 0
        if start == first or not (words[start - 1] in self.said.bars or gaps[start] == WIDE):
            return None
        closed = end == count or words[end] in self.said.bars or gaps[end] >= WIDE
        entity = bisect_left(self.starts, first)
        if not closed or entity == len(self.starts) or self.starts[entity] >= start:
            return None
        near = self.starts[entity] <= first + 2 and self.items.concerns(cue, entity)
        return entity if near else None

    def of_row_or_line(self, number: int) -> int | None:
        """The entity whose row or line a status ends."""
        row = self.in_row(number)
        return self.of_line(number) if row is None else row

    def of_line(self, number: int) -> int | None:
        """The drug whose line an order ends: "lisinopril 10 mg by mouth every day - STOP"."""
        start, end, cue = self.marks[number]
        words, lines, said = self.tokens.words, self.tokens.lines, self.said
        line = bisect_right(lines, start)
        first = lines[line - 1] if line else 0
        stop = lines[line] if line < len(lines) else len(words)
        set_off = start > first and not said.before_status.isdisjoint(words[start - 1 : start + 1])
        if not set_off or (end < stop and words[end] not in said.behind_status):
            return None
        low, high = bisect_left(self.starts, first), bisect_left(self.starts, stop)
        if stop - first > SIG or low == high or not first <= self.starts[low] <= first + 2:
            return None
        given = [entity for entity in range(low, high) if self.items.family(entity) == GIVEN]
        near = given == [low] and self.starts[low] < start
        return low if near and self.items.concerns(cue, low) else None

    def of_row(self, number: int) -> list[int]:
        """The entities that a tick in a table speaks of: those of its row's first cell."""
        tick = self.marks[number][0]
        words, gaps, lines = self.tokens.words, self.tokens.gaps, self.tokens.lines
        line = bisect_right(lines, tick)
        entity = bisect_left(self.starts, lines[line - 1] if line else 0)
        stop = lines[line] if line < len(lines) else len(words)
        cell: list[int] = []
        last: int | None = None
        while entity < len(self.starts) and self.starts[entity] < stop:
            first, end = self.entities[entity]
            if last is not None and (
                max(gaps[last : first + 1]) >= WIDE
                or not self.said.bars.isdisjoint(words[last:first])
            ):
                break  # another cell
            cell.append(entity)
            last, entity = end, entity + 1
        return cell
