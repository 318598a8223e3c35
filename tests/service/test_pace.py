import pytest

from spacy_clinner.service.microbatches import Pace


def test_a_short_note_does_not_count_for_all_that_waits():
    pace = Pace()
    assert pace.seconds(1000) == 0
    pace.add(4000, 2.0)
    assert pace.seconds(8000) == pytest.approx(4.0)
    pace.add(1, 0.05)
    assert 3.5 < pace.seconds(8000) < 4.5


def test_the_last_batches_count_most():
    pace = Pace()
    pace.add(4000, 2.0)
    for _ in range(20):
        pace.add(4000, 4.0)
    assert pace.seconds(4000) == pytest.approx(4.0, rel=0.02)
