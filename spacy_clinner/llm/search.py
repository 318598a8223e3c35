"""Where words of an answer may stand in a text: as they are, in other case or with other spaces and
punctuation, or with a few letters changed."""

import re
from bisect import bisect_left
from itertools import pairwise
from typing import NamedTuple

from spacy_clinner.llm.edges import left_edge, right_edge
from spacy_clinner.llm.letters import Letters, distance

# Of the letters of a mention at most this part, and at most so many, may differ.
DIFFERING_PART = 0.2
DIFFERING_MOST = 8
# How often a piece of a mention is looked up where the mention itself is not there.
LOOKUPS = 50

WHITE_SPACE = r"\s*"

EXACT = "exact"
NORMALISED = "normalised"
FUZZY = "fuzzy"


class Candidate(NamedTuple):
    """A stretch of the text that may be meant.

    start (int), end (int): Offsets in characters.
    kind (str): "exact", "normalised" (letters and digits are the same) or "fuzzy".
    """

    start: int
    end: int
    kind: str


def allowed(letters: int) -> int:
    """How many letters of so many may differ."""
    return min(DIFFERING_MOST, int(DIFFERING_PART * letters))


def candidates(text: Letters, words: str, after: str = "") -> list[Candidate]:
    """Look words up.

    text (Letters): The text.
    words (str): The words.
    after (str): Words that stand right before them.
    RETURNS (list[Candidate]): In the order of the text; of places with the same words those that
        stand behind most of `after`, and of these whole words before parts of words.
    """
    sought = Letters(words)
    if not sought.folded:
        return _signs(text, words, after)
    stretches = _behind(text, _same_letters(text, sought), after)
    whole = [(a, b) for a, b in stretches if a in text.starts and b in text.ends]
    chosen = whole or _behind(text, _nearly_same(text, sought), after) or stretches
    return [candidate(text, a, b, sought) for a, b in chosen]


def candidate(text: Letters, first: int, behind: int, sought: Letters) -> Candidate:
    """A stretch of letters with the signs at its ends that the sought words have."""
    at, raw, words = text.at, text.text, sought.text
    begins = at[first - 1] + 1 if first else 0
    ends = at[behind] if behind < len(at) else len(raw)
    start = begins + left_edge(raw[begins : at[first]], words[: sought.at[0]])
    last = at[behind - 1] + 1
    end = last + right_edge(raw[last:ends], words[sought.at[-1] + 1 :])
    return Candidate(start, end, kind_of(raw[start:end], sought))


def kind_of(found: str, sought: Letters) -> str:
    """How a stretch of text is like the sought words."""
    if found == sought.text:
        return EXACT
    return NORMALISED if Letters(found).folded == sought.folded else FUZZY


def _same_letters(text: Letters, sought: Letters) -> list[tuple[int, int]]:
    """Where the letters stand, not within those of one sign ("ß", which is two)."""
    length = len(sought.folded)
    found: list[tuple[int, int]] = []
    at = text.folded.find(sought.folded)
    while at >= 0:
        if not _splits(text, at) and not _splits(text, at + length):
            found.append((at, at + length))
        at = text.folded.find(sought.folded, at + 1)
    return found


def _splits(text: Letters, letter: int) -> bool:
    return 0 < letter < len(text.at) and text.at[letter] == text.at[letter - 1]


def _nearly_same(text: Letters, sought: Letters) -> list[tuple[int, int]]:
    """Whole words that differ in few letters. Of one piece more than letters may differ, one is
    there unchanged."""
    length = len(sought.folded)
    limit = allowed(length)
    if not limit:
        return []
    cuts = [length * i // (limit + 1) for i in range(limit + 2)]
    begins = {
        at - cut
        for cut, following in pairwise(cuts)
        for at in _found(text.folded, sought.folded[cut:following])
    }
    best: dict[int, tuple[int, int]] = {}
    for begin in sorted(begins):
        for start in (a for a in range(begin - limit, begin + limit + 1) if a in text.starts):
            for end in range(start + length - limit, start + length + limit + 1):
                if end in text.ends and start not in best:
                    differ = distance(text.folded[start:end], sought.folded, limit)
                    if differ <= limit:
                        best[start] = differ, end
    nearest = min((differ for differ, _ in best.values()), default=0)
    return [(start, end) for start, (differ, end) in sorted(best.items()) if differ == nearest]


def _found(text: str, piece: str) -> list[int]:
    found: list[int] = []
    at = text.find(piece)
    while at >= 0 and len(found) < LOOKUPS:
        found.append(at)
        at = text.find(piece, at + 1)
    return found


def _behind(text: Letters, stretches: list[tuple[int, int]], after: str) -> list[tuple[int, int]]:
    """Those that stand behind the longest end of the words given."""
    if not after or len(stretches) < 2:
        return stretches
    best = _best_behind(text, [text.at[first] for first, _ in stretches], after)
    return [stretches[at] for at in best]


def _best_behind(text: Letters, offsets: list[int], after: str) -> list[int]:
    """Which of several places stand behind most of the words given: most of their letters, and of
    those with as many, most of all their signs."""
    letters, signs = Letters(after).folded, "".join(after.split())
    written, at = text.written
    shared = [
        (
            _shared_end(text.folded[: text.before(offset)], letters),
            _shared_end(written[: bisect_left(at, offset)], signs),
        )
        for offset in offsets
    ]
    return [at for at, count in enumerate(shared) if count == max(shared)]


def _shared_end(one: str, other: str) -> int:
    count = 0
    for sign, letter in zip(reversed(one), reversed(other), strict=False):
        if sign != letter:
            break
        count += 1
    return count


def _signs(text: Letters, words: str, after: str) -> list[Candidate]:
    """Where signs stand that are no letters, "+" for one."""
    parts = words.split()
    if not parts:
        return []
    # Looked ahead, as they may overlap.
    pattern = f"(?=({WHITE_SPACE.join(map(re.escape, parts))}))"
    places = [found.span(1) for found in re.finditer(pattern, text.text)]
    if after and places:
        starts = [start for start, _ in places]
        places = [places[at] for at in _best_behind(text, starts, after)]
    sought = Letters(words)
    return [Candidate(a, b, kind_of(text.text[a:b], sought)) for a, b in places]
