from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.lang.en import English
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from spacy_clinner.annotation.spans import LABELS
from spacy_clinner.architectures.decoding import (
    CHUNK,
    only_allowed,
    tag_marginals,
    tag_scores,
)
from spacy_clinner.pipeline.ner.layers import (
    MISSING,
    GoldTags,
    TokenBatch,
    gold_tags,
    tagging_loss,
)


def tags(example, labels):
    found = gold_tags([example], TokenBatch.of([example.predicted]), labels)
    return {layer: gold.tags.tolist() for layer, gold in found.items()}


def known(tags, n_labels, annotated=True, unknown=()):
    """Gold tags of one layer whose documents do not annotate the labels of some numbers."""
    tags = np.array(tags)
    also = np.tile(np.isin(np.arange(n_labels), unknown), (len(tags), 1))
    return GoldTags(tags, also, np.broadcast_to(annotated, len(tags)))


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


def taggings(batch, n_labels):
    """All legal taggings of a batch, as lists of tag numbers."""
    for tagging in product(range(2 * n_labels + 1), repeat=len(batch)):
        label = [None if tag == 0 else (tag - 1) % n_labels for tag in tagging]
        if all(
            tag <= n_labels or (not batch.starts[at] and label[at - 1] == label[at])
            for at, tag in enumerate(tagging)
        ):
            yield list(tagging)


@st.composite
def batches(draw):
    """Two documents of words, scores for two labels, a legal tagging, and what of it is known."""
    nlp = English()
    batch = TokenBatch.of([nlp.make_doc("no pain here"), nlp.make_doc("none")])
    scores = draw(st.lists(st.floats(-4, 4, width=32), min_size=20, max_size=20))
    tags = draw(st.sampled_from(list(taggings(batch, 2))))
    unknown = draw(st.sets(st.integers(0, 1)))
    # What is not annotated has no span.
    tags = [0 if tag and (tag - 1) % 2 in unknown else tag for tag in tags]
    # A span is known or not as a whole.
    begun = np.maximum.accumulate(np.where(np.array(tags) > 2, 0, np.arange(4)))
    missing = np.array(draw(st.lists(st.booleans(), min_size=4, max_size=4)))[begun]
    tags = np.where(missing, MISSING, tags)
    logits = np.array(scores, dtype="float64").reshape(4, 5)
    return batch, logits, known(tags, 2, unknown=sorted(unknown))


@settings(max_examples=60)
@given(batches())
def test_the_loss_is_that_of_all_legal_taggings_that_agree_with_what_is_known(drawn):
    batch, logits, gold = drawn
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    allowed = gold.allowed()
    rows = np.arange(len(batch))
    legal = agreeing = 0.0
    for tagging in taggings(batch, 2):
        probability = np.exp(log_probs[rows, tagging].sum())
        legal += probability
        agreeing += probability * allowed[rows, tagging].all()
    loss, _ = tagging_loss(logits, gold, batch)
    np.testing.assert_allclose(loss, np.log(legal) - np.log(agreeing), atol=1e-8)


@settings(max_examples=60)
@given(batches())
def test_the_gradient_of_a_tagging_is_the_slope_of_its_loss(drawn):
    batch, logits, gold = drawn
    _, gradient = tagging_loss(logits, gold, batch)
    step = 1e-5
    for row, column in np.ndindex(logits.shape):
        ends = []
        for move in (step, -step):
            moved = logits.copy()
            moved[row, column] += move
            ends.append(tagging_loss(moved, gold, batch)[0])
        np.testing.assert_allclose(gradient[row, column], (ends[0] - ends[1]) / (2 * step),
                                   atol=1e-6)  # fmt: skip


