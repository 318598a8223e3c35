import json
import zipfile

import numpy as np
import pytest
import spacy
from spacy.tokens import Span
from spacy.training import Example
from tiny_encoders import biomedbert

from spacy_clinner.errors import ClinnerError
from spacy_clinner.packaging import leave_out_paths, package, store_in_half


@pytest.fixture
def model(tmp_path):
    """A pipeline as others save it: with every word that it met."""
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_context")
    nlp("Zyxwolf, MRN 55501234, denies fever.")
    nlp.config["paths"]["train"] = "/srv/mercy-general/train.spacy"
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
        files = [archive.read(name) for name in archive.namelist()]
    assert "Zyxwolf" not in strings
    assert "clinner_context" in strings
    assert not [content for content in files if b"mercy-general" in content]
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


def holding(folder, words):
    return [
        path.name for path in folder.rglob("*") if path.is_file() and words in path.read_bytes()
    ]


@pytest.mark.parametrize("half", [False, True])
def test_a_package_names_no_folder_of_its_maker_and_its_pipeline_can_be_initialised(tmp_path, half):
    pytest.importorskip("spacy_transformers")
    encoder = biomedbert(tmp_path / "mercy-general/encoder")
    settings = {"@architectures": "clinner.TransformerModel.v1", "name": str(encoder)}
    settings["tokenizer_config"] = {"use_fast": True, "model_max_length": 512}
    settings["get_spans"] = {"@span_getters": "clinner.line_windows.v1"}
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config={"model": settings})
    nlp.initialize()
    notes = str(tmp_path / "mercy-general/train.spacy")
    nlp.config["paths"] |= {"train": notes, "dev": [notes], "checkpoint": notes}
    nlp.config["variables"] = {"encoder": str(encoder), "epochs": 8, "schemes": [notes]}
    nlp.config["initialize"]["before_init"] = {"@callbacks": "clinner.fit_to_corpus.v1"}
    nlp.to_disk(tmp_path / "model")
    found = spacy.load(tmp_path / "model")("No fever.")._.trf_data.model_output.last_hidden_state
    assert {"config.cfg", "model"} <= set(holding(tmp_path / "model", b"mercy-general"))

    leave_out_paths(spacy.load(tmp_path / "model"), tmp_path / "model")
    if half:
        store_in_half(tmp_path / "model")
    assert not holding(tmp_path / "model", b"mercy-general")
    packaged = spacy.load(tmp_path / "model")
    assert {"train", "dev", "checkpoint"} <= packaged.config["paths"].keys()
    assert set(packaged.config["paths"].values()) == {None}
    assert packaged.config["variables"] == {"encoder": "encoder", "epochs": 8, "schemes": []}
    again = packaged("No fever.")._.trf_data.model_output.last_hidden_state
    np.testing.assert_allclose(again, found, atol=1e-2 if half else 0)
    packaged.select_pipes(enable=[])
    packaged.initialize()


def test_the_name_of_an_encoder_on_the_hub_stays_in_its_package(tmp_path, model):
    nlp = spacy.load(model)
    nlp.config["variables"] = {"encoder": "UFNLP/gatortronS"}
    nlp.to_disk(model)
    leave_out_paths(spacy.load(model), model)
    assert spacy.load(model).config["variables"]["encoder"] == "UFNLP/gatortronS"


@pytest.mark.parametrize(
    ("name", "version", "says"),
    [
        ("en_mine", "1.0", r"--name en_mine: .*without the language: mine"),
        ("my model", "1.0", "--name my model: needs letters"),
        ("Mine-2", "1.0", "--name Mine-2: needs letters"),
        ("", "1.0", "--name : needs letters"),
        ("mine", "abc", "--version abc: needs"),
        ("mine", "", "--version : needs"),
    ],
)
def test_names_and_versions_that_pip_does_not_take_are_refused_before_anything_is_built(
    model, tmp_path, name, version, says
):
    with pytest.raises(ClinnerError, match=says):
        package(model, tmp_path / "out", name=name, version=version)
    assert not (tmp_path / "out").exists()
