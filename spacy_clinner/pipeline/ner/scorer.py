from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from spacy.scorer import PRFScore, get_ner_prf
from spacy.training import Example
from spacy.util import filter_spans

from spacy_clinner.annotation.spans import group_of, span_key


def create_layer_scorer() -> Callable[..., dict[str, Any]]:
    """Registered as `clinner.layer_scorer.v1`; see `score_layers`."""
    return score_layers


def score_layers(
    examples: Iterable[Example],
    *,
    layers: Iterable[str],
    ents_from: Sequence[str] = (),
    **_: Any,
) -> dict[str, Any]:
    """Score spans strictly (offsets and label), each layer over the documents that annotate it.

    examples (Iterable[Example]): The examples.
    layers (Iterable[str]): The layers to score.
    ents_from (Sequence[str]): The layers that fill `doc.ents`. Where a reference annotates none
        of them, its entities are of another layer, and are compared with the spans of that one.
    RETURNS (Dict[str, Any]): `layers_p`, `layers_r` and `layers_f` pooled over all layers (micro);
        for each layer `spans_LAYER_p`, `_r`, `_f` and `_per_type`, None where no document
        annotates it; and spaCy's `ents_p`, `ents_r`, `ents_f`, `ents_per_type`.
    """
    examples, layers = list(examples), list(layers)
    pooled = PRFScore()
    scores: dict[str, Any] = {}
    for layer in layers:
        per_type: dict[str, PRFScore] = defaultdict(PRFScore)
        annotated = [example for example in examples if layer in example.reference.spans]
        for example in annotated:
            _count(per_type, example, layer)
        total = sum(per_type.values(), PRFScore())
        pooled += total
        scores.update(_summary(f"spans_{layer}", total if annotated else None))
        types = {label: per_type[label].to_dict() for label in sorted(per_type)}
        scores[f"spans_{layer}_per_type"] = types if annotated else None
    scores.update(_summary("layers", pooled))
    compared = (_with_entities_of_its_layer(example, layers, ents_from) for example in examples)
    return {**scores, **get_ner_prf(compared)}


def _with_entities_of_its_layer(
    example: Example, layers: Sequence[str], ents_from: Sequence[str]
) -> Example:
    gold = example.reference
    if not ents_from or any(layer in gold.spans for layer in ents_from):
        return example
    ents = set(map(span_key, gold.ents))
    for layer in layers:
        if layer in gold.spans and ents <= set(map(span_key, gold.spans[layer])):
            predicted = example.predicted.copy()
            predicted.set_ents(filter_spans(group_of(predicted, layer)))
            return Example(predicted, gold)
    return example


def _summary(prefix: str, score: PRFScore | None) -> dict[str, float | None]:
    if score is None:
        return dict.fromkeys((f"{prefix}_p", f"{prefix}_r", f"{prefix}_f"))
    return {
        f"{prefix}_p": score.precision,
        f"{prefix}_r": score.recall,
        f"{prefix}_f": score.fscore,
    }


def _count(per_type: dict[str, PRFScore], example: Example, layer: str) -> None:
    gold = set(map(span_key, group_of(example.reference, layer)))
    predicted = set(map(span_key, group_of(example.predicted, layer)))
    if example.predicted.text != example.reference.text:
        # Offsets do not compare; spaCy's alignment of tokens does, at the cost of what it drops.
        spans = example.predicted.spans.get(layer, [])
        aligned = example.get_aligned_spans_x2y(spans, allow_overlap=True)
        predicted = set(map(span_key, aligned))
    for label in {key.label for key in gold | predicted}:
        per_type[label].score_set(
            {key for key in predicted if key.label == label},
            {key for key in gold if key.label == label},
        )
