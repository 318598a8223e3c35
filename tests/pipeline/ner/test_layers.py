import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.lang.en import English
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_clinner.pipeline.ner.layers import MISSING, TokenBatch, gold_tags, tagging_loss


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


@settings(max_examples=30)
@given(st.lists(st.floats(-4, 4, width=32), min_size=25, max_size=25), st.booleans())
def test_the_gradient_of_a_tagging_is_the_slope_of_its_loss(numbers, unknown_token):
    nlp = English()
    batch = TokenBatch.of([nlp.make_doc("no chest pain"), nlp.make_doc("none today")])
    logits = np.array(numbers, dtype="float64").reshape(5, 5)  # O, B-X, B-Y, I-X, I-Y
    tags = np.array([0, 1, 3, MISSING if unknown_token else 0, 2])
    loss, gradient = tagging_loss(logits, tags, batch)
    step = 1e-5
    for row, column in np.ndindex(5, 5):
        if tags[row] != MISSING and not unknown_token:
            moved = logits.copy()
            moved[row, column] += step
            slope = (tagging_loss(moved, tags, batch)[0] - loss) / step
            np.testing.assert_allclose(gradient[row, column], slope, atol=1e-4)
    if unknown_token:
        assert (gradient[3] == 0).all()


def test_documents_that_do_not_annotate_a_layer_have_no_gradient():
    nlp = English()
    batch = TokenBatch.of([nlp.make_doc("no chest pain"), nlp.make_doc("none today")])
    tags = np.array([0, 1, 3, MISSING, MISSING])
    loss, gradient = tagging_loss(np.zeros((5, 5)), tags, batch)
    assert loss > 0
    assert gradient[:3].any()
    assert (gradient[3:] == 0).all()
    assert tagging_loss(np.zeros((5, 5)), np.full(5, MISSING), batch)[0] == 0.0
