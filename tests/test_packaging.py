import json
import zipfile

import pytest
import spacy

from spacy_clinner.errors import ClinnerError
from spacy_clinner.packaging import package


@pytest.fixture
def model(tmp_path):
    """A pipeline as others save it: with every word that it met."""
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_context")
    nlp("Zyxwolf, MRN 55501234, denies fever.")
    nlp.to_disk(tmp_path / "model")
    return tmp_path / "model"


def test_a_wheel_of_a_model_holds_no_word_of_a_text_and_ours_stands_beside_it(model, tmp_path):
    before = (model / "vocab/strings.json").read_text(encoding="utf8")
    assert "Zyxwolf" in before
    built = package(model, tmp_path / "out", name="toy", version="1.0")
    assert [path.name.split("-")[0] for path in built] == ["en_toy"] * 2 + ["spacy_clinner"] * 2
    wheel = next(path for path in built if path.name.startswith("en_toy") and path.suffix == ".whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("strings.json"))
        strings = json.loads(archive.read(name))
    assert "Zyxwolf" not in strings
    assert "clinner_context" in strings
    # The model itself stays as it was.
    assert (model / "vocab/strings.json").read_text(encoding="utf8") == before


def test_what_is_no_pipeline_is_not_packaged(tmp_path):
    with pytest.raises(ClinnerError, match="none: no trained pipeline"):
        package(tmp_path / "none", tmp_path / "out", name="toy", version="1.0")
    assert not (tmp_path / "out").exists()


def test_half_precision_is_for_pipelines_with_an_encoder(model, tmp_path):
    with pytest.raises(ClinnerError, match="half precision is for encoders"):
        package(model, tmp_path / "out", name="toy", version="1.0", half=True)
