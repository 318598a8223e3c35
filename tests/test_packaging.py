import json
import zipfile

import pytest
import spacy
from spacy.tokens import Span
from spacy.training import Example

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


@pytest.fixture
def layered(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_ner", name="ner")
    doc = nlp.make_doc("No chest pain today")
    for layer, start in (("clinical", 1), ("modifiers", 0), ("chia", 1)):
        doc.spans[layer] = [Span(doc, start, start + 1, label=layer.upper())]
    examples = [Example(nlp.make_doc(doc.text), doc)]
    nlp.initialize(lambda: examples)
    for _ in range(30):
        nlp.update(examples)
    nlp.get_pipe("ner").temperatures.update(clinical=2.0, chia=3.0)
    nlp.to_disk(tmp_path / "model")
    return tmp_path / "model"


def test_layers_that_only_helped_to_learn_are_left_out_of_a_package(layered, tmp_path):
    keep = ["clinical", "modifiers"]
    built = package(layered, tmp_path / "out", name="toy", version="1.0", layers=keep)
    wheel = next(path for path in built if path.name.startswith("en_toy") and path.suffix == ".whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    whole, kept = spacy.load(layered), spacy.load(tmp_path / "unpacked/en_toy/en_toy-1.0")
    ner = kept.get_pipe("ner")
    assert ner.layers == ("clinical", "modifiers")
    assert ner.temperatures == {"clinical": 2.0}
    assert "CHIA" in whole.meta["labels"]["ner"]
    assert kept.meta["labels"]["ner"] == ["CLINICAL", "MODIFIERS"]
    assert "CHIA" not in kept.vocab.strings
    a, b = whole("No chest pain today"), kept("No chest pain today")
    assert set(b.spans) == set(keep)
    for layer in keep:
        assert list(map(str, a.spans[layer])) == list(map(str, b.spans[layer])) != []
        assert [s._.confidence for s in a.spans[layer]] == pytest.approx(
            [s._.confidence for s in b.spans[layer]]
        )


def test_a_layer_that_the_model_lacks_cannot_be_kept(layered, tmp_path):
    with pytest.raises(ClinnerError, match="no layer 'ncbi'; it has clinical, modifiers, chia"):
        package(layered, tmp_path / "out", name="toy", version="1.0", layers=["ncbi"])
    assert not (tmp_path / "out").exists()


def test_what_is_no_pipeline_is_not_packaged(tmp_path):
    with pytest.raises(ClinnerError, match="none: no trained pipeline"):
        package(tmp_path / "none", tmp_path / "out", name="toy", version="1.0")
    assert not (tmp_path / "out").exists()


def test_half_precision_is_for_pipelines_with_an_encoder(model, tmp_path):
    with pytest.raises(ClinnerError, match="half precision is for encoders"):
        package(model, tmp_path / "out", name="toy", version="1.0", half=True)
