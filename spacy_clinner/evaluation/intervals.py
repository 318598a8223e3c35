"""How sure a difference between two pipelines is, given the documents that it was measured on."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.training import Example

from spacy_clinner.annotation.spans import group_of, span_key

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Difference(NamedTuple):
    """A difference with its interval: the value, and its lower and upper bound."""

    value: float
    low: float
    high: float


def span_counts(examples: Sequence[Example], layers: Sequence[str]) -> Ints:
    """Count the spans of each document, strictly (offsets and label).

    examples (Sequence[Example]): Predicted and reference docs, of equal texts.
    layers (Sequence[str]): The layers to count; one that a reference does not annotate counts
        nothing there.
    RETURNS (NDArray[int64]): Spans that are right, predicted, and in the gold; shape
        (documents, 3).
    """
    counts = np.zeros((len(examples), 3), dtype=np.int64)
    for row, example in zip(counts, examples, strict=True):
        for layer in layers:
            if layer in example.reference.spans:
                gold = set(map(span_key, group_of(example.reference, layer)))
                predicted = set(map(span_key, group_of(example.predicted, layer)))
                row += (len(gold & predicted), len(predicted), len(gold))
    return counts


def f_score(counts: Ints | Floats) -> Floats:
    """F1 of counts.

    counts (NDArray): As `span_counts` gives them, or sums of them; shape (..., 3).
    RETURNS (NDArray[float64]): 0 to 1, shape (...); 0 where there is nothing.
    """
    right, predicted, gold = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    score: Floats = 2 * right / np.maximum(predicted + gold, 1)
    return score


def f_difference(
    counts: Ints, others: Ints, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Difference:
    """The difference of the F1 of two pipelines over the same documents, by a paired bootstrap
    over documents (Efron 1979; Berg-Kirkpatrick et al. 2012).

    counts (NDArray[int64]), others (NDArray[int64]): `span_counts` of each pipeline, in one order.
    level (float): How probable the interval is to hold the difference.
    draws (int): Samples of documents.
    seed (int): Of the random numbers.
    RETURNS (Difference): F1 of the first less that of the second, in points of 100.
    """
    documents = len(counts)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(documents, np.full(documents, 1 / documents), draws)
    differences = 100 * (f_score(drawn @ counts) - f_score(drawn @ others))
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    value = 100 * (f_score(counts.sum(axis=0)) - f_score(others.sum(axis=0)))
    return Difference(float(value), float(low), float(high))
