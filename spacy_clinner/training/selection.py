"""Which notes to correct: those that teach a model most."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc

from spacy_clinner.architectures.decoding import (
    span_posteriors,
    tag_marginals,
    tag_scores,
    viterbi,
)
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.ner.component import LayeredNER
from spacy_clinner.pipeline.ner.layers import TokenBatch, threshold_of

Floats = NDArray[np.float64]
T = TypeVar("T")
WAYS = ("uncertainty", "diversity", "random")


@dataclass(frozen=True)
class Looks:
    """How notes look to a model.

    errors (Floats): Spans that are expected to be wrong or missing, shape (notes,).
    vectors (Floats): The mean vector of the tokens, of length 1, shape (notes, width).
    """

    errors: Floats
    vectors: Floats


def look(nlp: Language, texts: Iterable[str], layers: Sequence[str]) -> Looks:
    """Let a model look at notes.

    nlp (Language): A pipeline with a `clinner_ner`.
    texts (Iterable[str]): The notes; one at a time is held in memory.
    layers (Sequence[str]): The layers whose errors count.
    RETURNS (Looks): How they look.
    RAISES (ClinnerError): The pipeline has no `clinner_ner`, or several.
    """
    name = recogniser(nlp)
    ner: Any = nlp.get_pipe(name)
    # What follows may remove the token vectors.
    later = nlp.pipe_names[nlp.pipe_names.index(name) + 1 :]
    errors, vectors = [], []
    with nlp.select_pipes(disable=later):
        for doc in nlp.pipe(texts):
            errors.append(expected_errors(ner, doc, layers))
            vectors.append(_vector(ner, doc))
    return Looks(np.array(errors), np.array(vectors).reshape(len(errors), -1))


def recogniser(nlp: Language) -> str:
    """The name of the component that finds entities; raises where there is none, or several."""
    names = [name for name, pipe in nlp.pipeline if isinstance(pipe, LayeredNER)]
    if not names:
        raise ClinnerError(
            "the pipeline has no clinner_ner, whose labels and calibrated confidence suggestions "
            "are made of. Use one that clinner trained."
        )
    if len(names) > 1:
        raise ClinnerError(
            f"the pipeline has several clinner_ner: {', '.join(names)}. Suggestions are made of "
            f"one: save the pipeline without the others."
        )
    return names[0]


def expected_errors(ner: LayeredNER, doc: Doc, layers: Sequence[str]) -> float:
    """How many spans of a document are expected to be wrong or missing, by calibrated confidence.

    ner (LayeredNER): The component.
    doc (Doc): A document with the vectors that it listens to.
    layers (Sequence[str]): The layers that count.
    RETURNS (float): The sum of 1 - p over the spans that are found, and of the probability that
        another span begins, over the tokens where none was found.
    """
    batch = TokenBatch.of([doc])
    starts = ner.starts([doc], batch)
    total = 0.0
    for layer, logits in ner.layer_logits([doc], batch).items():
        if layer not in layers or not len(batch):
            continue
        scores = tag_scores(logits, starts, ner.temperatures.get(layer, 1.0))
        spans = viterbi(scores)
        confidence = span_posteriors(scores, spans)
        sure = confidence >= threshold_of(ner.threshold, layer)
        begins = tag_marginals(scores)[0][:, 1 : len(scores.begin) + 1].sum(axis=1)
        begins[spans.start[sure]] = 0.0
        total += float((1.0 - confidence[sure]).sum() + begins.sum())
    return total


def _vector(ner: LayeredNER, doc: Doc) -> Floats:
    tok2vec = ner.model.get_ref("tok2vec")
    if not len(doc):
        return np.zeros(tok2vec.get_dim("nO"))
    (tokens,) = tok2vec.predict([doc])
    mean: Floats = ner.model.ops.to_numpy(tokens).mean(axis=0).astype("float64")
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def choose(looks: Looks, count: int, by: str, seed: int = 0) -> list[int]:
    """Choose notes, the first of which teach most.

    looks (Looks): How they look to the model.
    count (int): How many.
    by (str): "uncertainty": those with the most expected errors, and among these such as are not
        like those that were chosen before; "diversity": as unlike each other as can be; "random".
    seed (int): For "random".
    RETURNS (list[int]): Their numbers.
    RAISES (ClinnerError): There is no such way.
    """
    check_way(by)
    notes = len(looks.errors)
    count = min(count, notes)
    if by == "random":
        return random.Random(seed).sample(range(notes), count)
    weights = looks.errors + 1e-9 if by == "uncertainty" else np.ones(notes)
    # The mean of all notes is what they have in common, and tells none from another.
    centred = looks.vectors - looks.vectors.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    directions = centred / np.maximum(lengths, 1e-12)
    likeness = np.full(notes, -1.0)
    left = np.ones(notes, dtype=bool)
    chosen: list[int] = []
    for _ in range(count):
        value = np.where(left, weights * (1.0 - likeness + 1e-9), -1.0)
        best = int(value.argmax())
        chosen.append(best)
        left[best] = False
        likeness = np.maximum(likeness, directions @ directions[best])
    return chosen


def check_way(by: str) -> None:
    """Stop where notes cannot be chosen in a way.

    by (str): The way, see `choose`.
    RAISES (ClinnerError): There is no such way.
    """
    if by not in WAYS:
        raise ClinnerError(f"notes are chosen by {', '.join(WAYS)}, not by {by!r}.")


def drawn(items: Iterable[T], size: int, seed: int = 0) -> list[T]:
    """Draw items of a stream, each with the same chance, in their order (Vitter's algorithm R).

    items (Iterable[T]): The stream; no more than `size` of it are held in memory.
    size (int): How many.
    seed (int): Decides which.
    RETURNS (list[T]): The drawn ones, or all where there are fewer.
    """
    rng = random.Random(seed)
    kept: list[tuple[int, T]] = []
    for at, item in enumerate(items):
        if at < size:
            kept.append((at, item))
        elif (place := rng.randrange(at + 1)) < size:
            kept[place] = (at, item)
    return [item for _, item in _by_place(kept)]


def _by_place(kept: list[tuple[int, T]]) -> Iterator[tuple[int, T]]:
    yield from sorted(kept, key=lambda pair: pair[0])
