import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

from spacy_clinner.annotation.spans import LABELS as ANNOTATED
from spacy_clinner.evaluation import spans
from spacy_clinner.evaluation.intervals import span_counts
from spacy_clinner.pipeline.ner.scorer import score_layers

TEXT = "chest pain and fever treated with aspirin"


def doc(nlp, **layers):
    made = nlp.make_doc(TEXT)
    for layer, places in layers.items():
        made.spans[layer] = [Span(made, s, e, label=label) for s, e, label in places]
    made.set_ents(list(made.spans.get("clinical", ())))
    return made


@pytest.fixture
def examples(nlp):
    gold = doc(nlp, clinical=[(0, 2, "PROBLEM"), (3, 4, "PROBLEM"), (6, 7, "DRUG")], modifiers=[])
    guess = doc(nlp, clinical=[(1, 2, "PROBLEM"), (3, 4, "PROBLEM"), (6, 7, "TEST")], modifiers=[])
    other = doc(nlp, ncbi=[(0, 2, "DISEASE")])
    return [Example(guess, gold), Example(doc(nlp, clinical=[(0, 1, "TEST")]), other)]


def test_strict_scores_count_exact_spans_of_docs_that_annotate_the_layer(examples):
    scores = spans.strict(examples, ["clinical", "ncbi"])
    assert scores["clinical"]["p"] == pytest.approx(1 / 3)
    assert scores["clinical"]["gold"] == 3
    assert scores["clinical"]["per_type"]["PROBLEM"]["f"] == pytest.approx(1 / 2)
    assert scores["ncbi"]["f"] == 0
    assert scores["all"]["gold"] == 4
    assert scores["all"]["interval"][0] <= scores["all"]["f"] <= scores["all"]["interval"][1]


def test_relaxed_scores_count_any_overlap_with_the_right_label(examples):
    assert spans.relaxed(examples, ["clinical"])["clinical"]["f"] == pytest.approx(2 / 3)


def test_spans_that_only_touch_do_not_overlap(nlp):
    text = Doc(nlp.vocab, words=["38", "C"], spaces=[False, False])
    gold, guess = text.copy(), text.copy()
    gold.spans["clinical"] = [Span(gold, 0, 1, label="TEST")]
    guess.spans["clinical"] = [Span(guess, 1, 2, label="TEST")]
    scores = spans.relaxed([Example(guess, gold)], ["clinical"])["clinical"]
    assert (scores["f"], scores["partial_f"]) == (0, 0)


def test_token_scores_are_macro_f1_and_matthews_correlation(examples):
    scores = spans.tokens(examples, ["clinical"])["clinical"]
    assert scores["macro_f"] == pytest.approx((4 / 5 + 0) / 2)
    assert 0 < scores["mcc"] < 1


LABELS = st.lists(st.tuples(*[st.sampled_from(["", "DRUG", "TEST", "PROBLEM"])] * 2), min_size=1)


def test_token_scores_are_those_of_known_tables():
    # Two classes: (TP * TN - FP * FN) / sqrt(...) of 6, 3, 1, 2.
    pairs = [("A", "A")] * 6 + [("", "")] * 3 + [("", "A")] * 1 + [("A", "")] * 2
    assert spans.matthews(*zip(*pairs, strict=True)) == pytest.approx(16 / (7 * 8 * 4 * 5) ** 0.5)
    assert spans.macro_f(*zip(*pairs, strict=True)) == pytest.approx(12 / 15)
    # Three classes, as scikit-learn gives them.
    gold, guess = ["", "A", "B", "A", "B", ""], ["", "A", "A", "A", "B", "B"]
    assert spans.matthews(gold, guess) == pytest.approx(0.5222329678670935)
    assert spans.macro_f(gold, guess) == pytest.approx((4 / 5 + 1 / 2) / 2)


@given(LABELS)
def test_matthews_correlation_is_the_correlation_of_the_classes(pairs):
    gold, guess = zip(*pairs, strict=True)
    classes = sorted({*gold, *guess})
    one_hot = [np.array([[x == c for c in classes] for x in side], float) for side in (gold, guess)]
    left, right = (side - side.mean(axis=0) for side in one_hot)
    spread = ((left**2).sum() * (right**2).sum()) ** 0.5
    expected = (left * right).sum() / spread if spread > 1e-9 else 0.0
    assert spans.matthews(gold, guess) == pytest.approx(expected, abs=1e-9)


