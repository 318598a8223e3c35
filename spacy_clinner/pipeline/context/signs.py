"""Signs and boxes: "(-) fever (+) cough", "CP -, SOB +", "[x] rash [ ] fever", "-LOF, +FM"."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import and_

from spacy_clinner.pipeline.context.lexicon import Cue
from spacy_clinner.pipeline.context.tokens import (
    COMMAS,
    LINE,
    NONE,
    STOPS,
    WIDE,
    Mark,
    Tokens,
    word_set,
)
from spacy_clinner.pipeline.phrases import PhraseTokenizer

SLASHES = ("/", "(", "[", ":", *COMMAS, ";")
# Signs that are mostly something else: a dash, a bullet, a range, "and".
BARE = ("-", "–", "−", "+")
# What must stand near a box that is one only beside its opposite.
OPPOSITE = {"": "", "empty": "ticked", "ticked": "empty"}
BOXES = frozenset(OPPOSITE)


class Signs:
    """Tells signs from dashes, and turns each to the finding that it speaks of."""

    def __init__(self, cues: Mapping[str, Cue], cut: PhraseTokenizer) -> None:
        """Make it.

        cues (Mapping[str, Cue]): By id; those in the place of a sign are turned.
        cut (PhraseTokenizer): Cuts phrases into tokens.
        """
        self.turned = {
            (cue.id, way): replace(cue, direction=way)
            for cue in cues.values()
            if cue.place == "sign"
            for way in ("forward", "backward")
        }
        self.stops = word_set(cut, STOPS)
        self.commas = word_set(cut, COMMAS)
        self.slashes = word_set(cut, SLASHES)
        self.bare = word_set(cut, BARE)
        self.slash = word_set(cut, ("/", "+/"))
        self.plus = word_set(cut, ("+",))
        self.asks = word_set(cut, (":", "?"))
        self.heads = word_set(cut, (">",))

    def __call__(
        self, tokens: Tokens, signs: Sequence[Mark], starts: Sequence[int], ends: set[int]
    ) -> list[Mark]:
        """The signs that are signs, cues and terminators.

        Within a line all stand before their findings, or all after: the first one shows it.

        tokens (Tokens): The text.
        signs (Sequence[Mark]): Every sign of the lexicon in it, in order.
        starts (Sequence[int]): Where entities start, sorted.
        ends (set[int]): Where they end.
        RETURNS (list[Mark]): In order.
        """
        begins = set(starts)
        kept: list[Mark] = []
        signs = [mark for mark in signs if not self._is_arrow(tokens, mark)]
        for line, chosen in self._lines(tokens, signs):
            shown = [self._shows(tokens, mark, ends) for mark in line]
            bare = [self._is_bare(tokens, mark) for mark in line]
            last = line[-1][1]
            closed = last == len(tokens.words) or tokens.gaps[last] >= LINE
            # "AKI - Cr 2.1, +cough", "AMS - CT (-)": other signs make no minus of such a dash.
            behind = all(
                mark[0] in ends for mark, is_bare in zip(line, bare, strict=True) if is_bare
            )
            if len(line) > 1 and closed and behind and all(bare):
                shown = [True] * len(line)  # "cough + fever -"
            count = sum(shows and not mark[2].box for shows, mark in zip(shown, line, strict=True))
            between = behind and any(map(and_, shown, bare))
            marks = [
                mark
                for mark, shows in zip(line, shown, strict=True)
                if self._is_sign(tokens, mark, count - shows > 0, between, begins, ends)
            ]
            if closed:
                marks = [self._with_mark(tokens, mark, ends) for mark in marks]
            after = [start in ends and tokens.gaps[start] < LINE for start, _, _ in marks]
            for number, (start, end, cue) in enumerate(marks):
                following = marks[number + 1][0] if number + 1 < len(marks) else tokens.last[start]
                entity = bisect_left(starts, end)
                alone = entity == len(starts) or starts[entity] >= following
                way = "backward" if after[number] and (after[0] or alone) else "forward"
                turned = cue if cue.role == "terminator" else self.turned[cue.id, way]
                if chosen and turned.box:
                    turned = replace(turned, skips=frozenset())
                kept.append((start, end, turned))
        return kept

    def _lines(self, tokens: Tokens, signs: Sequence[Mark]) -> Iterator[tuple[list[Mark], bool]]:
        """The signs of each line, and whether a box of it or of the lines beside is ticked.

        In "☐ aspirin 300 mg stat" the empty box is something to do, and negates nothing.
        """
        blocks: list[list[list[Mark]]] = []
        before = -1
        for mark in signs:
            line = bisect_right(tokens.lines, mark[0])
            if line == before:
                blocks[-1][-1].append(mark)
            elif blocks and line == before + 1 and tokens.gaps[tokens.lines[before]] == LINE:
                blocks[-1].append([mark])
            else:
                blocks.append([[mark]])
            before = line
        for block in blocks:
            boxes = {cue.box for marks in block for _, _, cue in marks if cue.among != "line"}
            for marks in block:
                beside = {cue.box for _, _, cue in marks}
                there = {"": BOXES, "lines": boxes, "line": beside}
                kept = [mark for mark in marks if OPPOSITE[mark[2].box] in there[mark[2].among]]
                if kept:
                    yield kept, "ticked" in boxes or "ticked" in beside

    def _with_mark(self, tokens: Tokens, mark: Mark, ends: set[int]) -> Mark:
        """A box and the mark before it, in a line that a box ends: "Rash? [ ]  Hives? [x]"."""
        start, end, cue = mark
        asked = cue.box and start - 1 in ends and tokens.words[start - 1] in self.asks
        if asked and max(tokens.gaps[start - 1 : start + 1]) < LINE:
            return start - 1, end, cue
        return mark

    def _is_bare(self, tokens: Tokens, mark: Mark) -> bool:
        """Whether a sign is a hyphen or a plus without brackets."""
        start, end, _ = mark
        return end - start == 1 and tokens.words[start] in self.bare

    def _is_arrow(self, tokens: Tokens, mark: Mark) -> bool:
        """Whether a hyphen is the shaft of an arrow: "Lasix 40 -> 80"."""
        end = mark[1]
        if end == len(tokens.words) or not self._is_bare(tokens, mark):
            return False
        return tokens.gaps[end] == NONE and tokens.words[end] in self.heads

    def _is_sign(
        self,
        tokens: Tokens,
        mark: Mark,
        others: bool,
        between: bool,
        begins: set[int],
        ends: set[int],
    ) -> bool:
        """Whether a hyphen or a plus is a sign.

        others (bool): Its line has more signs.
        between (bool): All hyphens and pluses of its line stand behind entities, and others show
            that they are signs: what one with blanks between two entities needs.
        """
        start, end, _ = mark
        words, gaps = tokens.words, tokens.gaps
        if not self._is_bare(tokens, mark):
            return True
        if start and words[start - 1] in self.slash and gaps[start] == NONE:
            return False  # "+/- PCI"
        if end not in begins and start not in ends:
            return False
        opens = not start or gaps[start] >= LINE
        glued = end < len(words) and gaps[end] == NONE
        separated = opens or words[start - 1] in self.slashes
        if end in begins:
            if glued and not opens and (gaps[start] != NONE or separated):
                return True
            if separated and (others or (words[start] in self.plus and not opens)):
                return True
        if start not in ends:
            return False
        closes = end == tokens.last[start] or words[end] in self.stops or gaps[end] >= WIDE
        if gaps[start] == NONE and closes:
            return True
        if end in begins and not closes and not glued and gaps[start] != NONE:
            return between
        return others and (closes or (end in begins and not glued))

    def _shows(self, tokens: Tokens, mark: Mark, ends: set[int]) -> bool:
        """Whether a sign shows that its line has signs: "(-)", "+x", ", -x", "x+"."""
        start, end, _ = mark
        if not self._is_bare(tokens, mark):
            return True
        if not start or tokens.gaps[start] >= LINE:
            return tokens.words[start] in self.plus
        if tokens.words[start - 1] in self.slashes:
            return True
        closes = end == len(tokens.words) or tokens.words[end] in self.commas
        if start in ends and (closes or tokens.gaps[end] >= LINE):
            return True
        glued = not closes and tokens.gaps[end] == NONE
        return glued != (tokens.gaps[start] == NONE)
