"""Calibration of confidences: temperatures fitted on dev."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.training import Example

from spacy_clinner.annotation.spans import SpanKey, annotated_labels, group_of, span_key
from spacy_clinner.architectures.decoding import SpanArrays, span_posteriors, tag_scores, viterbi
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.ner.component import LayeredNER
from spacy_clinner.pipeline.ner.layers import TokenBatch

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.25, 4.0
# The geometric mean of those of the five released layers, and how far their logarithms lie apart.
USUAL_TEMPERATURE, SPREAD = 1.3, 0.25


@dataclass(frozen=True)
class LayerSpans:
    """The predicted spans of one layer, over the documents that annotate it.

    logits (NDArray): The layer's scores, shape (tokens, 2 * labels + 1).
    starts (Bools): The tokens that no entity goes on at, shape (tokens,).
    spans (SpanArrays): The best spans; they do not depend on the temperature.
    correct (Bools): Whether each is in the gold, label and both ends; shape (spans,).
    """

    logits: NDArray[np.float32]
    starts: Bools
    spans: SpanArrays
    correct: Bools

    def confidence(self, temperature: float) -> Floats:
        """The confidence of each span at a temperature."""
        return span_posteriors(tag_scores(self.logits, self.starts, temperature), self.spans)


def fit_temperatures(
    nlp: Language, examples: Iterable[Example], name: str = "ner"
) -> dict[str, float]:
    """Fit and set one temperature per layer, by the likelihood of which spans are correct.

    nlp (Language): The trained pipeline; its `clinner_ner` component is changed.
    examples (Iterable[Example]): Dev examples, not those that were trained on.
    name (str): The component's name.
    RETURNS (Dict[str, float]): The temperatures, for each layer with predicted spans.
    RAISES (ClinnerError): The pipeline has no such component.
    """
    fitted = {}
    ner = _component(nlp, name)
    for layer, found in predicted_spans(nlp, examples, name).items():
        if len(found.spans):
            fitted[layer] = fit_temperature([found])
    ner.temperatures.update(fitted)
    return fitted


def fit_temperature(found: Sequence[LayerSpans], expected: float = USUAL_TEMPERATURE) -> float:
    """The temperature at which the confidences explain best which spans are correct.

    A dozen spans, all of them right, would be explained best by no doubt at all. So the logarithm
    is taken for normally distributed around what is expected: that weighs as much as some dozens
    of spans, and next to nothing beside thousands.

    found (Sequence[LayerSpans]): Predicted spans of the layer, at least one in all; of several
        models, where each was trained without the notes that it predicts (cross-validation).
    expected (float): What it is without any span.
    RETURNS (float): The most probable one, between 0.25 and 4.
    """
    correct = np.concatenate([part.correct for part in found])

    def loss(log: float) -> float:
        confidence = [part.confidence(float(np.exp(log))) for part in found]
        surprise = ((log - np.log(expected)) / SPREAD) ** 2 / 2
        return len(correct) * log_loss(np.concatenate(confidence), correct) + float(surprise)

    grid = np.linspace(np.log(LOWEST_TEMPERATURE), np.log(HIGHEST_TEMPERATURE), 25)
    for _ in range(3):  # each round looks 12 times closer at the best cell
        best = int(np.argmin([loss(log) for log in grid]))
        low, high = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
        grid = np.linspace(low, high, 25)
    return float(np.exp(grid[12]))


def predicted_spans(
    nlp: Language, examples: Iterable[Example], name: str = "ner"
) -> dict[str, LayerSpans]:
    """Predict the spans of each layer and compare them with the gold, ignoring thresholds.

    nlp (Language): The trained pipeline.
    examples (Iterable[Example]): Examples; a layer counts where `layer in reference.spans`.
    name (str): The component's name.
    RETURNS (Dict[str, LayerSpans]): By layer; layers that no example annotates are absent, and so
        are spans of labels that an example does not annotate.
    """
    ner = _component(nlp, name)
    examples = list(examples)
    # What follows may remove the token vectors that the component listens to.
    later = nlp.pipe_names[nlp.pipe_names.index(name) + 1 :]
    with nlp.select_pipes(disable=later):
        docs = list(nlp.pipe(example.reference.text for example in examples))
    found = {}
    for layer, labels in ner.layer_labels.items():
        chosen = [at for at, eg in enumerate(examples) if layer in eg.reference.spans]
        if not chosen:
            continue
        guesses = [docs[at] for at in chosen]
        batch = TokenBatch.of(guesses)
        starts = ner.starts(guesses, batch)
        logits = ner.layer_logits(guesses, batch)[layer]
        spans = viterbi(tag_scores(logits, starts))
        doc, start, end = (column.tolist() for column in batch.locate(spans))
        rows = zip(doc, start, end, spans.label.tolist(), strict=True)
        keys = [(doc, SpanKey(guesses[doc][start].idx, guesses[doc][start:end].end_char, labels[n]))
                for doc, start, end, n in rows]  # fmt: skip
        references = [examples[at].reference for at in chosen]
        known = [annotated_labels(reference, layer) for reference in references]
        gold = [set(map(span_key, group_of(reference, layer))) for reference in references]
        judged = [known[doc] is None or key.label in known[doc] for doc, key in keys]
        correct = [key in gold[doc] for doc, key in keys]
        use = np.array(judged, dtype=bool)
        found[layer] = LayerSpans(logits, starts, spans[use], np.array(correct, dtype=bool)[use])
    return found


def log_loss(confidence: Floats, correct: Bools) -> float:
    """Mean negative log-likelihood of what is correct, given the confidences."""
    likelihood = np.where(correct, confidence, 1.0 - confidence)
    return float(-np.log(np.maximum(likelihood, 1e-12)).mean())


def _component(nlp: Language, name: str) -> LayeredNER:
    component = nlp.get_pipe(name) if nlp.has_pipe(name) else None
    if not isinstance(component, LayeredNER):
        raise ClinnerError(
            f"The pipeline has no clinner_ner component named {name!r}; "
            f"it has: {', '.join(nlp.pipe_names) or 'none'}."
        )
    return component
