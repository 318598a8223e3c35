import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.training import Example

from spacy_clinner.evaluation.intervals import (
    f_difference,
    f_differences,
    f_interval,
    f_intervals,
    f_score,
    span_counts,
)

ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)).map(
        lambda n: (n[0], n[0] + n[1], n[0] + n[2])
    ),
    min_size=1,
    max_size=20,
)
# Of several documents, that all hold something.
SEVERAL = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9)).map(
        lambda n: (n[0], n[0] + n[1], n[0] + n[2])
    ),
    min_size=2,
    max_size=20,
)


def doc(nlp, *spans, layer="clinical"):
    made = nlp.make_doc("no fever or cough today")
    made.spans[layer] = [made.char_span(*place, label="PROBLEM") for place in spans]
    return made


def test_spans_are_right_with_the_same_offsets_and_label_in_an_annotated_layer(nlp):
    guess, gold = doc(nlp, (3, 8), (12, 17)), doc(nlp, (3, 8), (3, 11))
    counts = span_counts([Example(guess, gold)], ["clinical", "modifiers"])
    assert counts.tolist() == [[1, 2, 2]]


def test_a_document_that_annotates_no_layer_has_no_row(nlp):
    guess, gold = doc(nlp, (3, 8)), doc(nlp, (3, 8), layer="ncbi")
    assert span_counts([Example(guess, gold)], ["clinical"]).shape == (0, 3)
    assert f_interval(span_counts([Example(guess, gold)], ["clinical"])) is None


def test_what_only_one_document_holds_has_no_interval():
    one = np.array([[1, 2, 2], [0, 0, 0], [0, 0, 0]])
    two = np.array([[1, 2, 2], [0, 1, 0], [0, 0, 0]])
    assert f_intervals({"one": one, "two": two})["one"] is None
    assert f_intervals({"one": one, "two": two})["two"] is not None
    told = f_differences({"one": one, "two": two}, {"one": 2 * one, "two": one})
    assert told["one"] == (0, None, None)
    assert told["two"].low is not None


@given(SEVERAL)
def test_the_interval_of_a_score_lies_between_that_of_the_worst_and_the_best_document(rows):
    counts = np.array(rows)
    low, high = f_interval(counts)
    each = f_score(counts)
    assert each.min() - 1e-9 <= low <= high <= each.max() + 1e-9


def test_notes_that_are_all_alike_leave_no_doubt():
    assert f_interval(np.tile([8, 10, 10], (30, 1))) == pytest.approx((0.8, 0.8))


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    assert f_score(np.array([1, 2, 4])) == pytest.approx(2 * 0.5 * 0.25 / 0.75)
    assert f_score(np.zeros(3)) == 0


@given(SEVERAL)
def test_a_pipeline_differs_from_itself_by_nothing(rows):
    counts = np.array(rows)
    assert f_difference(counts, counts) == (0, 0, 0)


@given(ROWS, ROWS)
def test_many_scores_have_the_intervals_that_each_has_alone(rows, others):
    n = min(len(rows), len(others))
    counts, other = np.array(rows[:n]), np.array(others[:n])
    together = f_intervals({"a": counts, "b": other})
    assert together == {"a": f_interval(counts), "b": f_interval(other)}
    differences = f_differences({"a": counts, "b": other}, {"a": other})
    assert differences["a"] == f_difference(counts, other)
    assert differences["b"] == f_difference(other, np.zeros_like(other))


def test_notes_that_hold_nothing_of_a_score_leave_its_interval_as_it_is():
    some = np.array([[1, 2, 2], [2, 2, 2]])
    low, high = f_interval(np.concatenate([some, np.zeros((200, 3), dtype=int)]))
    assert (low, high) == (0.5, 1.0)
    assert f_intervals({}) == f_differences({}, {}) == {}


@given(SEVERAL, SEVERAL)
def test_the_interval_holds_the_difference_turned_round(rows, others):
    n = min(len(rows), len(others))
    counts, other = np.array(rows[:n]), np.array(others[:n])
    one, back = f_difference(counts, other), f_difference(other, counts)
    assert (-one.value, -one.high, -one.low) == pytest.approx(tuple(back))
    assert one.low <= one.high


def test_a_loss_in_every_one_of_many_documents_stands_beyond_chance():
    counts, others = np.tile([90, 100, 100], (40, 1)), np.tile([80, 100, 100], (40, 1))
    assert f_difference(counts, others).low == pytest.approx(10)


def test_a_loss_in_one_of_a_few_documents_does_not():
    counts = np.tile([90, 100, 100], (12, 1))
    others = counts.copy()
    others[0, 0] = 78
    lost = f_difference(counts, others)
    assert lost.value == pytest.approx(1)
    assert lost.low == 0
