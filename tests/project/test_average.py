import numpy as np
import pytest
import spacy
import srsly
from spacy.tokens import DocBin, Span
from spacy.training.initialize import init_nlp
from spacy.util import load_config
from tiny_encoders import biomedbert, gatortrons

from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.loading import load_pipeline

WORDS = "Denies chest pain. Has a cough."


@pytest.fixture
def average(scripts):
    import average

    return average


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return biomedbert(tmp_path_factory.mktemp("tiny") / "encoder")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    doc = nlp.make_doc(WORDS)
    doc.spans["clinical"] = [Span(doc, 1, 3, label="PROBLEM"), Span(doc, 6, 7, label="PROBLEM")]
    doc.spans["ncbi"] = [Span(doc, 1, 3, label="DISEASE")]
    path = tmp_path_factory.mktemp("corpus") / "dev.spacy"
    DocBin(docs=[doc], store_user_data=True).to_disk(path)
    return path


def write_pipeline(encoder, corpus, folder, value, layers=("clinical", "ncbi")):
    """A pipeline whose encoder and heads have weights of their own."""
    overrides = {
        "paths.train": str(corpus),
        "paths.dev": str(corpus),
        "variables.encoder": str(encoder),
        "variables.max_steps": 1,
        "variables.warmup_steps": 1,
        "variables.eval_frequency": 1,
        "components.ner.layers": list(layers),
    }
    nlp = init_nlp(load_config("configs/clinner.cfg", overrides), use_gpu=-1)
    heads = nlp.get_pipe("ner").model.get_ref("output_layer")
    heads.set_param("b", np.full_like(heads.get_param("b"), value))
    for weights in nlp.get_pipe("transformer").model.transformer.parameters():
        weights.data += value
    nlp.to_disk(folder)
    return folder


def test_encoder_and_heads_are_the_mean_and_only_named_layers_are_kept(
    average, encoder, corpus, root, tmp_path, monkeypatch
):
    monkeypatch.chdir(root)
    earlier = write_pipeline(encoder, corpus, tmp_path / "earlier", 0.5)
    later = write_pipeline(encoder, corpus, tmp_path / "later", -0.1)
    average.main(earlier, later, tmp_path / "mean", corpus, ["clinical"])
    first, second, mean = (load_pipeline(p) for p in (earlier, later, tmp_path / "mean"))
    states = [nlp.get_pipe("transformer").model.transformer.state_dict()
              for nlp in (first, second, mean)]  # fmt: skip
    for name, weights in states[2].items():
        expected = (states[0][name] + states[1][name]) / 2
        np.testing.assert_allclose(weights, expected, atol=1e-6)
    heads = mean.get_pipe("ner").model.get_ref("output_layer")
    np.testing.assert_allclose(heads.get_param("b"), [0.2, 0.2, 0.2], atol=1e-6)
    assert set(mean(WORDS).spans) == {"clinical"}


def test_pipelines_of_other_encoders_have_no_mean(
    average, encoder, corpus, root, tmp_path, monkeypatch
):
    monkeypatch.chdir(root)
    earlier = write_pipeline(
        gatortrons(tmp_path / "other", cased=False), corpus, tmp_path / "earlier", 0.5
    )
    later = write_pipeline(encoder, corpus, tmp_path / "later", 0.1)
    with pytest.raises(ClinnerError, match="have other encoders"):
        average.main(earlier, later, tmp_path / "mean", corpus, ["clinical"])
    assert not (tmp_path / "mean").exists()


def test_a_pipeline_without_an_encoder_has_no_mean(average, corpus, tmp_path):
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(ClinnerError, match="blank: has no component 'transformer'"):
        average.main(tmp_path / "blank", tmp_path / "blank", tmp_path / "mean", corpus, ["ncbi"])


def test_how_both_were_made_is_kept_beside_the_mean(
    average, encoder, corpus, root, tmp_path, monkeypatch
):
    monkeypatch.chdir(root)
    teacher = {"model": "teacher", "gpu": "A GPU", "steps": [{"what": "gold", "updates": 7}]}
    (tmp_path / "gold").mkdir()
    earlier = write_pipeline(encoder, corpus, tmp_path / "earlier", 0.5)
    later = write_pipeline(encoder, corpus, tmp_path / "gold/model-best", 0.1)
    for folder, key, value in ((earlier, "made", [teacher]), (later, "training", {"step": 8})):
        meta = srsly.read_json(folder / "meta.json")
        srsly.write_json(folder / "meta.json", meta | {key: value})
    facts = {"steps": 9, "seconds": 3.5, "words": 11, "hardware": {"cpu": "A CPU", "gpu": None}}
    srsly.write_json(tmp_path / "gold/training.json", facts)
    average.main(earlier, later, tmp_path / "clinner/model-best", corpus, ["clinical"])
    told = srsly.read_json(tmp_path / "clinner/training.json")
    assert {key: told[key] for key in facts} == facts
    first, gold, mean = told["made"]
    assert first == teacher
    assert gold["cpu"] == "A CPU"
    assert (gold["steps"][0]["updates"], gold["steps"][0]["kept"]) == (9, 8)
    assert "mean of the weights" in mean["steps"][0]["what"]


def test_pipelines_of_other_layers_have_no_mean(
    average, encoder, corpus, root, tmp_path, monkeypatch
):
    monkeypatch.chdir(root)
    earlier = write_pipeline(encoder, corpus, tmp_path / "earlier", 0.5)
    later = write_pipeline(encoder, corpus, tmp_path / "later", 0.1, layers=["clinical"])
    with pytest.raises(ClinnerError, match="have other layers or labels"):
        average.main(earlier, later, tmp_path / "mean", corpus, ["clinical"])
    assert not (tmp_path / "mean").exists()


def test_the_mean_takes_the_place_of_none_of_the_two_nor_of_anything_else(
    average, corpus, tmp_path
):
    for name in ("earlier", "later"):
        spacy.blank("en").to_disk(tmp_path / name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.docx").write_text("mine", encoding="utf8")
    for out, says in (("earlier", "what is read"), ("later", "what is read"), ("out", "replaced")):
        with pytest.raises(ClinnerError, match=says):
            average.main(
                tmp_path / "earlier", tmp_path / "later", tmp_path / out, corpus, ["clinical"]
            )
    assert (tmp_path / "out/thesis.docx").is_file()
