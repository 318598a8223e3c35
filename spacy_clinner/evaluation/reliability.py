"""How well confidences are calibrated: calibration error and reliability plot."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BINS = 10


class Bin(NamedTuple):
    """One bin of a reliability curve: mean confidence, share of correct spans, number of spans."""

    confidence: float
    accuracy: float
    spans: int


def reliability(confidence: Floats, correct: Bools) -> list[Bin]:
    """The reliability curve.

    confidence (Floats): Confidences from 0 to 1, shape (spans,).
    correct (Bools): Whether each span is correct, shape (spans,).
    RETURNS (List[Bin]): Of `BINS` bins of equal width those that hold a span, ascending.
    """
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    curve = []
    for at in np.unique(number):
        within = number == at
        curve.append(
            Bin(float(confidence[within].mean()), float(correct[within].mean()), int(within.sum()))
        )
    return curve


def binned(confidence: Floats, correct: Bools) -> Floats:
    """What `error_interval` needs of a document.

    confidence (Floats): Confidences from 0 to 1, shape (spans,).
    correct (Bools): Whether each span is correct, shape (spans,).
    RETURNS (Floats): Number of spans, sum of confidences and number of correct spans in each bin,
        shape (bins, 3).
    """
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    columns = (np.ones(len(number)), confidence, correct.astype(float))
    return np.stack([np.bincount(number, column, BINS) for column in columns], axis=1)


def expected_calibration_error(confidence: Floats, correct: Bools) -> float:
    """Mean distance of confidence and accuracy over the bins, weighted by their spans.

    confidence (Floats): Confidences from 0 to 1, shape (spans,).
    correct (Bools): Whether each span is correct, shape (spans,).
    RETURNS (float): From 0 (calibrated) to 1; 0 where there are no spans.
    """
    curve = reliability(confidence, correct)
    total = sum(entry.spans for entry in curve)
    return sum(abs(e.confidence - e.accuracy) * e.spans for e in curve) / max(1, total)


def plot_reliability(layers: Mapping[str, tuple[Floats, Bools]], path: Path) -> None:
    """Draw one reliability diagram per layer into a PNG file.

    layers (Mapping[str, Tuple[Floats, Bools]]): By layer, confidences and whether correct.
    path (Path): The file; its folder must exist.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.0 * max(1, len(layers)), 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, max(1, len(layers)), squeeze=False)[0]
    for axis, (layer, (confidence, correct)) in zip(axes, layers.items(), strict=False):
        curve = reliability(confidence, correct)
        error = expected_calibration_error(confidence, correct)
        share = [entry.spans / max(1, len(confidence)) for entry in curve]
        x = [entry.confidence for entry in curve]
        axis.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="calibrated")
        axis.bar(x, share, width=0.6 / BINS, color="0.85", label="share of spans")
        axis.plot(x, [entry.accuracy for entry in curve], marker="o", label="correct")
        axis.set(title=f"{layer} (ECE {error:.3f}, {len(confidence)} spans)",
                 xlabel="confidence", ylabel="share correct", xlim=(0, 1), ylim=(0, 1))  # fmt: skip
        axis.legend(loc="upper left", frameon=False)
    figure.savefig(path, format="png", dpi=120)