@given(LABELS)
def test_a_label_that_gold_lacks_counts_for_precision_alone(pairs):
    gold, guess = zip(*pairs, strict=True)
    assert 0 <= spans.macro_f(gold, guess) <= 1
    assert spans.macro_f([""] * len(guess), guess) == 0.0


def test_a_pipeline_that_only_sets_entities_is_scored_by_them(nlp, examples):
    for example in examples:
        for layer in list(example.predicted.spans):
            del example.predicted.spans[layer]
    spans.use_groups_as_layers(examples)
    assert spans.predicted_layers(examples) == ["clinical"]
    assert spans.strict(examples, ["clinical"])["clinical"]["p"] == pytest.approx(1 / 3)


def test_entities_are_scored_as_the_layer_that_has_their_labels(nlp):
    gold = doc(nlp, clinical=[(0, 2, "PROBLEM")], ncbi=[(0, 2, "DISEASE"), (3, 4, "DISEASE")])
    guess = doc(nlp)
    guess.set_ents([Span(guess, 0, 2, "DISEASE"), Span(guess, 3, 4, "DISEASE")])
    examples = [Example(guess, gold)]
    spans.use_groups_as_layers(examples)
    assert spans.predicted_layers(examples) == ["ncbi"]
    assert spans.strict(examples, ["ncbi"])["ncbi"]["f"] == 1.0


def test_a_span_group_of_another_name_is_scored_as_the_layer_that_has_its_labels(nlp):
    gold = doc(nlp, clinical=[(0, 2, "PROBLEM")], modifiers=[(0, 1, "BODYLOC")])
    guess = doc(nlp, sc=[(0, 2, "PROBLEM"), (0, 1, "BODYLOC"), (5, 6, "OTHER")])
    examples = [Example(guess, gold)]
    spans.use_groups_as_layers(examples)
    scores = spans.strict(examples, spans.predicted_layers(examples))
    assert scores["modifiers"]["f"] == 1.0
    # What no layer has is a false alarm once.
    assert (scores["clinical"]["r"], scores["clinical"]["p"]) == (1.0, 0.5)


def scored(guess, gold, known=()):
    """Strict F1 by layer, of what a pipeline that names its groups in its own way found."""
    examples = [Example(guess, gold)]
    spans.use_groups_as_layers(examples, known)
    return {
        layer: score["f"]
        for layer, score in spans.strict(examples, spans.predicted_layers(examples)).items()
    }


@pytest.mark.parametrize("in_ents", [False, True])
def test_a_layer_may_be_in_several_groups_and_in_the_entities(nlp, in_ents):
    gold = doc(nlp, clinical=[(0, 2, "PROBLEM"), (6, 7, "DRUG")])
    guess = doc(nlp, sc_problem=[(0, 2, "PROBLEM")], sc_drug=[] if in_ents else [(6, 7, "DRUG")])
    # The same span in two places is one.
    ents = [Span(guess, 0, 2, "PROBLEM"), *([Span(guess, 6, 7, "DRUG")] if in_ents else [])]
    guess.set_ents(ents)
    assert scored(guess, gold) == {"clinical": 1.0, "all": 1.0}


def test_a_layer_without_a_group_is_looked_for_beside_one_that_has_it(nlp):
    gold = doc(nlp, clinical=[(0, 2, "PROBLEM")], mine=[(6, 7, "SIGN")])
    guess = doc(nlp, clinical=[(0, 2, "PROBLEM")])
    guess.set_ents([Span(guess, 0, 2, "PROBLEM"), Span(guess, 6, 7, "SIGN")])
    assert scored(guess, gold) == {"clinical": 1.0, "mine": 1.0, "all": 1.0}


