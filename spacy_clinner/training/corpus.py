"""The corpus reader of the training configs: several converted corpora as one."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, pairwise
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Corpus, Example
from spacy.training.augment import dont_augment
from spacy.training.corpus import FILE_TYPE, walk_corpus

from spacy_clinner.annotation.spans import all_spans, annotated_labels

# The place of a path in the list, and the layers that a document annotates, each with the labels
# of it where these are not all.
CorpusKey = tuple[int, tuple[tuple[str, tuple[str, ...]], ...]]


def create_corpus(
    path: Path | list[Path],
    size_exponent: float = 1.0,
    seed: int = 0,
    limit: int = 0,
    max_length: int = 0,
    augmenter: Callable[[Language, Example], Iterable[Example]] | None = None,
) -> Callable[[Language], Iterable[Example]]:
    """Read converted corpora; registered as `clinner.Corpus.v1`.

    Documents of one path that annotate the same labels are one corpus, so that several converted
    into one file are told apart, and a model's own labels from the annotators'. In a pass over
    the data, a corpus of n tokens has a share in proportion to n ** size_exponent, as in the
    training of multilingual models (Conneau et al., 2020). The largest corpus is read once, and
    the others once or more, so no document is left out.

    path (Path | List[Path]): A .spacy file, a folder of them, or a list of these.
    size_exponent (float): 1 samples corpora by their size, 0 evenly, and what is between
        does something between.
    seed (int): Decides which documents are read once more than others; each pass draws anew.
    limit (int): The most documents of each path; 0 for all.
    max_length (int): Documents of so many tokens and more are cut into sentences, each with all
        that is annotated in it. Sentences that a span crosses stay together; those that are still
        too long are left out, and documents without sentences; 0 for no limit.
    augmenter (Callable | None): As in `spacy.Corpus.v1`.
    RETURNS (Callable[[Language], Iterable[Example]]): The reader.
    """
    paths = path if isinstance(path, list) else [path]
    corpora = [Corpus(place, limit=limit, augmenter=augmenter or dont_augment) for place in paths]
    passes = count()

    def read(nlp: Language) -> Iterator[Example]:
        sources = [list(corpus.read_docbin(nlp.vocab, walk_corpus(corpus.path, FILE_TYPE)))
                   for corpus in corpora]  # fmt: skip
        # What augments is the same in all.
        corpus = corpora[0]
        drawn = sample(sources, size_exponent, random.Random(f"{seed} {next(passes)}"))
        short = (piece for doc in drawn for piece in cut(doc, max_length))
        for example in corpus.make_examples(nlp, short):
            yield from corpus.augmenter(nlp, example)

    return read


def cut(doc: Doc, max_length: int) -> Iterator[Doc]:
    """Cut a document that is too long into its sentences.

    doc (Doc): The document.
    max_length (int): As in `create_corpus`.
    YIELDS (Doc): The document, or those parts of it that are not too long, with entities, groups
        and what is said of their spans; links only between spans of one part.
    """
    if not max_length or len(doc) < max_length:
        yield doc
    elif doc.has_annotation("SENT_START"):
        within = {i for span in all_spans(doc) for i in range(span.start + 1, span.end)}
        starts = [sent.start for sent in doc.sents if sent.start not in within]
        for start, end in pairwise([*starts, len(doc)]):
            if end - start < max_length:
                yield _part(doc[start:end])


def _part(part: Span) -> Doc:
    # What is said of spans is in the user data, where spaCy finds and shifts it.
    new = part.as_doc(copy_user_data=True)
    for name, group in part.doc.spans.items():
        spans = [
            Span(
                new, span.start - part.start, span.end - part.start, span.label,
                kb_id=span.kb_id, span_id=span.id,
            )
            for span in group
            if part.start <= span.start and span.end <= part.end
        ]  # fmt: skip
        new.spans[name] = SpanGroup(new, name=group.name, attrs=dict(group.attrs), spans=spans)
    return new


def sample(sources: Sequence[Sequence[Doc]], size_exponent: float, rng: random.Random) -> list[Doc]:
    """The documents of one pass over several corpora.

    sources (Sequence[Sequence[Doc]]): The documents of each path.
    size_exponent (float): As in `create_corpus`.
    rng (Random): Draws the documents that are read once more than others.
    RETURNS (list[Doc]): The documents in their order, those of smaller corpora more than once.
    """
    passes = passes_by_corpus(sources, size_exponent)
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
            layers = sorted((layer, annotated_labels(doc, layer) or ()) for layer in doc.spans)
            yield (at, tuple((layer, tuple(sorted(labels))) for layer, labels in layers)), doc
