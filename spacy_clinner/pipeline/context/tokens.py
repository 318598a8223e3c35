"""What the rules see of a text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from spacy.strings import get_string_id

from spacy_clinner.pipeline.context.lexicon import Cue
from spacy_clinner.pipeline.phrases import PhraseTokenizer
from spacy_clinner.pipeline.token_kinds import BLANK_LINE, NEWLINE, TokenKinds

COMMAS = (",", "،", "、")
# What may follow a cue that stands alone: "Fever: no."
STOPS = (".", ",", ";", ")", "]", "!", "?", "(", "[", "|", "..", "*", "•")
TAB = get_string_id("\t")
# White space before a token, from `Tokens.gaps`.
NONE, SPACE, WIDE, LINE, BLANK = range(5)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the rules see of a document: its tokens without white space.

    words (list[int]): The hash of each token's lower form.
    first (list[int]): Per token, the first token of its sentence.
    last (list[int]): Per token, one past the last token of its sentence.
    gaps (list[int]): Per token, the white space before it: none, a space, more than a space or
        a tab, a line end, an empty line (`NONE` to `BLANK`).
    lines (list[int]): The first token of each line but the first.
    at (ndarray): Shape (tokens,): where each starts, in characters.
    text (Callable[[], str]): Gives the text; asked only where a table is drawn with spaces
        or a list holds words that are no entity.
    """

    words: list[int]
    first: list[int]
    last: list[int]
    gaps: list[int]
    lines: list[int]
    at: np.ndarray
    text: Callable[[], str]

    def is_number(self, token: int) -> bool:
        """Whether a token starts with a digit."""
        return self.text()[self.at[token]].isdigit()


def white_space(
    offsets: np.ndarray, keep: np.ndarray, orths: np.ndarray, kinds: TokenKinds
) -> tuple[list[int], list[int]]:
    """The white space before each token and where lines start, for `Tokens`.

    offsets (ndarray): Shape (tokens without white space, 2): start and end in characters.
    keep (ndarray): Shape (tokens,), bool: not white space.
    orths (ndarray): Shape (tokens,): their `ORTH`.
    kinds (TokenKinds): A cache over the vocabulary.
    RETURNS (tuple[list[int], list[int]]): `Tokens.gaps` and `Tokens.lines`.
    """
    if not len(offsets):
        return [], []
    before = np.concatenate(([offsets[0, 0]], offsets[:-1, 1]))
    gaps: list[int] = (offsets[:, 0] > before).astype(np.int64).tolist()
    # A no-break space alone is a space.
    narrow = (offsets[:, 0] - before == 1).tolist()
    spaces = np.flatnonzero(~keep)
    # As many white spaces stand before a token as its number lags behind.
    following = (spaces - np.arange(len(spaces))).tolist()
    lines: list[int] = []
    for after, orth in zip(following, orths[spaces].tolist(), strict=True):
        if after < len(gaps):
            kind = kinds[orth]
            wide = SPACE if narrow[after] and orth != TAB else WIDE
            gap = BLANK if kind & BLANK_LINE else LINE if kind & NEWLINE else wide
            gaps[after] = max(gaps[after], gap)
            if gap >= LINE and (not lines or lines[-1] != after):
                lines.append(after)
    return gaps, lines


# Where each token starts and ends in the text.
Offsets = tuple[np.ndarray, np.ndarray]
Mark = tuple[int, int, Cue]
Entities = Sequence[tuple[int, int]]
# An entity's semantic group and label, "" where unknown, by its number.
Kinds = Callable[[int], tuple[str, str]]


def word_set(cut: PhraseTokenizer, words: Sequence[str]) -> frozenset[int]:
    """The hashes of words that are one token each."""
    return frozenset(way[0] for word in words for way in cut(word) if len(way) == 1)
