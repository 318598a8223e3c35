import numpy as np
import pytest
from spacy.lang.en import English
from spacy.tokens import Span
from spacy.training import Example

from spacy_clinner.training.distillation import distil
from spacy_clinner.training.new_labels import fit_new_labels, new_labels

TINY = {"@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None, "width": 32,
        "depth": 1, "embed_size": 500, "window_size": 1, "maxout_pieces": 2,
        "subword_features": False}  # fmt: skip
TEXTS = ("No fever on B7 .", "Moved to C3 with cough .", "Fever , then cough on C3 .")
WARDS = {"B7": "WARD", "C3": "WARD"}


def annotated(nlp, layer, by_word):
    docs = [nlp.make_doc(text) for text in TEXTS]
    for doc in docs:
        words = [(t.i, by_word[t.text]) for t in doc if t.text in by_word]
        doc.spans[layer] = [Span(doc, at, at + 1, label) for at, label in words]
    return docs


@pytest.fixture
def nlp():
    """A pipeline that found problems in these texts, in which tokens have vectors of their own."""
    nlp = English()
    tagger = {"@architectures": "clinner.LayeredTagger.v1", "head_rate": 5.0, "tok2vec": TINY}
    for name, layer in (("ner", "clinical"), ("wards", "places")):
        nlp.add_pipe("clinner_ner", name=name, config={"model": tagger, "layers": [layer]})
    gold = annotated(nlp, "clinical", {"fever": "PROBLEM", "Fever": "PROBLEM", "cough": "PROBLEM"})
    for doc, other in zip(gold, annotated(nlp, "places", {"B7": "BED"}), strict=True):
        spans = [Span(doc, span.start, span.end, span.label_) for span in other.spans["places"]]
        doc.spans["places"] = spans
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in gold]
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 0.01
    for _ in range(40):
        nlp.update(examples, sgd=sgd)
    return nlp


def found(doc, layer):
    return [(span.text, span.label_) for span in doc.spans[layer]]


def recognisers(nlp):
    return dict(nlp.pipeline)


def test_a_layer_is_learned_by_the_recogniser_that_has_it_and_one_that_none_has_by_the_first(nlp):
    docs = annotated(nlp, "places", WARDS)
    assert new_labels(recognisers(nlp), docs) == {"wards": {"places": ["WARD"]}}
    docs = annotated(nlp, "rooms", WARDS)
    assert new_labels(recognisers(nlp), docs) == {"ner": {"rooms": ["WARD"]}}
    known = annotated(nlp, "clinical", {"fever": "PROBLEM"})
    assert new_labels(recognisers(nlp), known) == {}


def test_what_a_frozen_recogniser_has_is_learned_by_none_and_a_new_layer_by_the_next(nlp):
    frozen = ["ner"]
    docs = annotated(nlp, "clinical", {"fever": "SIGN"})
    assert new_labels(recognisers(nlp), docs, frozen) == {}
    docs = annotated(nlp, "rooms", WARDS)
    assert new_labels(recognisers(nlp), docs, frozen) == {"wards": {"rooms": ["WARD"]}}


@pytest.mark.parametrize("layer", ["clinical", "rooms"])
def test_what_is_new_is_found_over_the_encoder_as_it_is_and_the_rest_as_before(nlp, layer):
    component = nlp.get_pipe("ner")
    before = [found(nlp(text), "clinical") for text in TEXTS]
    tok2vec = component.model.get_ref("tok2vec").to_bytes()
    component.learn_also({layer: ["WARD"]})
    fit_new_labels(nlp, "ner", annotated(nlp, layer, WARDS), {layer: ["WARD"]})
    assert component.model.get_ref("tok2vec").to_bytes() == tok2vec
    after = [[s for s in found(nlp(text), "clinical") if s[1] != "WARD"] for text in TEXTS]
    assert after == before
    wards = [[s for s in found(nlp(text), layer) if s[1] == "WARD"] for text in TEXTS]
    assert wards == [[("B7", "WARD")], [("C3", "WARD")], [("C3", "WARD")]]


def test_labels_that_nobody_looked_for_are_those_of_the_recogniser_that_has_them(nlp):
    nlp.get_pipe("ner").learn_also({"clinical": ["WARD"]})
    (doc, *_) = annotated(nlp, "clinical", {"B7": "WARD"})
    doc.spans["clinical"].attrs["labels"] = ["WARD"]
    assert distil(nlp, [doc]) == ["clinical", "places"]
    assert set(found(doc, "clinical")) == {("B7", "WARD"), ("fever", "PROBLEM")}


def test_documents_without_the_layer_and_empty_ones_are_passed_over(nlp):
    component = nlp.get_pipe("ner")
    component.learn_also({"rooms": ["WARD"]})
    empty = nlp.make_doc("")
    empty.spans["rooms"] = []
    docs = [nlp.make_doc("No fever ."), empty, *annotated(nlp, "rooms", WARDS)]
    fit_new_labels(nlp, "ner", docs, {"rooms": ["WARD"]})
    assert np.isfinite(component.model.get_ref("output_layer").get_param("W")).all()
    assert found(nlp(TEXTS[0]), "rooms") == [("B7", "WARD")]
