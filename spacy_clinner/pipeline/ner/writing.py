"""Predictions into documents: the span groups of all layers, and what is said of their spans."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from spacy.tokens import Doc, Span, SpanGroup

from spacy_clinner.annotation import store
from spacy_clinner.pipeline.ner.layers import Predictions
from spacy_clinner.schemes import Scheme


def write_layers(
    docs: Sequence[Doc],
    predictions: Predictions,
    labels: Mapping[str, Sequence[str]],
    schemes: Mapping[str, Scheme],
) -> list[dict[str, list[Span]]]:
    """Write `doc.spans` and the spans' confidence, layer and semantic group.

    docs (Sequence[Doc]): The documents that were predicted.
    predictions (Predictions): What was predicted for them.
    labels (Mapping[str, Sequence[str]]): The labels of each layer.
    schemes (Mapping[str, Scheme]): The schemes of those layers that have one.
    RETURNS (list[dict[str, list[Span]]]): Per document the spans by layer.
    """
    spans: list[dict[str, list[Span]]] = [{} for _ in docs]
    said: list[list[tuple[Span, dict[str, Any]]]] = [[] for _ in docs]
    for layer, prediction in predictions.layers.items():
        doc, start, end = predictions.batch.locate(prediction.spans)
        label = prediction.spans.label
        rows = zip(start.tolist(), end.tolist(), label.tolist(),
                   prediction.confidence.tolist(), strict=True)  # fmt: skip
        counts = np.bincount(doc, minlength=len(docs)).tolist()
        names = [(name, _said_of(layer, name, schemes.get(layer))) for name in labels[layer]]
        for at, count in enumerate(counts):
            written = list(_spans(docs[at], layer, islice(rows, count), names))
            spans[at][layer] = [span for span, _ in written]
            docs[at].spans[layer] = SpanGroup(docs[at], name=layer, spans=spans[at][layer])
            said[at] += written
    for doc_, of_spans in zip(docs, said, strict=True):
        store.write(doc_, of_spans)
    return spans


def _spans(
    doc: Doc,
    layer: str,
    rows: Iterable[tuple[int, int, int, float]],
    names: Sequence[tuple[str, dict[str, Any]]],
) -> Iterable[tuple[Span, dict[str, Any]]]:
    for start, end, label, confidence in rows:
        name, said = names[label]
        span = Span(doc, start, end, label=name, span_id=layer)
        yield span, {"confidence": confidence, **said}


def _said_of(layer: str, name: str, scheme: Scheme | None) -> dict[str, Any]:
    """What is said of every span with a label."""
    said: dict[str, Any] = {"layer": layer}
    label = None if scheme is None else scheme.labels.get(name)
    if label is not None:
        said["semantic_group"] = label.semantic_group or None
        if label.color:
            said["color"] = label.color
    return said
