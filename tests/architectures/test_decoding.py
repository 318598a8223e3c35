from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinner.architectures.decoding import (
    CHUNK,
    SpanArrays,
    _segment_ends,
    span_posteriors,
    tag_marginals,
    tag_scores,
    viterbi,
)

NUMBERS = st.floats(-8, 8, allow_nan=False, width=32)


@st.composite
def batches(draw, max_tokens=6):
    """Tag scores for a batch of documents, with the places where documents start."""
    n_labels = draw(st.integers(1, 2))
    n_tokens = draw(st.integers(1, max_tokens))
    shape = (n_tokens, 2 * n_labels + 1)
    flat = draw(st.lists(NUMBERS, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    starts = np.array([True, *draw(st.lists(st.booleans(), min_size=n_tokens - 1,
                                            max_size=n_tokens - 1))])  # fmt: skip
    return np.array(flat, dtype="float32").reshape(shape), starts


def legal_taggings(n_labels, starts):
    """All legal taggings as tuples of tag numbers (0 is O, then B-1 .. B-n, I-1 .. I-n)."""
    for tagging in product(range(2 * n_labels + 1), repeat=len(starts)):
        label = [None if tag == 0 else (tag - 1) % n_labels for tag in tagging]
        if all(
            tag <= n_labels or (not starts[at] and at and label[at - 1] == label[at])
            for at, tag in enumerate(tagging)
        ):
            yield tagging


def spans_of(tagging, n_labels):
    spans = []
    for at, tag in enumerate(tagging):
        if tag > n_labels:
            spans[-1][1] = at + 1
        elif tag:
            spans.append([at, at + 1, tag - 1])
    return [tuple(span) for span in spans]


def as_tuples(spans):
    columns = (spans.start.tolist(), spans.end.tolist(), spans.label.tolist())
    return list(zip(*columns, strict=True))


def log_softmax(logits):
    logits = logits.astype("float64")
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def tagging_of(spans, n_tokens, n_labels):
    tags = [0] * n_tokens
    for start, end, label in spans:
        tags[start] = 1 + label
        tags[start + 1 : end] = [1 + n_labels + label] * (end - start - 1)
    return tags


@settings(max_examples=150)
@given(batches(max_tokens=5))
def test_viterbi_finds_the_best_of_all_legal_taggings(batch):
    logits, starts = batch
    n_labels = logits.shape[1] // 2
    log_probs = log_softmax(logits)
    rows = np.arange(len(starts))
    best = max(log_probs[rows, list(t)].sum() for t in legal_taggings(n_labels, starts))
    found = as_tuples(viterbi(tag_scores(logits, starts)))
    tags = tagging_of(found, len(starts), n_labels)
    assert tuple(tags) in set(legal_taggings(n_labels, starts))
    assert log_probs[rows, tags].sum() == pytest.approx(best, abs=1e-6)


@settings(max_examples=100)
@given(batches(max_tokens=5), st.floats(0.5, 3.0))
def test_a_span_posterior_is_the_share_of_the_legal_taggings_that_hold_the_span(batch, warmth):
    logits, starts = batch
    n_labels = logits.shape[1] // 2
    log_probs = log_softmax(logits / warmth)
    rows = np.arange(len(starts))
    mass, total = {}, 0.0
    for tagging in legal_taggings(n_labels, starts):
        probability = np.exp(log_probs[rows, list(tagging)].sum())
        total += probability
        for span in spans_of(tagging, n_labels):
            mass[span] = mass.get(span, 0.0) + probability
    spans = sorted(mass)
    arrays = SpanArrays(*np.array(spans, dtype="int64").T)
    found = span_posteriors(tag_scores(logits, starts, warmth), arrays)
    assert found == pytest.approx([mass[span] / total for span in spans], rel=1e-5, abs=1e-9)


@settings(max_examples=100)
@given(batches(max_tokens=5))
def test_a_tags_marginal_is_the_share_of_the_legal_taggings_that_hold_the_tag(batch):
    logits, starts = batch
    log_probs = log_softmax(logits)
    rows = np.arange(len(starts))
    mass = np.zeros(logits.shape)
    for tagging in legal_taggings(logits.shape[1] // 2, starts):
        mass[rows, list(tagging)] += np.exp(log_probs[rows, list(tagging)].sum())
    marginals, log_norm = tag_marginals(tag_scores(logits, starts))
    total = mass[0].sum()
    np.testing.assert_allclose(marginals, mass / total, rtol=1e-5, atol=1e-9)
    assert log_norm.sum() == pytest.approx(np.log(total), abs=1e-6)


def sequential_viterbi_score(scores):
    """The plain textbook recurrence, one token at a time."""
    inside_best, best = np.full(len(scores.begin), -np.inf), 0.0
    for outside, begin, inside in zip(scores.outside, scores.begin.T, scores.inside.T, strict=True):
        inside_best = np.maximum(best + begin, inside_best + inside)
        best = max(best + outside, inside_best.max())
    return best


def log_mass(scores, start=None, end=None, label=None):
    """Log of the summed probability of all legal taggings, or of those that hold the span."""
    inside, total = np.full(len(scores.begin), -np.inf), 0.0
    for at in range(len(scores.outside)):
        begin, go_on = total + scores.begin[:, at], inside + scores.inside[:, at]
        outside = total + scores.outside[at]
        if start is not None and start <= at < end:
            only = np.full(len(inside), -np.inf)
            only[label] = begin[label] if at == start else go_on[label]
            inside, outside = only, -np.inf
        else:
            if at == end:
                go_on[label] = -np.inf
            inside = np.logaddexp(begin, go_on)
        total = np.logaddexp.reduce([outside, *inside])
    return total


def sequential_posterior(scores, start, end, label):
    return np.exp(log_mass(scores, start, end, label) - log_mass(scores))


@pytest.mark.parametrize("pull", [0.0, 4.0, 12.0])
def test_dependence_across_many_chunks_stays_exact(pull):
    rng = np.random.default_rng(3)
    n_tokens, n_labels = 7 * CHUNK + 3, 3
    logits = rng.normal(size=(n_tokens, 2 * n_labels + 1))
    logits[:, n_labels + 1] += pull  # I-1 nearly everywhere: one span may run through all chunks
    starts = np.zeros(n_tokens, dtype=bool)
    starts[0] = True
    scores = tag_scores(logits, starts)
    found = viterbi(scores)
    tags = tagging_of(as_tuples(found), n_tokens, n_labels)
    score = log_softmax(logits)[np.arange(n_tokens), tags].sum()
    assert score == pytest.approx(sequential_viterbi_score(scores), abs=1e-8)
    expected = [sequential_posterior(scores, *span) for span in as_tuples(found)]
    assert span_posteriors(scores, found) == pytest.approx(expected, rel=1e-8)


def test_a_state_that_is_improbable_at_first_and_decides_later_stays_exact():
    n_tokens = 60
    logits = np.zeros((n_tokens, 3))
    logits[:16], logits[16:32], logits[32:] = [0, -200, -4], [0, -200, -1.9], [-46, -200, 0]
    scores = tag_scores(logits, np.arange(n_tokens) == 0)
    # Outside and inside the one label, one token after another.
    outside, inside = 0.0, -np.inf
    for o, b, i in scores.by_tag.T:
        outside, inside = (
            np.logaddexp(outside, inside) + o,
            np.logaddexp(np.logaddexp(outside, inside) + b, inside + i),
        )
    exact = np.logaddexp(outside, inside)
    assert tag_marginals(scores)[1].sum() == pytest.approx(exact, rel=1e-9)


def test_documents_of_a_batch_do_not_influence_each_other():
    rng = np.random.default_rng(0)
    docs = [rng.normal(scale=3, size=(n, 7)) for n in (1, 40, 3, 17)]
    starts = [np.arange(len(doc)) == 0 for doc in docs]
    whole = tag_scores(np.concatenate(docs), np.concatenate(starts))
    spans = viterbi(whole)
    together = list(zip(as_tuples(spans), span_posteriors(whole, spans), strict=True))
    alone, offset = [], 0
    for doc, start in zip(docs, starts, strict=True):
        scores = tag_scores(doc, start)
        found = viterbi(scores)
        for (s, e, label), p in zip(as_tuples(found), span_posteriors(scores, found), strict=True):
            alone.append(((s + offset, e + offset, label), p))
        offset += len(doc)
    assert [span for span, _ in together] == [span for span, _ in alone]
    assert [p for _, p in together] == pytest.approx([p for _, p in alone])


def test_probability_mass_of_spans_through_a_token_and_of_o_sums_to_one():
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=2, size=(8, 5))
    starts = np.arange(8) == 0
    scores = tag_scores(logits, starts)
    at = 4
    through = [(s, e, x) for s in range(at + 1) for e in range(at + 1, 9) for x in range(2)]
    inside = span_posteriors(scores, SpanArrays(*np.array(through).T)).sum()
    log_probs = log_softmax(logits)
    total = outside = 0.0
    for tagging in legal_taggings(2, starts):
        probability = np.exp(log_probs[np.arange(8), list(tagging)].sum())
        total += probability
        outside += probability * (tagging[at] == 0)
    assert inside + outside / total == pytest.approx(1.0)


def test_extreme_scores_overflow_nowhere():
    logits = np.zeros((50, 5), dtype="float32")
    logits[:, 3] = 1e6
    logits[7] = [-1e6, 1e6, -1e6, -1e6, -1e6]
    scores = tag_scores(logits, np.arange(50) == 0)
    with np.errstate(all="raise", under="ignore"):
        spans = viterbi(scores)
        posteriors = span_posteriors(scores, spans)
    assert np.isfinite(posteriors).all()
    assert len(spans) == 2


def test_nothing_gives_no_spans():
    scores = tag_scores(np.zeros((0, 5), dtype="float32"), np.zeros(0, dtype=bool))
    assert len(viterbi(scores)) == 0
    assert len(span_posteriors(scores, viterbi(scores))) == 0


@given(st.lists(st.integers(0, 40), min_size=1, max_size=40))
def test_the_segments_found_by_doubling_are_those_found_by_walking_back(raw):
    starts = np.array([min(start, at) for at, start in enumerate(raw)])
    walked, at = [], len(starts)
    while at > 0:
        walked.append(at - 1)
        at = starts[at - 1]
    assert _segment_ends(starts).tolist() == walked[::-1]
