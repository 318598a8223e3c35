import pickle

import numpy as np
import pytest
import spacy
from spacy.lang.en import English
from spacy.tokens import DocBin, Span
from spacy.training import Example
from toy_ner import LAYERS, NOTES, examples_for, make_nlp, reference, spans_of, train

import spacy_clinner
from spacy_clinner.annotation.spans import LABELS
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.ner.component import LayeredNER


@pytest.fixture(scope="module")
def trained():
    nlp = make_nlp()
    nlp.initialize(lambda: examples_for(nlp))
    train(nlp, examples_for(nlp))
    return nlp


def same_predictions(left, right):
    for text, _, _ in NOTES:
        a, b = left(text), right(text)
        for layer in left.get_pipe("ner").layers:
            assert spans_of(a, layer) == spans_of(b, layer)
            assert [s._.confidence for s in a.spans[layer]] == pytest.approx(
                [s._.confidence for s in b.spans[layer]], abs=1e-6
            )


# What it writes


def test_the_layers_are_learned_and_written_with_overlaps_between_them(trained):
    doc = trained("Patient has chest pain today .")
    assert spans_of(doc, "clinical") == [("chest pain", "PROBLEM")]
    assert spans_of(doc, "modifiers") == [("chest", "BODYLOC")]
    assert [ent.text for ent in doc.ents] == ["chest pain"]


def test_every_span_carries_its_layer_and_a_plain_float_confidence(trained):
    doc = trained("No fever . Takes aspirin daily .")
    for layer in LAYERS:
        for span in doc.spans[layer]:
            assert span._.layer == layer
            assert span.id_ == layer
            assert type(span._.confidence) is float
            assert 0.5 < span._.confidence <= 1.0
    assert [ent._.confidence for ent in doc.ents] == [
        span._.confidence for span in doc.spans["clinical"]
    ]
    assert doc.ents[0]._.semantic_group == "Disorders"


@pytest.mark.parametrize("text", ["", " ", "\n\n \t\n", " \n fever \n "])
def test_empty_and_whitespace_documents_get_empty_groups_and_set_ents(trained, text):
    for doc in (trained(text), *trained.pipe([text, "No fever .", text])):
        assert set(doc.spans) == set(LAYERS)
        assert not len(doc) or doc.has_annotation("ENT_IOB")


def test_a_span_runs_across_a_line_break_but_neither_begins_nor_ends_with_one(trained):
    doc = trained("Patient has chest\npain today .")
    assert all(not s[0].is_space and not s[-1].is_space for g in doc.spans.values() for s in g)


def test_entities_of_earlier_components_stay_unless_overwrite_is_set(trained):
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "RULE", "pattern": "pain today"}])
    nlp.add_pipe("ner", source=trained)
    ner = nlp.get_pipe("ner")
    doc = nlp("Patient has chest pain today . No fever .")
    assert ("pain today", "RULE") in [(ent.text, ent.label_) for ent in doc.ents]
    assert ("fever", "PROBLEM") in [(ent.text, ent.label_) for ent in doc.ents]
    assert ("chest pain", "PROBLEM") in spans_of(doc, "clinical")
    ner.overwrite = True
    doc = nlp("Patient has chest pain today . No fever .")
    assert {ent.label_ for ent in doc.ents} == {"PROBLEM"}
    ner.overwrite = False


def test_blocked_tokens_stay_blocked(trained):
    doc = trained.make_doc("No fever . Takes aspirin daily .")
    doc.set_ents([], blocked=[doc[1:2]], default="missing")
    doc = trained.get_pipe("ner")(doc)
    assert [ent.text for ent in doc.ents] == ["aspirin"]
    assert doc[1].ent_iob_ == "B"
    assert doc[1].ent_type == 0


def test_ents_are_taken_from_the_layers_in_order_of_precedence(trained):
    ner = trained.get_pipe("ner")
    ner.ents_from = ("modifiers", "clinical")
    doc = trained("No fever . Patient has chest pain today .")
    ner.ents_from = ("clinical",)
    assert [(e.text, e.label_) for e in doc.ents] == [
        ("No", "NEGATION"), ("fever", "PROBLEM"), ("chest", "BODYLOC"),
    ]  # fmt: skip


def test_a_threshold_drops_what_is_less_sure(trained):
    ner = trained.get_pipe("ner")
    ner.threshold["clinical"] = 1.01
    doc = trained("No fever .")
    del ner.threshold["clinical"]
    assert spans_of(doc, "clinical") == []
    assert spans_of(doc, "modifiers") == [("No", "NEGATION")]
    assert doc.ents == ()
    assert spans_of(trained("No fever ."), "clinical") == [("fever", "PROBLEM")]


