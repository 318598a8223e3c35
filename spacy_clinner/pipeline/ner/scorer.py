from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from spacy.scorer import PRFScore, get_ner_prf
from spacy.training import Example
from spacy.util import filter_spans

from spacy_clinner.annotation.spans import annotated_labels, group_of, judged, span_key


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
    """Score spans strictly (offsets and label), each layer over the documents that annotate it;
    of documents that annotate only some labels of it, these labels.

    examples (Iterable[Example]): The examples.
    layers (Iterable[str]): The layers to score.
    ents_from (Sequence[str]): The layers that fill `doc.ents`. Where the entities of a reference
        are of other layers, they are compared with the predicted spans of those; where it
        annotates layers, and its entities are of none that is scored, it is left out.
    RETURNS (Dict[str, Any]): `layers_p`, `layers_r` and `layers_f` pooled over all layers (micro);
        for each layer `spans_LAYER_p`, `_r`, `_f` and `_per_type`, None where no document
        annotates it; and spaCy's `ents_p`, `ents_r`, `ents_f`, `ents_per_type`.
    """
    examples, layers = list(examples), list(layers)
    pooled = PRFScore()
    scores: dict[str, Any] = {}
    for layer in layers:
        annotated = [example for example in examples if layer in example.reference.spans]
        per_type: dict[str, PRFScore] = defaultdict(PRFScore)
        for example in annotated:
            for label, counted in count_spans(example, layer).items():
                per_type[label] += counted
        total = sum(per_type.values(), PRFScore())
        pooled += total
        scores.update(_summary(f"spans_{layer}", total if annotated else None))
        types = {label: per_type[label].to_dict() for label in sorted(per_type)}
        scores[f"spans_{layer}_per_type"] = types if annotated else None
    scores.update(_summary("layers", pooled))
    compared = (_with_comparable_entities(example, layers, ents_from) for example in examples)
    return {**scores, **get_ner_prf(example for example in compared if example is not None)}


def count_spans(example: Example, layer: str) -> dict[str, PRFScore]:
    """Count the spans of a document that are right, wrong and missing, strictly.

    example (Example): Predicted and reference doc.
    layer (str): The layer; where the reference does not annotate it, or a label of it, nothing is
        counted.
    RETURNS (Dict[str, PRFScore]): By label.
    """
    if layer not in example.reference.spans:
        return {}
    gold = set(map(span_key, judged(group_of(example.reference, layer), example.reference, layer)))
    spans = judged(group_of(example.predicted, layer), example.reference, layer)
    predicted = set(map(span_key, spans))
    if example.predicted.text != example.reference.text:
        # Offsets do not compare; spaCy's alignment of tokens does, at the cost of what it drops.
        aligned = example.get_aligned_spans_x2y(spans, allow_overlap=True)
        predicted = set(map(span_key, aligned))
    counts: dict[str, PRFScore] = defaultdict(PRFScore)
    for key in gold | predicted:
        counts[key.label].tp += key in gold and key in predicted
        counts[key.label].fp += key not in gold
        counts[key.label].fn += key not in predicted
    return counts


def _with_comparable_entities(
    example: Example, layers: Sequence[str], ents_from: Sequence[str]
) -> Example | None:
    """With predicted entities of the layers that the gold ones are of; None where there is none."""
    gold = example.reference
    if not ents_from or not gold.spans:
        return example
    ents = set(map(span_key, gold.ents))
    annotated = [layer for layer in dict.fromkeys((*ents_from, *layers)) if layer in gold.spans]
    keys = {layer: set(map(span_key, gold.spans[layer])) for layer in annotated}
    theirs = [layer for layer in annotated if (ents & keys[layer] if ents else not keys[layer])]
    whole = all(annotated_labels(gold, layer) is None for layer in theirs)
    if not theirs or (whole and set(ents_from) <= set(theirs)):
        return example if theirs else None
    predicted = example.predicted.copy()
    found = [s for key in theirs for s in judged(group_of(predicted, key), gold, key)]
    predicted.set_ents(filter_spans(found))
    reference = gold.copy()
    reference.set_ents([e for e in gold.ents if any(judged([e], gold, key) for key in theirs)])
    return Example(predicted, reference)


def _summary(prefix: str, score: PRFScore | None) -> dict[str, float | None]:
    if score is None:
        return dict.fromkeys((f"{prefix}_p", f"{prefix}_r", f"{prefix}_f"))
    return {
        f"{prefix}_p": score.precision,
        f"{prefix}_r": score.recall,
        f"{prefix}_f": score.fscore,
    }
