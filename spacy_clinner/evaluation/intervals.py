"""How sure a score, or a difference between two, is, given the documents it was measured on."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from spacy.scorer import PRFScore
from spacy.training import Example

from spacy_clinner.pipeline.ner.scorer import count_spans

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Lower and upper; None where there is none to tell.
Bounds = tuple[float, float] | None
SAMPLES = 2000
# Of what fewer notes hold, every sample says the same: that is no certainty.
FEWEST_NOTES = 2
K = TypeVar("K", bound=Hashable)


class Difference(NamedTuple):
    """A difference with its interval: the value, and its lower and upper bound, None where fewer
    than two documents hold any of it."""

    value: float
    low: float | None
    high: float | None


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


def f_interval(counts: Ints) -> Bounds:
    """The 95 % interval of an F1, by a bootstrap over documents (Efron 1979).

    counts (NDArray[int64]): As `span_counts` gives them, shape (documents, 3).
    RETURNS (tuple[float, float] | None): Its bounds, 0 to 1; None where fewer than two documents
        hold any of it.
    """
    return f_intervals({None: counts})[None]


def f_intervals(counts: Mapping[K, Ints]) -> dict[K, Bounds]:
    """The 95 % intervals of several F1 over the same documents, by one bootstrap. Samples that hold
    nothing of a score, neither wanted nor found, say nothing of it.

    counts (Mapping[K, NDArray[int64]]): Each as `span_counts` gives it, shape (documents, 3).
    RETURNS (dict[K, tuple[float, float] | None]): The bounds of each, as `f_interval` has them.
    """
    if not counts:
        return {}
    scores, empty = _sampled(counts.values())
    held = np.array([_holding(of[:, 1:]) for of in counts.values()])
    return dict(zip(counts, _bounds(np.where(empty, np.nan, scores), held), strict=True))


def f_difference(counts: Ints, others: Ints) -> Difference:
    """The difference of the F1 of two pipelines over the same documents, with its 95 % interval
    by a paired bootstrap over documents (Efron 1979; Berg-Kirkpatrick et al. 2012).

    counts (NDArray[int64]), others (NDArray[int64]): `span_counts` of each pipeline, in one order.
    RETURNS (Difference): F1 of the first less that of the second, in points of 100.
    """
    return f_differences({None: counts}, {None: others})[None]


def f_differences(counts: Mapping[K, Ints], others: Mapping[K, Ints]) -> dict[K, Difference]:
    """The differences of several F1 of two pipelines over the same documents, by one bootstrap.

    counts (Mapping[K, NDArray[int64]]), others (Mapping[K, NDArray[int64]]): `span_counts` of each
        pipeline, in one order; what only one of them has is 0 in the other.
    RETURNS (dict[K, Difference]): As `f_difference` gives them.
    """
    keys = list(dict.fromkeys((*counts, *others)))
    if not keys:
        return {}
    ours, theirs = (
        [of[key] if key in of else np.zeros_like(other[key]) for key in keys]
        for of, other in ((counts, others), (others, counts))
    )
    (scores, empty), (other_scores, other_empty) = _sampled(ours), _sampled(theirs)
    values = np.where(empty & other_empty, np.nan, 100 * (scores - other_scores))
    held = np.array([_holding((one + two)[:, 1:]) for one, two in zip(ours, theirs, strict=True)])
    bounds = _bounds(values, held)
    return {
        key: Difference(
            float(100 * (f_score(one.sum(axis=0)) - f_score(two.sum(axis=0)))),
            *(both or (None, None)),
        )
        for key, one, two, both in zip(keys, ours, theirs, bounds, strict=True)
    }


def error_interval(bins: Floats) -> Bounds:
    """The 95 % interval of an expected calibration error, by a bootstrap over documents.

    bins (NDArray[float64]): Of each document in each bin of confidence the number of spans, the sum
        of their confidences and the number of those that are correct; shape (documents, bins, 3).
    RETURNS (tuple[float, float] | None): Its bounds, 0 to 1; None where fewer than two documents
        have spans.
    """
    documents, n_bins, _ = bins.shape
    summed = _drawn(documents).astype(np.float64) @ bins.reshape(documents, 3 * n_bins)
    spans, confidence, correct = np.moveaxis(summed.reshape(SAMPLES, n_bins, 3), -1, 0)
    total = spans.sum(axis=1)
    errors = np.abs(confidence - correct).sum(axis=1) / np.maximum(total, 1)
    values = np.where(total == 0, np.nan, errors)[:, None]
    return _bounds(values, np.array([_holding(bins[:, :, 0])]))[0]


def _sampled(counts: Iterable[Ints]) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores in each sample, shape (samples, scores), and which of them are of nothing."""
    stacked = np.stack(list(counts), axis=1)
    documents, scores, _ = stacked.shape
    # Numbers with a point are multiplied much faster, and are exact far beyond any count.
    drawn = _drawn(documents).astype(np.float64)
    summed = (drawn @ stacked.reshape(documents, 3 * scores)).reshape(SAMPLES, scores, 3)
    return f_score(summed), summed[..., 1:].sum(axis=-1) == 0


def _drawn(documents: int) -> Ints:
    """How often each document is in each sample, shape (samples, documents); always the same."""
    if not documents:
        return np.zeros((SAMPLES, 0), dtype=np.int64)
    random = np.random.default_rng(0)
    return random.multinomial(documents, np.full(documents, 1 / documents), SAMPLES)


def _holding(counts: Ints | Floats) -> int:
    """How many documents hold any of what is counted, shape (documents, ...)."""
    return int(counts.any(axis=1).sum())


def _bounds(values: Floats, held: Ints) -> list[Bounds]:
    """Those of each column, over its samples that are numbers, where enough documents hold any."""
    told = held >= FEWEST_NOTES
    if not told.any():
        return [None] * len(held)
    low, high = np.nanquantile(values[:, told], (0.025, 0.975), axis=0)
    found = iter(zip(low.tolist(), high.tolist(), strict=True))
    return [next(found) if enough else None for enough in told]
