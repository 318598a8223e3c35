"""What language models do to a text that they repeat: other case, other spaces, other signs."""

from dataclasses import replace
from itertools import pairwise

from spacy_clinner.llm.mentions import Answer


def noisy(text, rng, share):
    """A text of which about a share of the signs is changed, and no letter or digit."""
    return "".join(_changed(sign, rng) if rng.random() < share else sign for sign in text)


def _changed(sign, rng):
    if sign.isspace():
        return rng.choice(["\n", "  ", " \n", " "])
    if not sign.isalnum():
        return rng.choice(["", sign * 2, f" {sign}", ","])
    other = sign.swapcase()
    return other if len(other) == 1 and other.casefold() == sign.casefold() else sign


def with_noise(answer: Answer, rng, share):
    """An answer as a careless model would give it."""
    if answer.copy is None:
        said = (
            replace(one, words=noisy(one.words, rng, share), after=noisy(one.after, rng, share))
            for one in answer.said
        )
        return replace(answer, said=tuple(said))
    cuts = sorted({0, len(answer.copy), *(edge for one in answer.said for edge in one.echo)})
    moved, copy = {0: 0}, ""
    for start, end in pairwise(cuts):
        copy += noisy(answer.copy[start:end], rng, share)
        moved[end] = len(copy)
    echoes = [tuple(moved[edge] for edge in one.echo) for one in answer.said]
    said = (
        replace(one, echo=echo, words=copy[slice(*echo)])
        for one, echo in zip(answer.said, echoes, strict=True)
    )
    return replace(answer, copy=copy, said=tuple(said))