def test_what_a_layers_own_group_holds_is_of_no_other_layer(nlp):
    gold = doc(nlp, ncbi=[(0, 2, "DISEASE")], bc5cdr=[(0, 2, "DISEASE")])
    guess = doc(nlp, ncbi=[(0, 2, "DISEASE")])
    guess.set_ents(list(guess.spans["ncbi"]))
    assert scored(guess, gold, ["DISEASE"]) == {"ncbi": 1.0, "all": 1.0}
    # A group of its own that is empty says that nothing was found.
    gold, guess = doc(nlp, ncbi=[(0, 2, "DISEASE")]), doc(nlp, ncbi=[], bc5cdr=[(0, 2, "DISEASE")])
    assert scored(guess, gold, ["DISEASE"]) == {"ncbi": 0.0, "all": 0.0}


def test_a_group_that_has_a_layers_name_by_chance_does_not_stand_for_it(nlp):
    gold = doc(nlp, clinical=[(0, 2, "PROBLEM")])
    guess = doc(nlp, clinical=[(3, 4, "SOMETHING")])
    guess.set_ents([Span(guess, 0, 2, "PROBLEM")])
    assert scored(guess, gold) == {"clinical": 1.0, "all": 1.0}


def test_a_pipeline_that_could_find_a_layer_and_finds_nothing_misses_it(nlp):
    gold = doc(nlp, clinical=[(0, 2, "PROBLEM")])
    examples = [Example(doc(nlp), gold)]
    spans.use_groups_as_layers(examples)
    assert spans.predicted_layers(examples) == []
    spans.use_groups_as_layers(examples, ["PROBLEM"])
    assert spans.predicted_layers(examples) == ["clinical"]


def test_a_perfect_prediction_scores_one_everywhere(nlp):
    gold = doc(nlp, clinical=[(0, 2, "PROBLEM"), (6, 7, "DRUG")])
    examples = [Example(gold.copy(), gold)]
    assert spans.strict(examples, ["clinical"])["all"]["f"] == 1
    assert spans.relaxed(examples, ["clinical"])["clinical"]["f"] == 1
    assert spans.tokens(examples, ["clinical"])["clinical"]["mcc"] == pytest.approx(1)


def test_confidences_come_with_whether_the_span_is_in_the_gold(nlp, examples):
    from spacy_clinner.annotation import store

    for span, value in zip(examples[0].predicted.spans["clinical"], (0.2, 0.9, 0.4), strict=True):
        store.set_values(span, confidence=value)
    confidence, correct = spans.confidences(examples, "clinical")
    assert confidence.tolist() == [0.2, 0.9, 0.4]
    assert correct.tolist() == [False, True, False]


def test_of_labels_that_a_document_does_not_annotate_nothing_is_counted(nlp):
    gold = doc(nlp, clinical=[(6, 7, "DRUG")])
    gold.spans["clinical"].attrs[ANNOTATED] = ["DRUG"]
    guess = doc(nlp, clinical=[(0, 2, "PROBLEM"), (5, 6, "DRUG")])
    found = score_layers([Example(guess, gold)], layers=["clinical"], ents_from=["clinical"])
    assert found["spans_clinical_per_type"] == {"DRUG": {"p": 0.0, "r": 0.0, "f": 0.0}}
    assert set(found["ents_per_type"]) == {"DRUG"}
    assert span_counts([Example(guess, gold)], ["clinical"]).tolist() == [[0, 1, 1]]


def test_predictions_that_the_gold_cannot_judge_are_left_out_of_every_score(nlp, tmp_path):
    gold = doc(nlp, clinical=[(6, 7, "DRUG")], ncbi=[])
    gold.spans["clinical"].attrs[ANNOTATED] = ["DRUG"]
    DocBin(docs=[gold]).to_disk(tmp_path / "gold.spacy")
    ruler = nlp.add_pipe("span_ruler", config={"spans_key": "clinical"})
    ruler.add_patterns([{"label": "PROBLEM", "pattern": "fever"}])
    ruler.add_patterns([{"label": "DRUG", "pattern": "aspirin"}])
    (example,) = spans.predict_examples(nlp, tmp_path / "gold.spacy")
    assert [span.label_ for span in example.predicted.spans["clinical"]] == ["DRUG"]
    assert spans.relaxed([example], ["clinical"])["clinical"]["f"] == 1.0
    assert spans.tokens([example], ["clinical"])["clinical"]["mcc"] == 1.0
