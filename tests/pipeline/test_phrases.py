import gc

import pytest

from spacy_clinner.pipeline.phrases import collector_paused


def fail():
    assert not gc.isenabled()
    raise KeyError


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_it_was_when_phrases_are_compiled_whatever_became_of_it(enabled):
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(KeyError), collector_paused():
            fail()
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
