"""From what an answer says to places in the text, so that no answer ever moves a span."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from spacy_clinner.llm.copies import CopiedText
from spacy_clinner.llm.letters import Letters, distance
from spacy_clinner.llm.mentions import Answer, Mention, Place, Said
from spacy_clinner.llm.search import FUZZY, Candidate, allowed, candidates, kind_of

NOT_FOUND = "not found"
REPEATED = "repeated"
KINDS = ("exact", "normalised", FUZZY, NOT_FOUND, REPEATED)
# Words of an answer's copy that tell which of several places is meant.
CONTEXT = 60


@dataclass(frozen=True)
class Placement:
    """Where the mentions of an answer stand.

    mentions (tuple[Mention, ...]): Those that were found, in the order of their `place`.
    kinds (tuple[str, ...]): How each was found: "exact", "normalised" or "fuzzy".
    counts (Counter[str]): How many of the answer's mentions there are of these kinds, and of
        "not found" (its words are not in the text) and "repeated" (everywhere that its words
        stand was named before); both are dropped.
    """

    mentions: tuple[Mention, ...] = ()
    kinds: tuple[str, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)


def place(text: str, answer: Answer) -> Placement:
    """Find the mentions of an answer.

    In the answer's copy of the text, where it gives one, by what is unchanged; else by their
    words, and of several places by the words before and the order of the answer.

    text (str): The text.
    answer (Answer): The answer.
    RETURNS (Placement): What was found, and how.
    """
    found = _rows(Letters(text), answer)
    chosen = _choose(found)
    dropped = (REPEATED if row else NOT_FOUND for at, row in enumerate(found) if at not in chosen)
    order = sorted(chosen, key=lambda at: chosen[at].place)
    number = {at: i for i, at in enumerate(order)}
    mentions = (
        Mention(
            answer.said[at].label,
            chosen[at].candidate.start,
            chosen[at].candidate.end,
            tuple(sorted({number[head] for head in answer.said[at].heads if head in number})),
            answer.said[at].assertion,
        )
        for at in order
    )
    kinds = tuple(chosen[at].candidate.kind for at in order)
    return Placement(tuple(mentions), kinds, Counter(chain(kinds, dropped)))


def first_choices(text: Letters, answer: Answer) -> list[Place | None]:
    """Where each mention of an answer is placed.

    text (Letters): The text.
    answer (Answer): The answer.
    RETURNS (list[Place | None]): In the order of the answer; None for what is dropped.
    """
    chosen = _choose(_rows(text, answer))
    return [chosen[at].place if at in chosen else None for at in range(len(answer.said))]


@dataclass(frozen=True)
class _Found:
    label: str
    candidate: Candidate

    @property
    def place(self) -> Place:
        return Place(self.candidate.start, -self.candidate.end, self.label)


def _rows(text: Letters, answer: Answer) -> list[list[_Found]]:
    """By mention of the answer, the places that it may mean."""
    if answer.copy is None:
        found = [candidates(text, said.words, said.after) for said in answer.said]
    else:
        found = _by_copy(CopiedText(text, Letters(answer.copy)), answer.said)
    return [
        [_Found(said.label, one) for one in row]
        for said, row in zip(answer.said, found, strict=True)
    ]


def _by_copy(copied: CopiedText, said: Sequence[Said]) -> list[list[Candidate]]:
    """By mention, its place by the copy; of what has none there, such as a sentence that the copy
    repeats or moves, the places of its words that stand as in the copy."""
    there = [_in_copy(copied, one) for one in said]
    marked = {(one.label, *at[:2]) for one, at in zip(said, there, strict=True) if at}
    rows = []
    for one, at in zip(said, there, strict=True):
        row = [at] if at else []
        if at is None and one.echo is not None:
            before = copied.copy.text[: one.echo[0]][-CONTEXT:]
            row = [
                found
                for found in candidates(copied.text, one.words, before)
                if (one.label, *found[:2]) in marked
                or copied.stands_alike(one.echo, (found.start, found.end))
            ]
        rows.append(row)
    return rows


def _choose(rows: Sequence[Sequence[_Found]]) -> dict[int, _Found]:
    """By row, the place that is meant: by the order, and what does not fit in it at the first
    place that nothing of its label has."""
    chosen = _in_order(rows)
    taken = {one.place for one in chosen.values()}
    for at, row in enumerate(rows):
        if at not in chosen and (free := [one for one in row if one.place not in taken]):
            chosen[at] = free[0]
            taken.add(free[0].place)
    return chosen


def _in_copy(copied: CopiedText, said: Said) -> Candidate | None:
    text = copied.text
    found = copied.place(*said.echo) if said.echo else None
    if found is None:
        return None
    sought = Letters(said.words)
    kind = kind_of(text.text[slice(*found)], sought)
    stretch = text.before(found[0]), text.before(found[1])
    first, behind = _whole_words(text, *stretch)
    echoed = (copied.copy.before(edge) for edge in said.echo or ())
    cut_short = (first, behind) != stretch and _is_whole(copied.copy, *echoed)
    if kind != FUZZY and not cut_short:
        return Candidate(*found, kind)
    if first == behind:
        return None
    limit = allowed(len(sought.folded))
    if distance(text.folded[first:behind], sought.folded, limit) > limit:
        return None
    return Candidate(text.at[first], text.at[behind - 1] + 1, FUZZY)


def _whole_words(text: Letters, first: int, behind: int) -> tuple[int, int]:
    while first > 0 and first not in text.starts:
        first -= 1
    while behind < len(text.at) and behind not in text.ends:
        behind += 1
    return first, behind


def _is_whole(text: Letters, first: int, behind: int) -> bool:
    return first in text.starts and behind in text.ends


def _in_order(rows: Sequence[Sequence[_Found]]) -> dict[int, _Found]:
    """By row, one of each of the most rows whose places can rise from row to row; of several
    ways the one that ends first."""
    ends: list[Place] = []
    last: list[tuple[int, _Found]] = []
    before: dict[tuple[int, Place], tuple[int, _Found] | None] = {}
    for at, row in enumerate(rows):
        # From the last to the first, so that no row is used twice.
        for one in sorted(row, key=lambda one: one.place, reverse=True):
            level = bisect_left(ends, one.place)
            before[at, one.place] = last[level - 1] if level else None
            if level == len(ends):
                ends.append(one.place)
                last.append((at, one))
            else:
                ends[level], last[level] = one.place, (at, one)
    chosen = {}
    step = last[-1] if last else None
    while step is not None:
        at, one = step
        chosen[at] = one
        step = before[at, one.place]
    return chosen
