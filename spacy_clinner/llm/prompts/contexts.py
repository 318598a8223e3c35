"""For answers that name words without a place: the words before them that tell which are meant."""

from collections.abc import Sequence

from spacy_clinner.llm.letters import Letters
from spacy_clinner.llm.mentions import Answer, Passage, Said
from spacy_clinner.llm.placement import first_choices


def with_contexts(passage: Passage, words: Sequence[str]) -> list[Said]:
    """Say the mentions of a passage so that each is found where it stands.

    passage (Passage): The passage.
    words (Sequence[str]): By mention, its words as an answer has them.
    RETURNS (list[Said]): The mentions; `after` is given only where it is needed, and is no longer
        than it has to be.
    """
    text = Letters(passage.text)
    firsts = [text.before(one.start) for one in passage.mentions]
    known = [0] * len(firsts)
    while True:
        said = [
            Said(one.label, own, after=_before(text, one.start, count), heads=one.heads)
            for one, own, count in zip(passage.mentions, words, known, strict=True)
        ]
        found = first_choices(text, Answer(tuple(said)))
        wrong = [
            at
            for at, (one, place) in enumerate(zip(passage.mentions, found, strict=True))
            if place != one.place and known[at] <= len(text.words)
        ]
        if not wrong:
            return said
        for at in wrong:
            known[at] = max(1, 2 * known[at])


def _before(text: Letters, offset: int, count: int) -> str:
    """The last words before an offset; of the word in which it lies, the part before."""
    if not count:
        return ""
    letter = text.before(offset)
    starts = [start for start, _ in text.words if start < letter]
    begin = text.at[starts[-count]] if count <= len(starts) else 0
    return " ".join(text.text[begin:offset].split())
