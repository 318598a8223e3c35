"""The corpus reader of the training configs: several converted corpora as one."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus, Example
from spacy.training.corpus import walk_corpus

# The place of a path in the list, and the layers that a document annotates.
CorpusKey = tuple[int, tuple[str, ...]]


def create_corpus(
    path: Path | list[Path], size_exponent: float = 1.0, seed: int = 0
) -> Callable[[Language], Iterable[Example]]:
    """Read converted corpora; registered as `clinner.Corpus.v1`.

    Documents of one path that annotate the same layers are one corpus, so that several converted
    into one file are told apart, and a model's own labels from the annotators'. In a pass over
    the data, a corpus of n tokens has a share in proportion to n ** size_exponent, as in the
    training of multilingual models (Conneau et al., 2020). The largest corpus is read once, and
    the others once or more, so no document is left out.

    path (Path | List[Path]): A .spacy file, a folder of them, or a list of these.
    size_exponent (float): 1 samples corpora by their size, 0 evenly, and what is between
        does something between.
    seed (int): Decides which documents are read once more than others.
    RETURNS (Callable[[Language], Iterable[Example]]): The reader.
    """
    paths = path if isinstance(path, list) else [path]

    def read(nlp: Language) -> Iterator[Example]:
        found = [Corpus(place).read_docbin(nlp.vocab, walk_corpus(place, ".spacy"))
                 for place in paths]  # fmt: skip
        sources = [[doc for doc in docs if len(doc)] for docs in found]
        for doc in sample(sources, size_exponent, seed):
            yield Example(nlp.make_doc(doc.text), doc)

    return read


def sample(sources: Sequence[Sequence[Doc]], size_exponent: float, seed: int = 0) -> list[Doc]:
    """The documents of one pass over several corpora.

    sources (Sequence[Sequence[Doc]]): The documents of each path.
    size_exponent (float), seed (int): As in `create_corpus`.
    RETURNS (list[Doc]): The documents in their order, those of smaller corpora more than once.
    """
    passes = passes_by_corpus(sources, size_exponent)
    rng = random.Random(seed)
    sampled = []
    for key, doc in _keyed(sources):
        whole, part = divmod(passes[key], 1)
        sampled += [doc] * (int(whole) + (rng.random() < part))
    return sampled


def passes_by_corpus(
    sources: Sequence[Sequence[Doc]], size_exponent: float
) -> dict[CorpusKey, float]:
    """How often each corpus is read while the largest is read once.

    sources (Sequence[Sequence[Doc]]): The documents of each path.
    size_exponent (float): As in `create_corpus`.
    RETURNS (dict[tuple[int, tuple[str, ...]], float]): By the number of its path and the layers
        it annotates, 1 or more.
    """
    tokens: Counter[CorpusKey] = Counter()
    for key, doc in _keyed(sources):
        tokens[key] += max(1, len(doc))
    largest = max(tokens.values(), default=1)
    return {key: (largest / n) ** (1.0 - size_exponent) for key, n in tokens.items()}


def _keyed(sources: Sequence[Sequence[Doc]]) -> Iterator[tuple[CorpusKey, Doc]]:
    for at, docs in enumerate(sources):
        for doc in docs:
            yield (at, tuple(sorted(doc.spans))), doc