def test_a_temperature_changes_the_confidence_and_not_the_spans(trained):
    ner = trained.get_pipe("ner")
    sure = trained("No fever .")
    ner.temperatures["clinical"] = 5.0
    unsure = trained("No fever .")
    del ner.temperatures["clinical"]
    assert spans_of(sure, "clinical") == spans_of(unsure, "clinical")
    assert unsure.ents[0]._.confidence < sure.ents[0]._.confidence


def test_a_batch_gives_what_its_documents_give_alone(trained):
    texts = [text for text, _, _ in NOTES] * 3 + [" ".join(text for text, _, _ in NOTES) * 20]
    for doc, alone in zip(trained.pipe(texts), map(trained, texts), strict=True):
        for layer in LAYERS:
            assert spans_of(doc, layer) == spans_of(alone, layer)


# Labels


def test_labels_are_learned_from_the_data_and_given_back_as_label_data(trained):
    ner = trained.get_pipe("ner")
    assert ner.label_data == {
        "clinical": ["DRUG", "PROBLEM"],
        "modifiers": ["BODYLOC", "FREQUENCY", "NEGATION"],
    }
    nlp = make_nlp()
    nlp.get_pipe("ner").initialize(lambda: examples_for(nlp), nlp=nlp, labels=ner.label_data)
    assert nlp.get_pipe("ner").label_data == ner.label_data
    assert set(ner.labels) == {"DRUG", "PROBLEM", "BODYLOC", "FREQUENCY", "NEGATION"}


def test_a_layer_without_labels_is_reported_with_what_the_data_annotates():
    nlp = make_nlp(layers=["clinical", "maccrobat"])
    with pytest.raises(ClinnerError, match=r"maccrobat.*clinical, modifiers"):
        nlp.initialize(lambda: examples_for(nlp))


@pytest.mark.parametrize("layers", [None, ["clinical"]])
def test_entities_in_no_group_are_reported_with_what_to_do(layers):
    nlp = make_nlp(layers=layers)
    doc = nlp.make_doc("No fever .")
    doc.set_ents([Span(doc, 1, 2, label="PROBLEM")])
    example = Example(nlp.make_doc(doc.text), doc)
    with pytest.raises(ClinnerError, match=r"no labels.*doc\.ents.*clinner convert"):
        nlp.initialize(lambda: [example])


def test_groups_without_a_span_are_reported():
    nlp = make_nlp(layers=None)
    example = Example(nlp.make_doc("Seen ."), reference(nlp, "Seen .", clinical=[]))
    with pytest.raises(ClinnerError, match=r"no labels.*any group.*clinical"):
        nlp.initialize(lambda: [example])


@pytest.mark.parametrize(
    "config",
    [{"layers": ["a", "a"]}, {"ents_from": ["b"]}, {"threshold": {"b": 0.5}}],
)
def test_options_that_name_unknown_layers_are_refused(config):
    with pytest.raises(ClinnerError, match="layers"):
        make_nlp(**{"layers": ["a"], "ents_from": [], **config})


def test_a_label_added_after_training_can_be_learned_and_forgets_nothing(trained):
    nlp = pickle.loads(pickle.dumps(trained))
    ner = nlp.get_pipe("ner")
    before = {text: spans_of(nlp(text), "clinical") for text, _, _ in NOTES}
    assert ner.add_label("TEST", layer="clinical") == 1
    assert ner.add_label("TEST", layer="clinical") == 0
    assert {text: spans_of(nlp(text), "clinical") for text, _, _ in NOTES} == before
    assert spans_of(nlp("No fever ."), "modifiers") == [("No", "NEGATION")]
    doc = reference(nlp, "CBC was drawn .", clinical=[(0, 3, "TEST")], modifiers=[])
    examples = [*examples_for(nlp), Example(nlp.make_doc(doc.text), doc)]
    train(nlp, examples, sgd=nlp.resume_training())
    assert spans_of(nlp("CBC was drawn ."), "clinical") == [("CBC", "TEST")]
    assert spans_of(nlp("No fever ."), "clinical") == [("fever", "PROBLEM")]
    reloaded = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
    same_predictions(nlp, reloaded)


def test_a_label_may_be_added_while_training_goes_on_with_the_same_optimizer():
    nlp = make_nlp()
    sgd = nlp.initialize(lambda: examples_for(nlp))
    nlp.update(examples_for(nlp), sgd=sgd)
    nlp.get_pipe("ner").add_label("TEST", layer="clinical")
    assert np.isfinite(nlp.update(examples_for(nlp), sgd=sgd)["ner"])


