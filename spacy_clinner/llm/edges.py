"""Which of the signs between two words belong to a mention: "+" to "CRP +", "." not to "fever."."""

from spacy_clinner.llm.letters import distance

# Of longer runs of punctuation the signs next to the mention are looked at.
LOOKED_AT = 40


def left_edge(gap: str, inside: str, outside: str | None = None) -> int:
    """Where a mention begins in the signs before its first letter.

    gap (str): The signs between the letter before and the mention's first one, in the text.
    inside (str): The signs with which the mention begins, as an answer has them.
    outside (str | None): The signs before these, as an answer has them; None where unknown.
    RETURNS (int): How many of the gap's signs stand before the mention.
    """
    if outside is not None and gap == outside + inside:
        return len(outside)
    near = gap[-LOOKED_AT:]
    best = min(range(len(near) + 1), key=lambda cut: (_cost(near, cut, inside, outside), -cut))
    return len(gap) - len(near) + best


def right_edge(gap: str, inside: str, outside: str | None = None) -> int:
    """Where a mention ends in the signs behind its last letter; the mirror of `left_edge`.

    RETURNS (int): How many of the gap's signs belong to the mention.
    """
    mirrored = left_edge(gap[::-1], inside[::-1], None if outside is None else outside[::-1])
    return len(gap) - mirrored


def _cost(gap: str, cut: int, inside: str, outside: str | None) -> int:
    cost = _differ(gap[cut:], inside)
    return cost if outside is None else cost + _differ(gap[:cut], outside[-LOOKED_AT:])


def _differ(one: str, other: str) -> int:
    signs, others = "".join(one.split()), "".join(other.split())
    return distance(signs, others, max(len(signs), len(others)))
