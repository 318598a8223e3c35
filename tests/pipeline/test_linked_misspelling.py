import pytest
import spacy
from spacy.tokens import Span

from spacy_clinner.annotation import said


@pytest.fixture(scope="module")
def nlp():
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    nlp.add_pipe("clinner_context", name="context", config={"disable": ["neg_denies"]})
    return nlp


def judged(nlp, text, label="NEGATION"):
    """What is said of the last word, which is linked to the first one."""
    doc = nlp.make_doc(text)
    modifier, entity = Span(doc, 0, 1, label), Span(doc, len(doc) - 1, len(doc), "PROBLEM")
    doc.spans["modifiers"] = [modifier]
    doc.set_ents([entity])
    said.set_relations(doc, [(entity, modifier, 0.9)])
    return nlp.get_pipe("context")(doc).ents[0]._


@pytest.mark.parametrize("text", ["deneis fever", "Wihtout edema", "Deneid any fever"])
def test_a_linked_negation_that_no_cue_knows_negates(nlp, text):
    found = judged(nlp, text)
    assert (found.assertion, found.negation_cue.text) == ("absent", text.split()[0])
    assert found.assertion_evidence == ("modifier:NEGATION",)


@pytest.mark.parametrize("text", ["POC Hgb", "denies fever", "2020 fever", "chronic pain"])
def test_a_linked_negation_is_passed_over_that_is_switched_off_or_no_word(nlp, text):
    label = "COURSE" if text.startswith("chronic") else "NEGATION"
    assert judged(nlp, text, label).assertion == "present"


def test_what_a_cue_says_stands(nlp):
    assert judged(nlp, "deneis no fever").assertion_evidence == ("rule:neg_no",)
    assert judged(nlp, "deneis possible fever").assertion == "possible"
