"""The corpus reader of the training configs: several converted corpora as one."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus, Example
from spacy.training.corpus import walk_corpus

Layers = tuple[str, ...]


def create_corpus(
    path: Path | list[Path], size_exponent: float = 1.0, seed: int = 0
) -> Callable[[Language], Iterable[Example]]:
    """Read converted corpora; registered as `clinner.Corpus.v1`.

    Documents that annotate the same layers are one corpus, whether they come from one file or
    from several. In a pass over the data, a corpus of n tokens has a share in proportion to
    n ** size_exponent, as in the training of multilingual models (Conneau et al., 2020). The
    largest corpus is read once, and the others once or more, so no document is left out.

    path (Path | List[Path]): A .spacy file, a folder of them, or a list of these.
    size_exponent (float): 1 samples corpora by their size, 0 evenly, and what is between
        does something between.
    seed (int): Decides which documents are read once more than others.
    RETURNS (Callable[[Language], Iterable[Example]]): The reader.
    """
    paths = path if isinstance(path, list) else [path]

    def read(nlp: Language) -> Iterator[Example]:
        docs: list[Doc] = []
        for place in paths:
            docs += Corpus(place).read_docbin(nlp.vocab, walk_corpus(place, ".spacy"))
        for doc in sample([doc for doc in docs if len(doc)], size_exponent, seed):
            yield Example(nlp.make_doc(doc.text), doc)

    return read


def sample(docs: Sequence[Doc], size_exponent: float, seed: int = 0) -> list[Doc]:
    """The documents of one pass over several corpora.

    docs (Sequence[Doc]): The documents of all corpora, told apart by the layers they annotate.
    size_exponent (float), seed (int): As in `create_corpus`.
    RETURNS (list[Doc]): The documents in their order, those of smaller corpora more than once.
    """
    passes = passes_by_corpus(docs, size_exponent)
    rng = random.Random(seed)
    sampled = []
    for doc in docs:
        whole, part = divmod(passes[corpus_of(doc)], 1)
        sampled += [doc] * (int(whole) + (rng.random() < part))
    return sampled


def passes_by_corpus(docs: Sequence[Doc], size_exponent: float) -> dict[Layers, float]:
    """How often each corpus is read while the largest is read once.

    docs (Sequence[Doc]): The documents of all corpora.
    size_exponent (float): As in `create_corpus`.
    RETURNS (dict[tuple[str, ...], float]): By the layers it annotates, 1 or more.
    """
    tokens: Counter[Layers] = Counter()
    for doc in docs:
        tokens[corpus_of(doc)] += max(1, len(doc))
    largest = max(tokens.values(), default=1)
    return {layers: (largest / n) ** (1.0 - size_exponent) for layers, n in tokens.items()}


def corpus_of(doc: Doc) -> Layers:
    """The layers that a document annotates, which tell whose it is."""
    return tuple(sorted(doc.spans))
