from importlib.metadata import distribution

import pytest

REGISTERED = list(distribution("spacy-clinner").entry_points)


@pytest.mark.parametrize("entry", REGISTERED, ids=lambda entry: f"{entry.group}:{entry.name}")
def test_every_entry_point_loads(entry):
    assert callable(entry.load())
