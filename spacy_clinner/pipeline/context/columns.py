"""Tables with a column for "yes" and one for "no", and a tick in each row."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from spacy_clinner.pipeline.context.tokens import BLANK, LINE, WIDE, Mark, Tokens, word_set
from spacy_clinner.pipeline.phrases import PhraseTokenizer

WIDTH = 8  # columns of text between tab stops


class Heads(NamedTuple):
    """The heads of the two columns, as marks, and which line they stand in."""

    positive: Mark
    negative: Mark
    line: int


class Columns:
    """Finds the ticks of tables such as "Symptom | Yes | No"."""

    def __init__(self, cut: PhraseTokenizer) -> None:
        """Make it.

        cut (PhraseTokenizer): Cuts phrases into tokens.
        """
        self.bars = word_set(cut, ("|",))

    def __call__(self, tokens: Tokens, phrases: Sequence[Mark]) -> tuple[list[Mark], set[int]]:
        """The ticks under "no", and the tokens of rows, whose signs say nothing more.

        tokens (Tokens): The text.
        phrases (Sequence[Mark]): Every phrase of the lexicon in it.
        RETURNS (tuple[list[Mark], set[int]]): Ticks with the cue of their column, and tokens.
        """
        heads = [mark for mark in phrases if mark[2].place == "column"]
        ticked: list[Mark] = []
        rows: set[int] = set()
        for table in self._tables(tokens, heads) if len(heads) > 1 else ():
            ticks = [mark for mark in phrases if mark[2].box == "ticked"]
            for first, last in self._rows(tokens, table):
                rows.update(range(first, last))
                ticked += [
                    (start, end, table.negative[2])
                    for start, end, _ in ticks
                    if first <= start < last
                    and self._fills(tokens, start, end)
                    and self._under(tokens, start, table)
                ]
        return ticked, rows

    def _tables(self, tokens: Tokens, heads: Sequence[Mark]) -> Iterator[Heads]:
        """Heads of opposite columns beside each other, each alone in its cell."""
        cells = [mark for mark in heads if self._fills(tokens, mark[0], mark[1])]
        before = -1
        for one, other in pairwise(cells):
            line = bisect_right(tokens.lines, one[0])
            opposite = (one[2].role == "cue") != (other[2].role == "cue")
            apart = other[0] - one[1]
            beside = apart == 0 or (apart == 1 and tokens.words[one[1]] in self.bars)
            if opposite and beside and line != before and tokens.gaps[other[0]] < LINE:
                before = line
                yield Heads(*(one, other) if other[2].role == "cue" else (other, one), line)

    def _fills(self, tokens: Tokens, start: int, end: int) -> bool:
        words, gaps, count = tokens.words, tokens.gaps, len(tokens.words)
        opens = start == 0 or words[start - 1] in self.bars or gaps[start] >= WIDE
        return opens and (end == count or words[end] in self.bars or gaps[end] >= WIDE)

    def _rows(self, tokens: Tokens, table: Heads) -> Iterator[tuple[int, int]]:
        """The lines below, up to an empty one or one without cells."""
        lines, gaps, count = tokens.lines, tokens.gaps, len(tokens.words)
        for line in range(table.line, len(lines)):
            first = lines[line]
            last = lines[line + 1] if line + 1 < len(lines) else count
            if gaps[first] == BLANK:
                return
            cut = WIDE in gaps[first + 1 : last]
            if not cut and self.bars.isdisjoint(tokens.words[first:last]) and last - first > WIDTH:
                return
            yield first, last

    def _under(self, tokens: Tokens, start: int, table: Heads) -> bool:
        """Whether a tick stands in the column of "no"."""
        places = [table.negative[0], table.positive[0], start]
        words, firsts = tokens.words, [self._first(tokens, place) for place in places]
        if not self.bars.isdisjoint(words[firsts[0] : places[0]]):
            no, _, here = (
                sum(word in self.bars for word in words[first:place])
                for first, place in zip(firsts, places, strict=True)
            )
            outer = words[firsts[2]] in self.bars and words[firsts[0]] not in self.bars
            return here - outer == no
        text = tokens.text()
        ends = [int(tokens.at[place]) for place in places]
        before = [text[text.rfind("\n", 0, end) + 1 : end] for end in ends]
        drawn = any("\t\t" in head.strip("\t") for head in before[:2])
        if "\t" in before[0] + before[1] and not drawn:
            return before[2].count("\t") == before[0].count("\t")
        no, yes, here = (len(line.expandtabs(WIDTH)) for line in before)
        return abs(here - no) < min(abs(here - yes), abs(no - yes))

    def _first(self, tokens: Tokens, token: int) -> int:
        """The first token of a token's line."""
        line = bisect_right(tokens.lines, token)
        return tokens.lines[line - 1] if line else 0
