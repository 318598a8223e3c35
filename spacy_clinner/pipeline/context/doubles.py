"""Negations that cancel each other: "no lack of", "never a day without"."""

from bisect import bisect_left
from collections.abc import Sequence

from spacy_clinner.pipeline.context.scope_words import ScopeWords
from spacy_clinner.pipeline.context.tokens import Mark, Tokens

REACH = 5  # tokens between two negations that cancel each other


def cancelled_negations(
    tokens: Tokens, marks: Sequence[Mark], starts: Sequence[int], said: ScopeWords
) -> set[int]:
    """The numbers of the negations that cancel each other.

    tokens (Tokens): The text.
    marks (Sequence[tuple[int, int, Cue]]): Its cues.
    starts (Sequence[int]): Where entities start, sorted.
    said (ScopeWords): The words that may stand between.
    RETURNS (set[int]): Numbers among the cues, always of pairs.
    """
    cancelled: set[int] = set()
    previous: int | None = None
    for number, (start, _, cue) in enumerate(marks):
        if "negated" not in cue.categories or cue.direction not in ("forward", "either"):
            continue
        if cue.doubles and previous is not None and previous not in cancelled:
            end, other = marks[previous][1:]
            near = end <= start <= end + REACH and not other.place
            # An entity between the two is what the first one negates.
            inside = cue.direction == "either"  # "denies d/c", where that is a finding
            free = near and bisect_left(starts, end) == bisect_left(starts, start + inside)
            if free and _cancel(tokens, end, start, cue.doubles == "links", said):
                cancelled |= {previous, number}
        # "no missed doses" cancels; an order does not: "stop No Salt".
        if cue.direction == "forward":
            previous = number
    return cancelled


def _cancel(tokens: Tokens, end: int, start: int, links: bool, said: ScopeWords) -> bool:
    """Whether nothing stands between two negations that would keep them apart."""
    if tokens.first[start] != tokens.first[end - 1]:
        return False
    between = tokens.words[end:start]
    if links and any(word not in said.links for word in between):
        return False
    return (said.separators | said.colons).isdisjoint(between)
