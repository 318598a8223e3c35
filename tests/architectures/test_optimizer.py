import numpy as np
import pytest
from thinc.api import Adam

from spacy_clinner.architectures.optimizer import SMALL, parallel_adam

SETTINGS = {"L2": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-6, "grad_clip": 1.0}


def walk(optimizer, weights, gradients, **options):
    """The weights after an update by each gradient."""
    weights = weights.copy()
    for gradient in gradients:
        weights, rest = optimizer((1, "W"), weights, gradient.copy(), **options)
        assert not rest.any()
        optimizer.step_schedules()
    return weights


@pytest.mark.parametrize("size", [0.001, 1.0], ids=["free", "clipped"])
@pytest.mark.parametrize("shape", [(200, 300), (40000,), (7, 5)])
def test_an_update_is_that_of_thinc(shape, size):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=shape).astype("f")
    gradients = [(size * rng.normal(size=shape)).astype("f") for _ in range(5)]
    ours = parallel_adam(0.01, **SETTINGS)
    theirs = Adam(0.01, **SETTINGS, use_averages=False, L2_is_weight_decay=True)
    after = [walk(adam, weights, gradients, lr_scale=0.5) for adam in (ours, theirs)]
    assert np.abs(after[0] - weights).max() > 0.005
    np.testing.assert_allclose(after[0], after[1], atol=2e-6)


def test_a_parameter_that_is_not_contiguous_is_updated_as_well():
    weights = np.ones((300, 200), dtype="f").T
    updated, _ = parallel_adam(0.01)((1, "W"), weights, np.ones((200, 300), dtype="f"))
    assert updated.max() < 1.0


def test_large_parameters_are_updated_in_place():
    weights = np.ones(SMALL, dtype="f")
    updated, _ = parallel_adam(0.01)((1, "W"), weights, np.ones(SMALL, dtype="f"))
    assert updated is weights
    assert weights.max() < 1.0
