import pickle

import numpy as np
import pytest
import spacy
from spacy.lang.en import English
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

import clinner
from clinner.errors import ClinnerError
from clinner.pipeline.layers import MISSING, TokenBatch, gold_tags
from clinner.pipeline.ner import LayeredNER

NOTES = [
    ("Patient has chest pain today .", [(12, 22, "PROBLEM")], [(12, 17, "BODYLOC")]),
    ("No fever . Takes aspirin daily .", [(3, 8, "PROBLEM"), (17, 24, "DRUG")],
     [(0, 2, "NEGATION"), (25, 30, "FREQUENCY")]),
    ("Denies knee pain .", [(7, 16, "PROBLEM")], [(0, 6, "NEGATION"), (7, 11, "BODYLOC")]),
    ("Seen in clinic .", [], []),
]  # fmt: skip
LAYERS = ["clinical", "modifiers"]


def reference(nlp, text, **layers):
    doc = nlp.make_doc(text)
    for layer, spans in layers.items():
        doc.spans[layer] = [doc.char_span(s, e, label=label) for s, e, label in spans]
    doc.set_ents(list(doc.spans["clinical"]) if "clinical" in layers else [])
    return doc


def examples_for(nlp):
    docs = [reference(nlp, text, clinical=c, modifiers=m) for text, c, m in NOTES]
    return [Example(nlp.make_doc(doc.text), doc) for doc in docs]


def make_nlp(**config):
    nlp = English()
    nlp.add_pipe("clinner_ner", name="ner", config={"layers": LAYERS, **config})
    return nlp


def train(nlp, examples, steps=40, sgd=None):
    sgd = sgd or nlp.create_optimizer()
    sgd.learn_rate = 0.01
    for _ in range(steps):
        losses = nlp.update(examples, sgd=sgd)
    return losses


def spans_of(doc, layer):
    return [(span.text, span.label_) for span in doc.spans[layer]]


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


# How it learns


def test_only_annotated_layers_have_a_loss():
    nlp = make_nlp()
    nlp.initialize(lambda: examples_for(nlp))
    doc = reference(nlp, "No fever .", clinical=[(3, 8, "PROBLEM")])
    losses = nlp.update([Example(nlp.make_doc(doc.text), doc)], sgd=False)
    assert set(losses) == {"ner", "ner_clinical"}
    assert losses["ner"] == pytest.approx(losses["ner_clinical"])


def test_an_annotated_empty_layer_teaches_that_nothing_is_there():
    nlp = make_nlp()
    nlp.initialize(lambda: examples_for(nlp))
    ner = nlp.get_pipe("ner")
    doc = reference(nlp, "Seen in clinic .", clinical=[])
    example = Example(nlp.make_doc(doc.text), doc)
    scores, _ = ner.model.begin_update([example.predicted])
    _, (gradient,) = ner.get_loss([example], scores)
    n_clinical = 2 * len(ner.layer_labels["clinical"]) + 1
    assert (gradient[:, 0] < 0).all()
    assert (gradient[:, 1:n_clinical] >= 0).all()
    assert (
        gradient[1:, 1:n_clinical] > 0
    ).all()  # before the first token there is nothing to go on
    assert (gradient[:, n_clinical:] == 0).all()


def test_corpora_that_annotate_different_layers_mix_in_one_batch():
    nlp = make_nlp()
    docs = []
    for text, clinical, modifiers in NOTES:
        docs.append(reference(nlp, text, clinical=clinical))
        docs.append(reference(nlp, text, modifiers=modifiers))
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in docs]
    nlp.initialize(lambda: examples)
    train(nlp, examples, steps=60)
    doc = nlp("Denies knee pain .")
    assert spans_of(doc, "clinical") == [("knee pain", "PROBLEM")]
    assert spans_of(doc, "modifiers") == [("Denies", "NEGATION"), ("knee", "BODYLOC")]


def test_the_gradient_is_that_of_the_loss():
    nlp = make_nlp()
    examples = examples_for(nlp)
    nlp.initialize(lambda: examples)
    ner = nlp.get_pipe("ner")
    rng = np.random.default_rng(0)
    width = ner.model.get_ref("output_layer").get_dim("nO")
    scores = [rng.normal(size=(len(eg.predicted), width)).astype("f") for eg in examples]
    loss, gradient = ner.get_loss(examples, scores)
    step = 1e-2
    for doc, row, column in [(0, 2, 0), (0, 2, 3), (1, 1, 7), (2, 1, 2)]:
        moved = [array.copy() for array in scores]
        moved[doc][row, column] += step
        slope = (ner.get_loss(examples, moved)[0] - loss) / step
        assert slope == pytest.approx(float(gradient[doc][row, column]), abs=2e-3)


def test_training_on_empty_documents_does_nothing_bad():
    nlp = make_nlp()
    nlp.initialize(lambda: examples_for(nlp))
    empty = [Example(nlp.make_doc(text), reference(nlp, text, clinical=[])) for text in ("", " ")]
    assert nlp.update(empty[:1], sgd=nlp.create_optimizer())["ner"] == 0.0
    assert np.isfinite(nlp.update([*empty, *examples_for(nlp)])["ner"])


def tags(example, labels):
    found = gold_tags([example], TokenBatch.of([example.predicted]), labels)
    return {layer: array.tolist() for layer, array in found.items()}