@settings(max_examples=60)
@given(batches())
def test_where_all_is_known_the_loss_is_that_of_the_one_tagging(drawn):
    batch, logits, gold = drawn
    gold = known(np.where(gold.tags == MISSING, 0, gold.tags), 2)
    scores = tag_scores(logits, batch.starts)
    rows, all_tokens = np.arange(len(batch)), np.ones(len(batch), dtype=bool)
    loss, gradient = tagging_loss(logits, gold, batch)
    marginals, log_norm = tag_marginals(scores)
    np.testing.assert_allclose(loss, log_norm.sum() - scores.by_tag[gold.tags, rows].sum())
    np.testing.assert_allclose(gradient, marginals - np.eye(5)[gold.tags])
    # The sum over all taggings that agree has one term then.
    only, log_only = tag_marginals(only_allowed(scores, gold.allowed(), all_tokens))
    np.testing.assert_allclose(only, np.eye(5)[gold.tags], atol=1e-12)
    np.testing.assert_allclose(log_norm.sum() - log_only.sum(), loss, atol=1e-9)


def test_a_span_through_many_chunks_is_known_exactly():
    n_tokens, n_labels = 7 * CHUNK + 3, 3
    rng = np.random.default_rng(3)
    scores = tag_scores(rng.normal(size=(n_tokens, 7)), np.arange(n_tokens) == 0)
    tags = np.full(n_tokens, 2 + n_labels)
    tags[0], tags[1], tags[-1] = 0, 2, 0
    gold = known(tags, n_labels, unknown=[2])
    with np.errstate(all="raise", under="ignore"):
        marginals, log_norm = tag_marginals(
            only_allowed(scores, gold.allowed(), np.ones(n_tokens, dtype=bool))
        )
    np.testing.assert_allclose(marginals[1:-1], np.eye(7)[tags[1:-1]], atol=1e-12)
    ends = np.logaddexp(scores.by_tag[0], scores.by_tag[3])[[0, -1]].sum()
    inner = scores.by_tag[tags[1:-1], np.arange(1, n_tokens - 1)].sum()
    np.testing.assert_allclose(log_norm.sum(), ends + inner)


def test_what_a_group_says_of_its_labels_decides_what_else_a_token_may_be():
    nlp = English()
    doc = nlp.make_doc("chest pain")
    doc.spans["a"] = SpanGroup(doc, name="a", attrs={LABELS: ["X"]}, spans=[Span(doc, 0, 1, "X")])
    example = Example(nlp.make_doc(doc.text), doc)
    (gold,) = gold_tags([example], TokenBatch.of([example.predicted]), {"a": ["X", "Y"]}).values()
    # O, B-X, B-Y, I-X, I-Y
    assert gold.allowed().tolist() == [
        [False, True, False, False, False],
        [True, False, True, False, True],
    ]


def test_a_known_span_does_not_go_on_into_tokens_of_an_unknown_label():
    nlp = English()
    doc = nlp.make_doc("chest pain very bad")
    doc.spans["a"] = [Span(doc, 0, 2, label="X"), Span(doc, 2, 4, label="OTHER")]
    batch = TokenBatch.of([doc])
    (gold,) = gold_tags([Example(nlp.make_doc(doc.text), doc)], batch, {"a": ["Y", "X"]}).values()
    # O, B-Y, B-X, I-Y, I-X
    assert gold.allowed()[2].tolist() == [True, True, True, True, False]
    assert gold.allowed()[3].all()
    wrong, right = np.zeros((4, 5)), np.zeros((4, 5))
    wrong[range(4), [2, 4, 4, 0]] = right[range(4), [2, 4, 2, 0]] = 20.0
    assert tagging_loss(right, gold, batch)[0] < 1e-6
    assert tagging_loss(wrong, gold, batch)[0] > 10.0


def test_documents_that_do_not_annotate_a_layer_have_no_gradient():
    nlp = English()
    batch = TokenBatch.of([nlp.make_doc("no chest pain"), nlp.make_doc("none today")])
    gold = known([0, 1, 3, 0, 0], 2, annotated=np.array([True, True, True, False, False]))
    loss, gradient = tagging_loss(np.zeros((5, 5)), gold, batch)
    assert loss > 0
    assert gradient[:3].any()
    assert (gradient[3:] == 0).all()
    assert tagging_loss(np.zeros((5, 5)), known([0] * 5, 2, annotated=False), batch)[0] == 0.0
