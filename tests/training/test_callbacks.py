import sys

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.util import load_config

from spacy_clinner.annotation.said import set_relations
from spacy_clinner.errors import ClinnerError
from spacy_clinner.schemes import load as schemes_of
from spacy_clinner.training.callbacks import (
    create_fit_to_corpus,
    create_resume,
    fit_components,
    length,
    linked_layers,
    spread,
)

NLP = spacy.blank("en")


def doc_of(*layers, n_tokens=4):
    doc = Doc(NLP.vocab, words=["fever"] * n_tokens)
    for layer in layers:
        doc.spans[layer] = [Span(doc, 0, 1, label="PROBLEM")]
    return doc


def test_the_length_is_a_multiple_of_the_evaluations_and_never_below_the_least():
    assert length(1, min_steps=150, evaluations=9, warmup=0.1) == (153, 15, 17)
    assert length(300, min_steps=150, evaluations=9, warmup=0.1) == (306, 30, 34)


@pytest.fixture
def pipeline(root, tmp_path):
    """A pipeline of the shipped config's shape, without an encoder, and its corpus."""
    path = tmp_path / "corpus.spacy"
    DocBin(docs=[doc_of("ncbi", n_tokens=100)] * 20, store_user_data=True).to_disk(path)
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_ner", name="ner")
    nlp.add_pipe("clinner_relations", name="relations")
    shipped = load_config(root / "configs/clinner.cfg")
    for section in ("paths", "variables", "corpora", "system", "training"):
        nlp.config[section] = shipped[section]
    nlp.config["paths"]["train"] = nlp.config["paths"]["dev"] = str(path)
    nlp.config["variables"]["batch_words"] = 200
    return nlp


def test_a_pipeline_learns_for_as_long_as_the_passes_over_its_corpus_take(pipeline):
    create_fit_to_corpus(epochs=20, min_steps=5)(pipeline)
    settings = pipeline.config.interpolate()
    # 20 passes of 2,000 tokens in batches of 200.
    assert settings["training"]["max_steps"] == 207
    assert settings["training"]["eval_frequency"] == 23
    rate = settings["training"]["optimizer"]["learn_rate"]
    assert (rate["total_steps"], rate["warmup_steps"]) == (207, 20)


def test_a_corpus_without_relations_is_not_made_to_learn_some(pipeline):
    create_fit_to_corpus()(pipeline)
    assert pipeline.pipe_names == ["ner"]


def test_a_number_of_updates_that_is_given_stays(pipeline):
    pipeline.config["variables"] |= {"max_steps": 45, "warmup_steps": 7}
    create_fit_to_corpus(epochs=20)(pipeline)
    training = pipeline.config.interpolate()["training"]
    assert (training["max_steps"], training["eval_frequency"]) == (45, 5)
    assert training["optimizer"]["learn_rate"]["warmup_steps"] == 7


def test_a_length_in_spacys_own_words_is_that_of_the_schedule(pipeline):
    pipeline.config["training"]["max_epochs"] = 40
    create_fit_to_corpus(epochs=20, min_steps=5)(pipeline)
    training = pipeline.config.interpolate()["training"]
    assert (training["max_steps"], training["max_epochs"]) == (405, 0)
    assert training["optimizer"]["learn_rate"]["total_steps"] == 405


def test_updates_in_spacys_own_words_are_those_of_the_schedule(pipeline):
    pipeline.config["training"]["max_steps"] = 100
    create_fit_to_corpus(epochs=20)(pipeline)
    training = pipeline.config.interpolate()["training"]
    assert (training["max_steps"], training["eval_frequency"]) == (100, 12)
    assert training["optimizer"]["learn_rate"]["total_steps"] == 100


def test_a_length_in_passes_needs_batches_of_a_fixed_size(pipeline):
    pipeline.config["training"]["batcher"] = {"@batchers": "spacy.batch_by_sequence.v1",
                                              "size": {"@schedules": "compounding.v1", "start": 1,
                                                       "stop": 9, "compound": 2.0}}  # fmt: skip
    with pytest.raises(ClinnerError, match="fixed `size`"):
        create_fit_to_corpus()(pipeline)


def test_relations_are_learned_where_a_document_has_one(pipeline):
    doc = doc_of("clinical", "modifiers")
    set_relations(doc, [(doc.spans["clinical"][0], doc.spans["modifiers"][0], 1.0)])
    fit_components(pipeline, [doc])
    assert pipeline.pipe_names == ["ner", "relations"]
    assert pipeline.get_pipe("relations").entities == "clinical"


def test_relations_are_those_of_the_layers_that_the_corpus_annotates():
    schemes = {"n2c2": schemes_of("n2c2")}
    assert linked_layers("n2c2", schemes) == {}
    linked = linked_layers("clinical", schemes)
    assert (linked["entities"], linked["modifiers"]) == ("n2c2", "n2c2")
    assert "DRUG" in linked["pairs"]
    assert linked_layers("clinical", {"ncbi": schemes_of("ncbi")}) == {}


def test_components_that_come_trained_from_another_pipeline_are_left_alone(pipeline):
    trained = [pipeline.get_pipe(name) for name in ("ner", "relations")]
    with pipeline.select_pipes(disable=["ner", "relations"]):
        fit_components(pipeline, [doc_of("ncbi")])
    assert [pipeline.get_pipe(name) for name in ("ner", "relations")] == trained


def test_dev_documents_are_chosen_evenly_from_each_set_of_layers():
    docs = [doc_of("a", n_tokens=n) for n in range(1, 11)] + [doc_of("b")]
    chosen = spread([Example(doc, doc) for doc in docs], 3)
    assert [len(e.reference) for e in chosen if "a" in e.reference.spans] == [1, 4, 7]
    assert sum("b" in e.reference.spans for e in chosen) == 1


@pytest.mark.parametrize("option", [("--output", "out"), ("-o", "out"), ("--output=out",)])
def test_a_checkpoint_that_spacy_is_about_to_delete_is_not_gone_on_from(
    tmp_path, monkeypatch, option
):
    monkeypatch.chdir(tmp_path)
    argv = ["spacy", "train", "x.cfg", *option, "--paths.checkpoint", "out/model-last"]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(ClinnerError, match="Give another --output"):
        create_resume("out/model-last")(NLP)
    with pytest.raises(ClinnerError, match="elsewhere/model-last: no checkpoint"):
        create_resume("elsewhere/model-last")(NLP)
