from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy import registry
from thinc.api import Adam, Config

from spacy_clinner.architectures.schedules import warmup_cosine


def rates(n, *args):
    return list(islice(warmup_cosine(*args), n))


def test_the_rate_rises_linearly_then_falls_along_a_cosine():
    assert rates(4, 1.0, 4, 12) == pytest.approx([0.0, 0.25, 0.5, 0.75])
    assert rates(13, 1.0, 4, 12)[4] == pytest.approx(1.0)
    assert rates(13, 1.0, 4, 12)[8] == pytest.approx(0.5)
    assert rates(13, 1.0, 4, 12)[12] == pytest.approx(0.0)


def test_the_rate_stays_at_its_end_after_the_last_step():
    assert rates(30, 1.0, 2, 10, 0.1)[10:] == pytest.approx([0.1] * 20)


def test_without_warmup_the_first_rate_is_the_highest():
    assert rates(1, 3e-4, 0, 100) == [3e-4]


def test_a_training_that_goes_on_has_the_same_rates_after_a_short_rise():
    whole = rates(60, 1.0, 20, 60)
    rest = rates(30, 1.0, 20, 60, 0.0, 30)
    assert rest[0] == 0.0
    assert rest[1] == pytest.approx(whole[31] / 2)
    assert rest[2:] == pytest.approx(whole[32:])


@given(st.integers(0, 50), st.integers(0, 100), st.floats(0, 1))
def test_no_rate_leaves_the_range(warmup, total, final):
    assert all(0.0 <= rate <= 1.0 for rate in rates(120, 1.0, warmup, total, final))


@pytest.mark.parametrize("name", ["Adam.v1", "clinner.Adam.v1"])
def test_a_config_can_name_it_for_an_optimizer(name):
    config = Config().from_str(
        f"""
        [optimizer]
        @optimizers = "{name}"

        [optimizer.learn_rate]
        @schedules = "clinner.warmup_cosine.v1"
        initial_rate = 0.5
        warmup_steps = 2
        total_steps = 10
        """
    )
    optimizer = registry.resolve(config)["optimizer"]
    assert isinstance(optimizer, Adam(0.1).__class__)
    seen = [optimizer.learn_rate]
    for _ in range(2):
        optimizer.step_schedules()
        seen.append(optimizer.learn_rate)
    assert seen == pytest.approx([0.0, 0.25, 0.5])