def test_a_label_that_is_added_is_not_found_and_disturbs_no_other_until_it_is_learned(trained):
    nlp = pickle.loads(pickle.dumps(trained))
    nlp.get_pipe("ner").add_label("TEST", layer="clinical")
    for text in [text for text, _, _ in NOTES] + ["Some other words that nobody knows"]:
        docs = trained(text), nlp(text)
        before, after = (doc.spans["clinical"] for doc in docs)
        assert [s.label_ for s in after] == [s.label_ for s in before]
        assert [s._.confidence for s in after] == pytest.approx(
            [s._.confidence for s in before], abs=0.005
        )


def test_initializing_again_makes_room_for_labels_that_were_added():
    nlp = make_nlp()
    nlp.initialize(lambda: examples_for(nlp))
    nlp.get_pipe("ner").add_label("TEST", layer="clinical")
    sgd = nlp.initialize(lambda: examples_for(nlp))
    assert nlp.get_pipe("ner").layer_labels["clinical"] == ["DRUG", "PROBLEM", "TEST"]
    assert np.isfinite(nlp.update(examples_for(nlp), sgd=sgd)["ner"])


def test_initializing_again_learns_the_layers_that_the_data_has_then():
    nlp = make_nlp(layers=None)
    nlp.initialize(lambda: examples_for(nlp))
    doc = reference(nlp, "Seen in clinic .", places=[(8, 14, "PLACE")])
    other = [Example(nlp.make_doc(doc.text), doc)]
    sgd = nlp.initialize(lambda: other)
    assert nlp.get_pipe("ner").layers == ("clinical", "modifiers", "places")
    assert np.isfinite(nlp.update(other, sgd=sgd)["ner_places"])
    with pytest.raises(ClinnerError, match="`labels` names layer 'more'"):
        nlp.get_pipe("ner").initialize(lambda: other, nlp=nlp, labels={"more": ["X"]})


def test_a_label_needs_its_layer_when_there_are_several(trained):
    with pytest.raises(ClinnerError, match="clinical, modifiers"):
        trained.get_pipe("ner").add_label("TEST")


# Scores


def test_scores_are_strict_and_only_over_documents_that_annotate_the_layer(trained):
    partly = reference(trained, "No fever .", clinical=[(3, 8, "PROBLEM")])
    wrong = reference(trained, "Denies knee pain .", clinical=[(12, 16, "PROBLEM")], modifiers=[])
    scores = trained.evaluate([Example(trained.make_doc(d.text), d) for d in (partly, wrong)])
    assert scores["spans_clinical_f"] == pytest.approx(0.5)
    assert scores["spans_modifiers_p"] == 0.0
    assert scores["layers_p"] == pytest.approx(1 / 4)
    assert scores["layers_r"] == pytest.approx(1 / 2)
    assert scores["spans_clinical_per_type"]["PROBLEM"]["f"] == pytest.approx(0.5)
    assert scores["ents_f"] == pytest.approx(0.5)


def test_a_layer_that_nobody_annotates_has_no_score(trained):
    doc = reference(trained, "No fever .", clinical=[(3, 8, "PROBLEM")])
    scores = trained.evaluate([Example(trained.make_doc(doc.text), doc)])
    assert scores["spans_modifiers_f"] is None
    assert scores["layers_f"] == 1.0


def scored(trained, text, ents_of, **layers):
    """The scores of a document whose entities are of a layer, or of none that it holds."""
    doc = reference(trained, text, **layers)
    doc.set_ents(list(doc.spans.get(ents_of, ())))
    return trained.evaluate([Example(trained.make_doc(text), doc)])


def test_entities_of_a_layer_that_is_not_scored_are_missing_and_not_wrong(trained):
    other = {"ncbi": [(3, 8, "DISEASE")]}
    assert scored(trained, "No fever .", "ncbi", **other)["ents_f"] is None
    assert scored(trained, "No fever .", "ncbi", **other)["layers_f"] == 0.0
    assert scored(trained, "No fever .", "ncbi", ncbi=[])["ents_f"] is None


def test_no_entity_is_of_the_layer_that_has_none(trained):
    signs = {"modifiers": [(0, 2, "NEGATION")]}
    assert scored(trained, "No fever .", None, **signs)["ents_p"] is None
    scores = scored(trained, "No fever .", "clinical", clinical=[], **signs)
    assert scores["ents_p"] == 0.0
    assert scores["spans_clinical_p"] == 0.0


def test_of_two_layers_that_fill_the_entities_the_one_annotated_is_scored(trained):
    ner = trained.get_pipe("ner")
    ner.ents_from = ("clinical", "modifiers")
    try:
        scores = scored(trained, "No fever .", "modifiers", modifiers=[(0, 2, "NEGATION")])
    finally:
        ner.ents_from = ("clinical",)
    assert scores["ents_f"] == 1.0


