import numpy as np
import pytest
from spacy.lang.en import English
from spacy.training import Example

from spacy_clinner.annotation.spans import LABELS
from spacy_clinner.architectures.decoding import tag_scores, viterbi
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.reliability import expected_calibration_error
from spacy_clinner.training.calibration import (
    LayerSpans,
    fit_temperature,
    fit_temperatures,
    log_loss,
    predicted_spans,
)


def make_examples(nlp, rng, n):
    """Notes in which the word "maybe" stands before an entity half of the time."""
    examples = []
    for _ in range(n):
        words = []
        for _ in range(6):
            words += ["maybe", "pain"] if rng.random() < 0.5 else ["no", "pain"]
        doc = nlp.make_doc(" ".join(words))
        doc.spans["clinical"] = [
            doc.char_span(t.idx, t.idx + 4, label="PROBLEM")
            for t in doc
            if t.text == "pain" and (t.nbor(-1).text == "no" or rng.random() < 0.6)
        ]
        examples.append(Example(nlp.make_doc(doc.text), doc))
    return examples


@pytest.fixture(scope="module")
def trained():
    nlp = English()
    config = {"layers": ["clinical"], "ents_from": ["clinical"], "threshold": {"clinical": 0.01}}
    nlp.add_pipe("clinner_ner", name="ner", config=config)
    examples = make_examples(nlp, np.random.default_rng(0), 8)
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 0.01
    for _ in range(60):  # until it knows these few notes by heart, and is too sure of the next
        nlp.update(examples, sgd=sgd)
    return nlp


def test_a_fitted_temperature_explains_better_which_spans_are_correct(trained):
    dev = make_examples(trained, np.random.default_rng(1), 30)
    found = predicted_spans(trained, dev)["clinical"]
    before = found.confidence(1.0)
    fitted = fit_temperatures(trained, dev)
    after = found.confidence(fitted["clinical"])
    assert trained.get_pipe("ner").temperatures == fitted
    assert fitted["clinical"] > 1.0
    assert log_loss(after, found.correct) < log_loss(before, found.correct)
    assert expected_calibration_error(after, found.correct) < expected_calibration_error(
        before, found.correct
    )


def test_the_confidences_fitted_are_those_that_documents_get(trained):
    dev = make_examples(trained, np.random.default_rng(2), 5)
    temperature = trained.get_pipe("ner").temperatures.get("clinical", 1.0)
    fitted = predicted_spans(trained, dev)["clinical"].confidence(temperature)
    docs = trained.pipe(example.reference.text for example in dev)
    written = [span._.confidence for doc in docs for span in doc.spans["clinical"]]
    assert written == pytest.approx(fitted.tolist(), abs=1e-6)


def found_spans(correct, score=6.0):
    """Spans of one token each, that a model is sure of."""
    logits = np.tile(np.array([0.0, score, -9.0], dtype="float32"), (len(correct), 1))
    starts = np.ones(len(correct), dtype=bool)
    spans = viterbi(tag_scores(logits, starts))
    assert len(spans) == len(correct)
    return LayerSpans(logits, starts, spans, np.array(correct, dtype=bool))


@pytest.mark.parametrize("expected", [1.0, 1.75])
def test_a_few_spans_move_a_temperature_a_little(expected):
    right = fit_temperature([found_spans([True] * 4, score=4.0)], expected)
    wrong = fit_temperature([found_spans([False] * 4, score=4.0)], expected)
    assert 0.8 * expected < right < expected < wrong < 2 * expected


def test_many_spans_decide_on_a_temperature_whatever_was_expected():
    # Those who are sure by 1 - 1 / (1 + e^6) are right in 9 of 10 cases: by e^(6 / T) = 9.
    many = [found_spans([True] * 1800 + [False] * 200)]
    for expected in (1.0, 1.75):
        assert fit_temperature(many, expected) == pytest.approx(6 / np.log(9), rel=0.02)


def test_documents_that_do_not_annotate_a_layer_do_not_count(trained):
    dev = make_examples(trained, np.random.default_rng(3), 4)
    whole = predicted_spans(trained, dev)["clinical"]
    del dev[0].reference.spans["clinical"]
    assert len(predicted_spans(trained, dev)["clinical"].spans) < len(whole.spans)
    for example in dev[1:]:
        del example.reference.spans["clinical"]
    assert predicted_spans(trained, dev) == {}
    assert fit_temperatures(trained, dev) == {}


def test_a_pipeline_without_the_component_is_refused():
    with pytest.raises(ClinnerError, match="ner"):
        fit_temperatures(English(), [])


def test_spans_of_labels_that_are_not_annotated_say_nothing_of_confidence(trained):
    dev = make_examples(trained, np.random.default_rng(3), 4)
    n_spans = len(predicted_spans(trained, dev)["clinical"].spans)
    for example in dev[:2]:
        example.reference.spans["clinical"].attrs[LABELS] = ["DRUG"]
    left = predicted_spans(trained, dev)["clinical"]
    of_rest = predicted_spans(trained, dev[2:])["clinical"]
    assert 0 < len(left.spans) < n_spans
    assert left.correct.tolist() == of_rest.correct.tolist()
    np.testing.assert_allclose(left.confidence(1.0), of_rest.confidence(1.0), atol=1e-6)
