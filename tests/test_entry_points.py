import configparser
from importlib.metadata import distribution

import pytest

REGISTERED = list(distribution("spacy-clinner").entry_points)


@pytest.mark.parametrize("entry", REGISTERED, ids=lambda entry: f"{entry.group}:{entry.name}")
def test_every_entry_point_loads(entry):
    assert callable(entry.load())


def test_no_extra_names_a_package_twice(root):
    setup = configparser.ConfigParser()
    setup.read(root / "setup.cfg", encoding="utf8")
    for extra, packages in setup["options.extras_require"].items():
        lines = packages.split("\n")
        assert sorted(set(lines)) == sorted(lines), extra