def test_a_label_that_a_group_does_not_judge_is_neither_right_nor_wrong(trained):
    doc = reference(trained, "Takes aspirin daily . No fever .",
                    clinical=[(6, 13, "DRUG"), (25, 30, "PROBLEM")], modifiers=[])  # fmt: skip
    doc.spans["clinical"].attrs[LABELS] = ["PROBLEM"]
    scores = trained.evaluate([Example(trained.make_doc(doc.text), doc)])
    assert scores["spans_clinical_f"] == 1.0
    assert set(scores["spans_clinical_per_type"]) == {"PROBLEM"}
    assert scores["ents_f"] == 1.0
    assert set(scores["ents_per_type"]) == {"PROBLEM"}


def test_the_best_checkpoint_is_picked_on_all_layers():
    weights = make_nlp().config["training"]["score_weights"]
    assert weights["layers_f"] == 1.0
    assert not any(weights[key] for key in ("ents_f", "ents_p", "layers_p"))


# Saving, processes


def test_the_pipeline_survives_disk_bytes_and_pickle(trained, tmp_path):
    ner = trained.get_pipe("ner")
    ner.temperatures["clinical"], ner.threshold["modifiers"] = 1.7, 0.25
    trained.to_disk(tmp_path / "model")
    copies = [
        spacy.load(tmp_path / "model"),
        pickle.loads(pickle.dumps(trained)),
        spacy.blank("en").from_config(trained.config).from_bytes(trained.to_bytes()),
    ]
    for copy in copies:
        same_predictions(trained, copy)
        assert copy.get_pipe("ner").temperatures == {"clinical": 1.7}
        assert copy.get_pipe("ner").threshold == {"modifiers": 0.25}
    given = {"components": {"ner": {"threshold": {"modifiers": 0.75}}}}
    loaded = spacy.load(tmp_path / "model", config=given)
    assert loaded.get_pipe("ner").threshold == {"modifiers": 0.75}
    ner.temperatures.clear()
    ner.threshold.clear()


def test_confidences_come_back_from_other_processes(trained):
    texts = [text for text, _, _ in NOTES] * 4
    docs = list(trained.pipe(texts, n_process=2, batch_size=4))
    for doc, text in zip(docs, texts, strict=True):
        assert spans_of(doc, "modifiers") == spans_of(trained(text), "modifiers")
        assert all(0 < ent._.confidence <= 1 for ent in doc.ents)


def test_the_annotations_survive_a_docbin(trained):
    doc = trained("No fever .")
    packed = DocBin(docs=[doc], store_user_data=True).to_bytes()
    (loaded,) = DocBin().from_bytes(packed).get_docs(trained.vocab)
    assert loaded.ents[0]._.confidence == doc.ents[0]._.confidence
    assert loaded.spans["modifiers"][0]._.layer == "modifiers"


def test_disabling_the_component_leaves_the_document_alone(trained):
    with trained.select_pipes(disable="ner"):
        assert not trained("No fever .").spans
    assert "clinical" in trained("No fever .").spans


def test_it_works_inside_a_memory_zone(trained):
    with trained.memory_zone():
        assert spans_of(trained("No fever ."), "clinical") == [("fever", "PROBLEM")]
    assert spans_of(trained("No fever ."), "clinical") == [("fever", "PROBLEM")]


# Shared token vectors


def test_entities_are_given_in_the_shape_of_a_hugging_face_pipeline(trained):
    doc = trained("No fever . Takes aspirin daily .")
    entities = spacy_clinner.to_entities(doc)
    assert [(e["entity_group"], e["word"], e["start"], e["end"]) for e in entities] == [
        ("PROBLEM", "fever", 3, 8),
        ("DRUG", "aspirin", 17, 24),
    ]
    assert [e["score"] for e in entities] == [ent._.confidence for ent in doc.ents]
    both = spacy_clinner.to_entities(doc, layers=["clinical", "modifiers"])
    assert [e["word"] for e in both] == ["No", "fever", "aspirin", "daily"]


def test_an_unknown_layer_has_no_entities_to_give(trained):
    with pytest.raises(ClinnerError, match="clinical, modifiers"):
        spacy_clinner.to_entities(trained("No fever ."), layers=["nothing"])


def test_entities_of_other_components_have_no_score():
    doc = English()("Seen by Smith")
    doc.ents = [Span(doc, 2, 3, label="PERSON")]
    assert spacy_clinner.to_entities(doc)[0]["score"] is None


def test_the_component_is_the_class_that_is_documented(trained):
    assert isinstance(trained.get_pipe("ner"), LayeredNER)
