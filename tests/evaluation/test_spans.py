import pytest
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_clinner.evaluation import spans

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


def test_a_pipeline_that_only_sets_entities_is_scored_by_them(nlp, examples):
    for example in examples:
        for layer in list(example.predicted.spans):
            del example.predicted.spans[layer]
    spans.use_ents_as_layer(examples)
    assert spans.predicted_layers(examples) == ["clinical"]
    assert spans.strict(examples, ["clinical"])["clinical"]["p"] == pytest.approx(1 / 3)


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
