"""Texts compared by their letters and digits alone: case, white space and punctuation, which
language models change, do not count."""

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise


@dataclass(frozen=True)
class Letters:
    """The letters and digits of a text, in one case.

    text (str): The text.
    """

    text: str

    @cached_property
    def _found(self) -> tuple[str, list[int]]:
        folded: list[str] = []
        at: list[int] = []
        for index, sign in enumerate(self.text):
            if sign.isalnum():
                one = sign.casefold()
                folded.append(one)
                at += [index] * len(one)
        return "".join(folded), at

    @property
    def folded(self) -> str:
        """The letters and digits."""
        return self._found[0]

    @property
    def at(self) -> list[int]:
        """By letter, its offset in the text."""
        return self._found[1]

    def before(self, offset: int) -> int:
        """How many letters stand before an offset of the text."""
        return bisect_left(self.at, offset)

    @cached_property
    def written(self) -> tuple[str, list[int]]:
        """All signs but white space, and by sign its offset in the text."""
        at = [offset for offset, sign in enumerate(self.text) if not sign.isspace()]
        return "".join(self.text[offset] for offset in at), at

    @cached_property
    def words(self) -> list[tuple[int, int]]:
        """Runs of letters, and of digits, that nothing stands between, as (start, end) in letters
        ("10mg" is two)."""
        at, folded = self.at, self.folded
        cuts = [
            0,
            *(
                i
                for i in range(1, len(at))
                if at[i] - at[i - 1] > 1 or folded[i].isdigit() != folded[i - 1].isdigit()
            ),
            len(at),
        ]
        return [pair for pair in pairwise(cuts) if pair[0] < pair[1]]

    @cached_property
    def starts(self) -> frozenset[int]:
        """The letters that begin a word."""
        return frozenset(start for start, _ in self.words)

    @cached_property
    def ends(self) -> frozenset[int]:
        """The letters that stand right behind a word."""
        return frozenset(end for _, end in self.words)


def distance(one: str, other: str, limit: int) -> int:
    """How many letters have to be put in, left out or exchanged to make one string of another.

    one (str), other (str): The strings.
    limit (int): What is more than this need not be exact.
    RETURNS (int): The distance of Levenshtein, or `limit + 1` where it is more.
    """
    if one == other:
        return 0
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    row = list(range(len(other) + 1))
    for i, sign in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, letter in enumerate(other, 1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (sign != letter))
            diagonal, row[j] = row[j], best
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)
