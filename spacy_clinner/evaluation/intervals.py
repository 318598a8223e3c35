"""How sure a score, or a difference between two, is, given the documents it was measured on."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.scorer import PRFScore
from spacy.training import Example

from spacy_clinner.pipeline.ner.scorer import count_spans

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
SAMPLES = 2000


class Difference(NamedTuple):
    """A difference with its interval: the value, and its lower and upper bound."""

    value: float
    low: float
    high: float


def span_counts(examples: Iterable[Example], layers: Sequence[str]) -> Ints:
    """Count the spans of each document that annotates a layer, strictly (offsets and label).

    examples (Iterable[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers to count; one that a reference does not annotate counts
        nothing there.
    RETURNS (NDArray[int64]): Spans that are right, predicted, and in the gold; shape
        (documents, 3).
    """
    rows = []
    for example in examples:
        if any(layer in example.reference.spans for layer in layers):
            found = (s for layer in layers for s in count_spans(example, layer).values())
            total = sum(found, PRFScore())
            rows.append((total.tp, total.tp + total.fp, total.tp + total.fn))
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def f_score(counts: Ints | Floats) -> Floats:
    """F1 of counts.

    counts (NDArray): As `span_counts` gives them, or sums of them; shape (..., 3).
    RETURNS (NDArray[float64]): 0 to 1, shape (...); 0 where there is nothing.
    """
    right, predicted, gold = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    score: Floats = 2 * right / np.maximum(predicted + gold, 1)
    return score


def f_interval(counts: Ints) -> tuple[float, float]:
    """The 95 % interval of an F1, by a bootstrap over documents (Efron 1979).

    counts (NDArray[int64]): As `span_counts` gives them, shape (documents, 3).
    RETURNS (tuple[float, float]): Its bounds, 0 to 1.
    """
    return _bounds(f_score(_drawn(len(counts)) @ counts))


def f_difference(counts: Ints, others: Ints) -> Difference:
    """The difference of the F1 of two pipelines over the same documents, with its 95 % interval
    by a paired bootstrap over documents (Efron 1979; Berg-Kirkpatrick et al. 2012).

    counts (NDArray[int64]), others (NDArray[int64]): `span_counts` of each pipeline, in one order.
    RETURNS (Difference): F1 of the first less that of the second, in points of 100.
    """
    drawn = _drawn(len(counts))
    differences = 100 * (f_score(drawn @ counts) - f_score(drawn @ others))
    value = 100 * (f_score(counts.sum(axis=0)) - f_score(others.sum(axis=0)))
    return Difference(float(value), *_bounds(differences))


def _drawn(documents: int) -> Ints:
    """How often each document is in each sample, shape (samples, documents); always the same."""
    if not documents:
        return np.zeros((SAMPLES, 0), dtype=np.int64)
    random = np.random.default_rng(0)
    return random.multinomial(documents, np.full(documents, 1 / documents), SAMPLES)


def _bounds(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