def test_gold_tags_follow_the_predicted_tokens_where_tokenization_differs():
    vocab = English().vocab
    gold = Doc(vocab, words=["mild", "chest", "pain", "120", "/", "80", "mmHg"],
               spaces=[True, True, True, False, False, False, False])  # fmt: skip
    gold.spans["a"] = [Span(gold, 1, 3, label="X"), Span(gold, 3, 6, label="Y")]
    predicted = Doc(vocab, words=["mild", "che", "st", "pain", "120/80mmHg"],
                    spaces=[True, False, True, True, False])  # fmt: skip
    found = tags(Example(predicted, gold), {"a": ["X", "Y"], "b": ["X"]})
    assert found == {"a": [0, 1, 3, 3, MISSING]}


def test_gold_tags_leave_out_whitespace_and_unknown_labels():
    nlp = English()
    doc = nlp.make_doc("chest \n pain and\n\nfever")
    doc.spans["a"] = [doc[0:3], doc[5:6]]
    doc.spans["a"] = [Span(doc, 0, 3, label="X"), Span(doc, 5, 6, label="OTHER")]
    assert [t.text for t in doc if not t.is_space] == ["chest", "pain", "and", "fever"]
    assert tags(Example(nlp.make_doc(doc.text), doc), {"a": ["X"]})["a"] == [1, 2, 0, MISSING]


def test_of_overlapping_gold_spans_in_one_layer_the_longest_is_kept():
    nlp = English()
    doc = nlp.make_doc("acute chest pain today")
    doc.spans["a"] = [Span(doc, 1, 2, label="X"), Span(doc, 0, 3, label="X")]
    assert tags(Example(nlp.make_doc(doc.text), doc), {"a": ["X"]})["a"] == [1, 2, 2, 0]


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


@pytest.mark.parametrize(
    "config",
    [{"layers": []}, {"layers": ["a", "a"]}, {"ents_from": ["b"]}, {"threshold": {"b": 0.5}}],
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

LISTENER = {
    "@architectures": "clinner.LayeredTagger.v1",
    "tok2vec": {"@architectures": "spacy.Tok2VecListener.v1", "width": 96, "upstream": "*"},
}


def test_it_learns_through_a_tok2vec_listener():
    nlp = English()
    nlp.add_pipe("tok2vec")
    nlp.add_pipe("clinner_ner", name="ner", config={"layers": LAYERS, "model": LISTENER})
    nlp.initialize(lambda: examples_for(nlp))
    train(nlp, examples_for(nlp))
    assert spans_of(nlp("No fever ."), "clinical") == [("fever", "PROBLEM")]
    assert nlp("").spans["clinical"].__len__() == 0
    losses = nlp.update([Example(nlp.make_doc(t), reference(nlp, t, clinical=[]))
                         for t in ("", "No fever .")])  # fmt: skip
    assert np.isfinite(losses["ner"])


def test_it_learns_through_a_transformer_listener(tiny_bert, tmp_path):
    nlp = English()
    spans = {"@span_getters": "clinner.line_windows.v1", "window": 32, "max_pieces": 62}
    model = {"@architectures": "spacy-transformers.TransformerModel.v3", "name": str(tiny_bert),
             "get_spans": spans, "tokenizer_config": {"use_fast": True}}  # fmt: skip
    nlp.add_pipe("transformer", config={"model": model})
    tok2vec = {"@architectures": "spacy-transformers.TransformerListener.v1", "grad_factor": 1.0,
               "pooling": {"@layers": "reduce_mean.v1"}}  # fmt: skip
    tagger = {"@architectures": "clinner.LayeredTagger.v1", "head_rate": 5.0, "tok2vec": tok2vec}
    nlp.add_pipe("clinner_ner", name="ner", config={"layers": LAYERS, "model": tagger})
    nlp.initialize(lambda: examples_for(nlp))
    first = nlp.update(examples_for(nlp), sgd=nlp.create_optimizer())["ner"]
    last = train(nlp, examples_for(nlp), steps=30)["ner"]
    assert last < 0.6 * first
    texts = ["No fever . " * 100, "", " \n", "Denies knee pain ."]
    docs = list(nlp.pipe(texts))
    assert all(set(doc.spans) == set(LAYERS) for doc in docs)
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    for doc, again in zip(docs, loaded.pipe(texts), strict=True):
        assert spans_of(doc, "clinical") == spans_of(again, "clinical")


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    """A folder with a BERT of random weights and a vocabulary of the notes' words."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("spacy_transformers")
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = sorted({word.lower() for text, _, _ in NOTES for word in text.split()})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


# The shape of Hugging Face pipelines


def test_entities_are_given_in_the_shape_of_a_hugging_face_pipeline(trained):
    doc = trained("No fever . Takes aspirin daily .")
    entities = clinner.to_entities(doc)
    assert [(e["entity_group"], e["word"], e["start"], e["end"]) for e in entities] == [
        ("PROBLEM", "fever", 3, 8),
        ("DRUG", "aspirin", 17, 24),
    ]
    assert [e["score"] for e in entities] == [ent._.confidence for ent in doc.ents]
    both = clinner.to_entities(doc, layers=["clinical", "modifiers"])
    assert [e["word"] for e in both] == ["No", "fever", "aspirin", "daily"]


def test_an_unknown_layer_has_no_entities_to_give(trained):
    with pytest.raises(ClinnerError, match="clinical, modifiers"):
        clinner.to_entities(trained("No fever ."), layers=["nothing"])


def test_entities_of_other_components_have_no_score():
    doc = English()("Seen by Smith")
    doc.ents = [Span(doc, 2, 3, label="PERSON")]
    assert clinner.to_entities(doc)[0]["score"] is None


def test_the_component_is_the_class_that_is_documented(trained):
    assert isinstance(trained.get_pipe("ner"), LayeredNER)
