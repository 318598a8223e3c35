"""Annotated passages that a model is shown before it is asked."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from math import log, sqrt
from pathlib import Path

from spacy.vocab import Vocab

from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.llm.mentions import Passage
from spacy_clinner.llm.passages import Cutter
from spacy_clinner.schemes import Scheme

WAYS = ("seed", "nearest")


def read_passages(path: Path, layers: Sequence[Scheme], length: int) -> list[Passage]:
    """The annotated passages of a converted corpus.

    path (Path): A .spacy file.
    layers (Sequence[Scheme]): The layers; documents that do not annotate them all are left out.
    length (int): The most tokens of a passage.
    RETURNS (list[Passage]): Those in which anything is annotated.
    RAISES (ClinnerError): The file cannot be read, or there is no such passage in it.
    """
    cutter = Cutter(length)
    found = [
        cut.passage
        for doc in read_docs(path, Vocab())
        if all(scheme.layer in doc.spans for scheme in layers)
        for cut in cutter.cut(doc, layers)
        if cut.passage.mentions
    ]
    if not found:
        names = ", ".join(scheme.layer for scheme in layers)
        raise ClinnerError(f"{path}: no note there annotates {names}; give other `examples`.")
    return found


class Shots:
    """Chooses examples.

    passages (Sequence[Passage]): To choose from.
    count (int): How many to show.
    way (str): "seed": the same ones for every text, by chance. "nearest": those most like the
        text by their words, the nearest last.
    seed (int): Decides what is chosen by chance.
    """

    def __init__(
        self, passages: Sequence[Passage], count: int, way: str = "seed", seed: int = 0
    ) -> None:
        if way not in WAYS:
            raise ClinnerError(f"clinner_llm: `choose` must be one of {', '.join(WAYS)}.")
        self.passages = passages
        self.count = count
        self.way = way
        self._fixed = random.Random(seed).sample(list(passages), min(count + 1, len(passages)))
        self._words: list[Counter[str]] = []
        self._rarity: dict[str, float] = {}
        if way == "nearest":
            counts = [_words(passage.text) for passage in passages]
            holds = Counter(word for words in counts for word in words)
            self._rarity = {word: log(len(counts) / n) for word, n in holds.items()}
            self._words = counts

    def choose(self, text: str) -> list[Passage]:
        """The examples for a text, never the text itself.

        text (str): The text that is asked about.
        RETURNS (list[Passage]): At most `count`.
        """
        if self.way == "seed":
            return [one for one in self._fixed if one.text != text][: self.count]
        asked = _words(text)
        scores = [self._likeness(asked, words) for words in self._words]
        order = sorted(range(len(scores)), key=lambda at: (-scores[at], at))
        nearest = [self.passages[at] for at in order if self.passages[at].text != text]
        return nearest[: self.count][::-1]

    def _likeness(self, one: Counter[str], other: Counter[str]) -> float:
        """The cosine of two texts by their words, of which rare ones weigh more."""
        shared = sum(n * other[word] * self._weight(word) ** 2 for word, n in one.items())
        return shared / (self._norm(one) * self._norm(other) or 1.0)

    def _norm(self, words: Counter[str]) -> float:
        return sqrt(sum((n * self._weight(word)) ** 2 for word, n in words.items()))

    def _weight(self, word: str) -> float:
        return self._rarity.get(word, 0.0)


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))
