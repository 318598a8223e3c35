import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.lang.en import English
from toy_ner import examples_for, make_nlp, spans_of

from spacy_clinner.pipeline.ner.layers import TokenBatch
from spacy_clinner.pipeline.ner.layout import layout_starts

NLP = English.from_config(
    {"nlp": {"lang": "en", "tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}}
)


def started(*texts):
    docs = [NLP.make_doc(text) for text in texts]
    batch = TokenBatch.of(docs)
    at = np.flatnonzero(layout_starts(docs, batch) & ~batch.starts)
    return [docs[batch.doc[i]][int(batch.token[i])].text for i in at]


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("C diff\n\nBP", ["BP"]),
        ("C diff \n \t\nBP", ["BP"]),
        ("C diff\r\n\r\nBP", ["BP"]),
        ("C diff\u2028\u2028BP", ["BP"]),
        ("right\nknee pain", ["knee"]),
        ("No evidence of a fracture of the left or right\nknee joint", []),
        ("No evidence of a fracture of the left or right\r\nknee joint", []),
        ("   Seen for asthma, eczema and gout of the\n  left knee", ["left"]),
        ("Delirium\nPressure ulcer", ["Pressure"]),
        ("R heel\nStage: 2", ["Stage"]),
        ("Asthma\t1999\tactive\nGout\t2010", ["1999", "active", "Gout", "2010"]),
        ("Hgb\t12.1 \t H\nPlt", ["12.1", "H", "Plt"]),
        ("lisinopril | 10 mg |daily", ["|", "10", "|", "daily"]),
        ("BMP 136|4.4|100|25", []),
        ("left  hip   pain", []),
        ("K      5.6      H\n       MRN", ["5.6", "H", "MRN"]),
        ("No evidence of a fracture of the left or right\n        knee joint", []),
        ("fever\n- cough\n  * HTN\n• DM", ["-", "*", "•"]),
        ("meds: • ASA • statin", ["•", "•"]),
        ("fever\n2. cough\n3) HTN\n10 mg", ["2", "3", "10"]),
        ("[x] fever\n[ ] cough\n[x] HTN\n( ) DM", ["[", "[", "("]),
        ("No evidence of a fracture, and no more pain in\n(R) knee", []),
        ("T - 38.5, x 2. no - 3) [x]", []),
        ("", []),
    ],
)
def test_blank_lines_and_marks_of_list_items_at_the_beginning_of_lines(text, marked):
    assert started(text) == marked


def test_a_batch_marks_what_each_document_alone_does():
    texts = ["C diff\n\nBP", "", "- fever\n- cough", "\n\n\n", "one"]
    assert started(*texts) == [word for text in texts for word in started(text)]


@pytest.fixture(scope="module")
def greedy():
    """A model for which every token goes on a PROBLEM."""
    nlp = make_nlp()
    nlp.tokenizer = NLP.tokenizer
    nlp.initialize(lambda: examples_for(nlp))
    labels = nlp.get_pipe("ner").layer_labels["clinical"]
    bias = nlp.get_pipe("ner").model.get_ref("output_layer").get_param("b")
    bias[1 + len(labels) + labels.index("PROBLEM")] = 9.0
    bias[1 + labels.index("PROBLEM")] = 5.0
    return nlp


def test_no_entity_crosses_a_blank_line_or_begins_an_item_inside_unless_it_may(greedy):
    item = "- left knee and the whole of the lower leg\npain"
    text = f"C diff\n\nBP\n{item}\nHR"
    ner = greedy.get_pipe("ner")
    parts = [("C diff", "PROBLEM"), ("BP", "PROBLEM"), (item, "PROBLEM"), ("HR", "PROBLEM")]
    doc = greedy(text)
    assert spans_of(doc, "clinical") == parts
    assert all(span._.confidence > 0.5 for span in doc.spans["clinical"])
    ner.layout_constraints = False
    try:
        assert spans_of(greedy(text), "clinical") == [(text, "PROBLEM")]
        assert greedy.config["components"]["ner"]["layout_constraints"] is False
    finally:
        ner.layout_constraints = True


@settings(deadline=None, max_examples=50)
@given(
    pieces=st.lists(st.sampled_from(["fever", " ", "\n", "\n\n", "- ", "2. ", "[ ]"]), max_size=12)
)
def test_no_entity_holds_a_token_where_none_may_go_on(greedy, pieces):
    doc = greedy("".join(pieces))
    batch = TokenBatch.of([doc])
    no_further = {int(batch.token[i]) for i in np.flatnonzero(layout_starts([doc], batch))}
    for span in doc.spans["clinical"]:
        assert not no_further & set(range(span.start + 1, span.end))
