import pickle

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span

import spacy_clinner
from spacy_clinner.annotation import store


@pytest.fixture
def doc(nlp):
    doc = nlp("No chest pain or fever today")
    pain = Span(doc, 1, 3, label="PROBLEM", span_id="clinical")
    cue = Span(doc, 0, 1, label="NEGATION", span_id="modifiers")
    doc.spans["clinical"] = [pain]
    doc.spans["modifiers"] = [cue]
    doc.set_ents([pain])
    store.set_values(pain, confidence=0.9, layer="clinical", negated=True, assertion="absent")
    pain._.negation_cue = cue
    pain._.assertion_evidence = ["modifier:NEGATION"]
    pain._.modifiers = [("NEGATION", cue, 0.8)]
    doc._.relations = [(pain, cue, 0.8)]
    doc._.sections = [(None, None, doc[:3]), ("plan", doc[3:4], doc[3:])]
    return doc


def through_docbin(doc):
    data = DocBin(docs=[doc], store_user_data=True).to_bytes()
    return next(DocBin().from_bytes(data).get_docs(doc.vocab))


WAYS = {
    "as it is": lambda doc: doc,
    "pickle": lambda doc: pickle.loads(pickle.dumps(doc)),
    "copy": lambda doc: doc.copy(),
    "DocBin": through_docbin,
    "bytes": lambda doc: Doc(doc.vocab).from_bytes(doc.to_bytes()),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_attribute_survives(doc, way):
    again = WAYS[way](doc)
    ent = again.ents[0]
    assert (ent._.confidence, ent._.layer, ent._.negated) == (0.9, "clinical", True)
    assert ent._.assertion == "absent"
    assert ent._.assertion_evidence == ("modifier:NEGATION",)
    assert ent._.negation_cue.text == "No"
    assert [(m.label, m.span.text, m.confidence) for m in ent._.modifiers] == [
        ("NEGATION", "No", 0.8)
    ]
    assert ent._.semantic_group == "Disorders"
    assert again.spans["clinical"][0]._.confidence == 0.9
    assert [(r.head.text, r.tail.text, r.confidence) for r in again._.relations] == [
        ("chest pain", "No", 0.8)
    ]
    assert [(s.title, s.header and s.header.text) for s in again._.sections] == [
        (None, None),
        ("plan", "or"),
    ]


def test_what_nobody_judged_is_none(nlp):
    doc = nlp("fever")
    span = Span(doc, 0, 1, label="PROBLEM")
    assert span._.confidence is None
    assert span._.negated is None
    assert span._.negation_cue is None
    assert span._.assertion is None
    assert (span._.uncertain, span._.hypothetical, span._.historical) == (None, None, None)
    assert span._.experiencer is None
    assert spacy_clinner.assertion(span) == spacy_clinner.Assertion()
    assert span._.modifiers == ()
    assert doc._.relations == ()
    assert doc._.sections == ()


def test_spans_with_the_same_offsets_and_other_labels_or_layers_keep_values_apart(nlp):
    doc = nlp("cold")
    a, b = Span(doc, 0, 1, label="PROBLEM"), Span(doc, 0, 1, label="TEMPORAL")
    c = Span(doc, 0, 1, label="PROBLEM", span_id="ncbi")
    a._.negated = True
    store.set_values(c, confidence=0.5)
    assert (a._.negated, b._.negated, c._.negated) == (True, None, None)
    assert (a._.confidence, c._.confidence) == (None, 0.5)


def test_gold_can_be_set_by_hand_but_only_to_legal_values(nlp):
    span = Span(nlp("fever"), 0, 1, label="PROBLEM")
    span._.assertion = "possible"
    assert span._.assertion == "possible"
    with pytest.raises(ValueError, match="associated_with_someone_else"):
        span._.assertion = "maybe"


def test_values_survive_a_memory_zone_as_long_as_the_doc_does(nlp):
    with nlp.memory_zone():
        doc = nlp("unheardofword pain")
        span = Span(doc, 0, 2, label="PROBLEM")
        span._.negation_cue = doc[0:1]
        assert span._.negation_cue.text == "unheardofword"


def test_the_extensions_can_be_sent_to_spawned_processes(nlp):
    from spacy.tokens.underscore import Underscore

    assert pickle.loads(pickle.dumps(Underscore.get_state()))


def test_the_typed_accessor_gives_what_the_extensions_give(doc):
    said = spacy_clinner.assertion(doc.ents[0])
    assert (said.assertion, said.negated, said.uncertain) == ("absent", True, None)
    assert said.negation_cue.text == "No"
    assert said.evidence == ("modifier:NEGATION",)


def test_spacy_explains_the_labels_of_a_pipeline(nlp):
    nlp.add_pipe("clinner_ner", config={"layers": ["modifiers"], "ents_from": []})
    nlp.get_pipe("clinner_ner").add_label("LABVALUE")
    assert spacy.explain("LABVALUE") == "Result of a test, with its unit"


def test_a_message_about_sections_quotes_none_of_their_words():
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_sections")
    doc = nlp("Plan: denies chest pain.")
    with pytest.raises(ValueError, match="plan") as error:
        doc.to_json(underscore=["sections"])
    assert "chest" not in str(error.value)
