import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinner.evaluation.intervals import error_interval
from spacy_clinner.evaluation.reliability import (
    BINS,
    Bin,
    binned,
    expected_calibration_error,
    plot_reliability,
    reliability,
)


def test_reliability_bins_by_confidence():
    confidence = np.array([0.05, 0.95, 1.0, 0.97])
    correct = np.array([False, True, True, False])
    curve = reliability(confidence, correct)
    assert curve[0] == Bin(0.05, 0.0, 1)
    assert curve[1].spans == 3
    assert curve[1].accuracy == pytest.approx(2 / 3)
    error = (0.05 + 3 * abs((0.95 + 1.0 + 0.97) / 3 - 2 / 3)) / 4
    assert expected_calibration_error(confidence, correct) == pytest.approx(error)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=50))
def test_the_calibration_error_is_a_share(pairs):
    confidence = np.array([c for c, _ in pairs], dtype="float64")
    correct = np.array([right for _, right in pairs], dtype=bool)
    assert 0.0 <= expected_calibration_error(confidence, correct) <= 1.0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_the_interval_of_the_calibration_error_is_of_that_error(pairs):
    confidence = np.array([c for c, _ in pairs], dtype="float64")
    correct = np.array([right for _, right in pairs], dtype=bool)
    # Notes that are all alike leave no doubt.
    alike = np.stack([binned(confidence, correct)] * 5)
    error = expected_calibration_error(confidence, correct)
    assert error_interval(alike) == pytest.approx((error, error))
    low, high = error_interval(np.concatenate([alike, np.zeros((50, BINS, 3))]))
    assert (low, high) == pytest.approx((error, error))
    assert error_interval(alike[:1]) is None
    assert error_interval(np.zeros((3, BINS, 3))) is None


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not():
    assert expected_calibration_error(np.ones(5), np.ones(5, dtype=bool)) == 0.0
    assert expected_calibration_error(np.ones(5), np.zeros(5, dtype=bool)) == 1.0
    assert expected_calibration_error(np.zeros(0), np.zeros(0, dtype=bool)) == 0.0


def test_the_reliability_plot_is_a_png(tmp_path):
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    confidence = rng.random(200)
    layers = {"clinical": (confidence, rng.random(200) < confidence),
              "modifiers": (np.zeros(0), np.zeros(0, dtype=bool))}  # fmt: skip
    plot_reliability(layers, tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")
