"""Signs and boxes: "(-) fever (+) cough", "CP -, SOB +", "[x] rash [ ] fever", "-LOF, +FM"."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace

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
        self.boxes = {cue.id for cue in cues.values() if cue.id == "neg_box"}
        self.checked = {cue.id for cue in cues.values() if cue.id == "yes_box"}
        self.ticks = word_set(cut, ("✓", "✔"))
        self.stops = word_set(cut, STOPS)
        self.commas = word_set(cut, COMMAS)
        self.slashes = word_set(cut, SLASHES)
        self.bare = word_set(cut, BARE)
        self.slash = word_set(cut, ("/", "+/"))
        self.plus = word_set(cut, ("+",))

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
        lines: dict[int, list[Mark]] = {}
        for mark in signs:
            lines.setdefault(bisect_right(tokens.lines, mark[0]), []).append(mark)
        kept: list[Mark] = []
        chosen = self._chosen(tokens, lines)
        for number_of, line in lines.items():
            shown = [self._shows(tokens, mark, ends) for mark in line]
            last = line[-1][1]
            closed = last == len(tokens.words) or tokens.gaps[last] >= LINE
            if len(line) > 1 and closed and all(start in ends for start, _, _ in line):
                shown = [True] * len(line)  # "cough + fever -"
            boxed = [cue.id in self.boxes | self.checked for _, _, cue in line]
            count = sum(shows and not box for shows, box in zip(shown, boxed, strict=True))
            marks = [
                mark
                for mark, shows in zip(line, shown, strict=True)
                if self._is_sign(tokens, mark, count - shows > 0, begins, ends)
            ]
            after = bool(marks) and marks[0][0] in ends and tokens.gaps[marks[0][0]] < LINE
            for number, (start, end, cue) in enumerate(marks):
                following = marks[number + 1][0] if number + 1 < len(marks) else tokens.last[start]
                entity = bisect_left(starts, end)
                alone = entity == len(starts) or starts[entity] >= following
                behind = start in ends and tokens.gaps[start] < LINE
                way = "backward" if behind and (after or alone) else "forward"
                turned = cue if cue.role == "terminator" else self.turned[cue.id, way]
                if turned.id in self.boxes and number_of in chosen:
                    turned = replace(turned, skips=frozenset())
                kept.append((start, end, turned))
        return kept

    def _chosen(self, tokens: Tokens, lines: Mapping[int, Sequence[Mark]]) -> set[int]:
        """The lines whose boxes are answers, as one of them or of the lines beside is checked.

        In "☐ aspirin 300 mg stat" the empty box is something to do, and negates nothing.
        """
        checked = {
            number
            for number, line in lines.items()
            if any(
                cue.id in self.checked
                and (end - start > 1 or tokens.words[start] not in self.ticks)
                for start, end, cue in line
            )
        }
        blocks: list[list[int]] = []
        for number in lines:
            joins = blocks and number == blocks[-1][-1] + 1
            if joins and tokens.gaps[tokens.lines[number - 1]] == LINE:
                blocks[-1].append(number)
            else:
                blocks.append([number])
        return {number for block in blocks if not checked.isdisjoint(block) for number in block}

    def _is_sign(
        self, tokens: Tokens, mark: Mark, others: bool, begins: set[int], ends: set[int]
    ) -> bool:
        """Whether a hyphen or a plus is a sign; `others`: its line has more signs."""
        start, end, _ = mark
        words, gaps = tokens.words, tokens.gaps
        if end - start > 1 or words[start] not in self.bare:
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
        return others and (closes or (end in begins and not glued))

    def _shows(self, tokens: Tokens, mark: Mark, ends: set[int]) -> bool:
        """Whether a sign shows that its line has signs: "(-)", "+x", ", -x", "x+"."""
        start, end, _ = mark
        if end - start > 1 or tokens.words[start] not in self.bare:
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
