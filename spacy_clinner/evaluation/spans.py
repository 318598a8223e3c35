"""Scores of predicted spans against gold: strict, relaxed and per token."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.scorer import Scorer
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_clinner.annotation import store
from spacy_clinner.annotation.spans import span_key
from spacy_clinner.pipeline.ner.scorer import score_layers

Score = dict[str, Any]


def annotated_layers(examples: Sequence[Example]) -> list[str]:
    """The layers that any reference doc annotates, in order of first appearance."""
    found: dict[str, None] = {}
    for example in examples:
        found.update(dict.fromkeys(example.reference.spans))
    return list(found)


def use_ents_as_layer(examples: Sequence[Example]) -> None:
    """Give pipelines that only set `doc.ents` (spaCy's `ner`) a span group to be scored by.

    examples (Sequence[Example]): Where no predicted doc has a group of an annotated layer, the
        predicted entities become the group of the first annotated layer.
    """
    layers = annotated_layers(examples)
    if layers and not any(layer in e.predicted.spans for e in examples for layer in layers):
        for example in examples:
            example.predicted.spans[layers[0]] = list(example.predicted.ents)


def predicted_layers(examples: Sequence[Example]) -> list[str]:
    """The annotated layers that the pipeline predicts."""
    layers = annotated_layers(examples)
    return [layer for layer in layers if any(layer in e.predicted.spans for e in examples)]


def strict(examples: Sequence[Example], layers: Sequence[str]) -> dict[str, Score]:
    """Micro precision, recall and F1 by exact offsets and label, through spaCy's Scorer.

    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers to score; a doc that does not annotate one is left out.
    RETURNS (dict[str, Score]): By layer, and "all" for the layers together: p, r, f, gold (the
        number of gold spans), and, for each layer, per_type with the same for each label.
    """
    scores = {layer: _strict(examples, layer) for layer in layers}
    pooled = score_layers(examples, layers=layers)
    gold = sum(score["gold"] for score in scores.values())
    scores["all"] = {letter: pooled[f"layers_{letter}"] for letter in "prf"} | {"gold": gold}
    return scores


def _strict(examples: Sequence[Example], layer: str) -> Score:
    def spans(doc: Doc, _: str) -> list[Span]:
        return list(doc.spans.get(layer, ()))

    scored = [e for e in examples if layer in e.reference.spans]
    found = Scorer.score_spans(scored, "spans", getter=spans, allow_overlap=True, labeled=True)
    counts: dict[str, int] = {}
    for example in scored:
        for span in spans(example.reference, ""):
            counts[span.label_] = counts.get(span.label_, 0) + 1
    per_type = found.get("spans_per_type") or {}
    return {
        "p": found.get("spans_p") or 0.0,
        "r": found.get("spans_r") or 0.0,
        "f": found.get("spans_f") or 0.0,
        "gold": sum(counts.values()),
        "per_type": {k: {**v, "gold": counts.get(k, 0)} for k, v in sorted(per_type.items())},
    }


def relaxed(examples: Sequence[Example], layers: Sequence[str]) -> dict[str, Score]:
    """Precision, recall and F1 where any overlap with the right label counts, by nervaluate.

    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers to score.
    RETURNS (dict[str, Score]): By layer: p, r, f (nervaluate's "ent_type" strategy, after
        SemEval-2013 task 9.1) and partial_f (its "partial" strategy).
    """
    from nervaluate import Evaluator

    scores = {}
    for layer in layers:
        pairs = [
            (_as_inclusive(e.reference, layer), _as_inclusive(e.predicted, layer))
            for e in examples
            if layer in e.reference.spans
        ]
        gold, guess = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        tags = sorted({span["label"] for spans in gold + guess for span in spans})
        result = Evaluator(gold, guess, tags=tags, loader="dict").evaluate()["overall"]
        by_type = result["ent_type"]
        scores[layer] = {
            "p": by_type.precision,
            "r": by_type.recall,
            "f": by_type.f1,
            "partial_f": result["partial"].f1,
        }
    return scores


def confidences(
    examples: Sequence[Example], layer: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The confidence of each predicted span of a layer, and whether the span is in the gold.

    examples (Sequence[Example]): Predicted and reference docs.
    layer (str): The layer; docs that do not annotate it are left out.
    RETURNS (tuple[NDArray[float64], NDArray[bool]]): Both of shape (spans,); spans without a
        confidence are left out.
    """
    pairs = []
    for example in examples:
        if layer in example.reference.spans:
            gold = set(map(span_key, example.reference.spans[layer]))
            for span in example.predicted.spans.get(layer, ()):
                confidence = store.values(span).get("confidence")
                if confidence is not None:
                    pairs.append((confidence, span_key(span) in gold))
    return np.array([p[0] for p in pairs], dtype=float), np.array([p[1] for p in pairs], dtype=bool)


def _as_dicts(doc: Doc, layer: str) -> list[dict[str, Any]]:
    group = doc.spans.get(layer, ())
    return [{"label": s.label_, "start": s.start_char, "end": s.end_char} for s in group]


def _as_inclusive(doc: Doc, layer: str) -> list[dict[str, Any]]:
    # nervaluate takes the end for the last character: with spaCy's, touching spans would overlap.
    return [span | {"end": span["end"] - 1} for span in _as_dicts(doc, layer)]


def tokens(examples: Sequence[Example], layers: Sequence[str]) -> dict[str, Score]:
    """Token-level scores, as the published MedMentions models report them.

    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers to score. Each reference token has one label, or none.
    RETURNS (dict[str, Score]): By layer: macro_f (unweighted mean of the labels' F1, "no label"
        left out) and mcc (Matthews correlation over all classes, "no label" included).
    """
    from sklearn.metrics import f1_score, matthews_corrcoef

    scores = {}
    for layer in layers:
        scored = [e for e in examples if layer in e.reference.spans]
        gold = np.concatenate([_token_labels(e, e.reference, layer) for e in scored])
        guess = np.concatenate([_token_labels(e, e.predicted, layer) for e in scored])
        labels = sorted(set(gold.tolist()) - {""})
        scores[layer] = {
            "macro_f": float(
                f1_score(gold, guess, labels=labels, average="macro", zero_division=0)
            ),
            "mcc": float(matthews_corrcoef(gold, guess)),
        }
    return scores


def _token_labels(example: Example, doc: Doc, layer: str) -> NDArray[Any]:
    labels = np.full(len(example.reference), "", dtype=object)
    group = doc.spans.get(layer, ())
    spans = list(group)
    if doc is example.predicted:
        spans = example.get_aligned_spans_x2y(spans, allow_overlap=True)
    for span in spans:
        labels[span.start : span.end] = span.label_
    return labels
