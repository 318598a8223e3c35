"""Where the words of a copied text stand in the text, though the copy be altered."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import cached_property

from spacy_clinner.llm.edges import left_edge, right_edge
from spacy_clinner.llm.letters import Letters

# Between stretches that agree by words, letters are compared where there are not too many.
PAIRS_COMPARED = 250_000
NOWHERE = -1
# Words at a side that tell whether two stretches stand alike, and in how many signs any are looked
# for.
BESIDE = 2
LOOKED_AT = 80
# What may end a sentence.
BREAK = re.compile(r"[.!?;\n]")
NEVER = re.compile(r"(?!)")


class CopiedText:
    """A copy of a text, aligned with it by the longest stretches of words that are unchanged, and
    between these by the longest of letters.

    text (Letters): The text.
    copy (Letters): What should be a copy of it.
    """

    def __init__(self, text: Letters, copy: Letters) -> None:
        self.text = text
        self.copy = copy
        self._letters = align(copy, text)

    def place(self, start: int, end: int) -> tuple[int, int] | None:
        """Where the stretch of the copy stands in the text.

        start (int), end (int): Offsets in characters into the copy.
        RETURNS (tuple[int, int] | None): Offsets into the text; None where its letters were not
            found there, or not beside each other.
        """
        first, behind = self.copy.before(start), self.copy.before(end)
        if first == behind:
            return self._place_signs(start, end, first)
        found = self._letters[first:behind]
        known = [letter for letter in found if letter != NOWHERE]
        if not known or known[-1] - known[0] + 1 > 2 * len(found):
            return None
        return self._left(start, first, known[0]), self._right(end, behind, known[-1])

    def stands_alike(self, echo: tuple[int, int], there: tuple[int, int]) -> bool:
        """Whether a stretch of the text stands there as one of the copy does that was not aligned
        with it: in a sentence, between the same words. Where another part of the copy has that
        place, all of the sentence must be the same, or what stands beside, whatever the sentences.

        echo (tuple[int, int]), there (tuple[int, int]): Offsets into the copy, and into the text.
        RETURNS (bool): Whether it does.
        """

        def same(until: re.Pattern[str], words: int) -> bool:
            here = _around(self.copy.text, *echo, until, words)
            around = any(here) or until is NEVER
            return around and here == _around(self.text.text, *there, until, words)

        first, behind = self.copy.before(echo[0]), self.copy.before(echo[1])
        taken = self._aligned[self.text.before(there[0]) : self.text.before(there[1])]
        other = sum(at != NOWHERE and not first <= at < behind for at in taken)
        if 2 * other < len(taken):
            return same(BREAK, BESIDE)
        return same(BREAK, LOOKED_AT) or same(NEVER, BESIDE)

    @cached_property
    def _aligned(self) -> list[int]:
        """By letter of the text, the letter of the copy that stands for it, or `NOWHERE`."""
        found = [NOWHERE] * len(self.text.folded)
        for at, letter in enumerate(self._letters):
            if letter != NOWHERE:
                found[letter] = at
        return found

    def _left(self, start: int, first: int, letter: int) -> int:
        at, signs = self.text.at, self.copy.text
        begins = at[letter - 1] + 1 if letter else 0
        outside = None
        if first == 0 or self._letters[first - 1] == letter - 1:
            outside = signs[self.copy.at[first - 1] + 1 if first else 0 : start]
        inside = signs[start : self.copy.at[first]]
        return begins + left_edge(self.text.text[begins : at[letter]], inside, outside)

    def _right(self, end: int, behind: int, letter: int) -> int:
        at, signs = self.text.at, self.copy.text
        ends = at[letter + 1] if letter + 1 < len(at) else len(self.text.text)
        last = behind == len(self._letters)
        outside = None
        if last or self._letters[behind] == letter + 1:
            outside = signs[end : len(signs) if last else self.copy.at[behind]]
        inside = signs[self.copy.at[behind - 1] + 1 : end]
        begins = at[letter] + 1
        return begins + right_edge(self.text.text[begins:ends], inside, outside)

    def _place_signs(self, start: int, end: int, letter: int) -> tuple[int, int] | None:
        """Of a stretch without letters, "+" for one, which stands between two letters."""
        gap = self._gap(self.copy, letter)
        following = self._letters[letter] if letter < len(self._letters) else None
        before = self._letters[letter - 1] if letter else None
        if following is None:
            following = len(self.text.at) if before is None else before + 1
        if before is None:
            before = following - 1
        if NOWHERE in (before, following) or before + 1 != following:
            return None
        there = self._gap(self.text, following)
        words, offset = self.copy.text[start:end], start - gap[0]
        places = range(there[0], there[1] - len(words) + 1)
        same = [at for at in places if self.text.text.startswith(words, at)]
        if not same:
            return None
        best = min(same, key=lambda at: abs(at - there[0] - offset))
        return best, best + len(words)

    @staticmethod
    def _gap(letters: Letters, letter: int) -> tuple[int, int]:
        begins = letters.at[letter - 1] + 1 if letter else 0
        return begins, letters.at[letter] if letter < len(letters.at) else len(letters.text)


def _around(
    text: str, start: int, end: int, until: re.Pattern[str], words: int
) -> tuple[list[str], list[str]]:
    """The words at both sides of a stretch of a text, up to a break, and no more than so many."""
    before = until.split(text[max(0, start - LOOKED_AT) : start])[-1]
    behind = until.split(text[end : end + LOOKED_AT])[0]
    return _words(before)[-words:], _words(behind)[:words]


def _words(text: str) -> list[str]:
    letters = Letters(text)
    return [letters.folded[start:end] for start, end in letters.words]


def align(copy: Letters, text: Letters) -> list[int]:
    """By letter of a copy, the letter of the text that it stands for, or `NOWHERE`.

    copy (Letters), text (Letters): The two.
    RETURNS (list[int]): As long as the copy has letters; what is known rises.
    """
    if copy.folded == text.folded:
        return list(range(len(text.folded)))
    found = [NOWHERE] * len(copy.folded)
    words = [[side.folded[a:b] for a, b in side.words] for side in (copy, text)]
    rest_copy = rest_text = 0
    for here, there, size in _unchanged(*words):
        ends = [
            side.words[at][0] if at < len(side.words) else len(side.folded)
            for side, at in ((copy, here), (text, there))
        ]
        _align_letters(copy, text, (rest_copy, ends[0]), (rest_text, ends[1]), found)
        if size:
            length = copy.words[here + size - 1][1] - ends[0]
            found[ends[0] : ends[0] + length] = range(ends[1], ends[1] + length)
            rest_copy, rest_text = ends[0] + length, ends[1] + length
    return found


def _align_letters(
    copy: Letters, text: Letters, here: tuple[int, int], there: tuple[int, int], found: list[int]
) -> None:
    """Fill in what stands between two stretches that agree by words."""
    ours, theirs = copy.folded[slice(*here)], text.folded[slice(*there)]
    if ours == theirs:
        found[slice(*here)] = range(*there)
    elif len(ours) * len(theirs) <= PAIRS_COMPARED:
        for a, b, size in _unchanged(ours, theirs):
            found[here[0] + a : here[0] + a + size] = range(there[0] + b, there[0] + b + size)


def _unchanged(one: Sequence[str], other: Sequence[str]) -> list[tuple[int, int, int]]:
    """The stretches that two sequences share: the longest, and so on at both sides of it. The
    last is of no length and stands at both ends."""
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return [(match.a, match.b, match.size) for match in matcher.get_matching_blocks()]


def is_copy(text: str, copy: str) -> bool:
    """Whether most of what is given for a copy of a text is from it.

    text (str): The text.
    copy (str): What is given for a copy.
    RETURNS (bool): Whether at least half of its letters stand in the text, in that order.
    """
    found = align(Letters(copy), Letters(text))
    return 2 * sum(letter != NOWHERE for letter in found) >= len(found)
