"""Scores of what is asserted of entities."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypedDict

from spacy.scorer import PRFScore
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_clinner.annotation.said import ASSERTIONS
from spacy_clinner.annotation.spans import ENTS, SpanKey, group_of, keys_in, span_key
from spacy_clinner.annotation.store import values


class ClassScore(TypedDict):
    """Precision, recall and F1 in 0..1; gold is the number of cases."""

    p: float
    r: float
    f: float
    gold: int


def create_assertion_scorer() -> Callable[..., dict[str, Any]]:
    """Registered as `clinner.assertion_scorer.v1`; see `score_assertion`."""
    return score_assertion


def score_assertion(
    examples: Iterable[Example], *, span_keys: Sequence[str], without: Iterable[str] = (), **_: Any
) -> dict[str, Any]:
    """Score negation and assertion, over the spans of which gold says something.

    examples (Iterable[Example]): The examples.
    span_keys (Sequence[str]), without (Iterable[str]): The spans that are judged, as
        `annotation.spans.keys_in` takes them. Where a reference has groups of spans, its entities
        are among them, and are not counted again.
    RETURNS (Dict[str, Any]): `negated_p`, `_r`, `_f` on spans that were found exactly;
        `negated_end_to_end_p`, `_r`, `_f`, for which offsets, label and negation must all be right;
        `assertion_acc` and `assertion_per_type` on spans found exactly. None where gold does not
        say.
    """
    negated: list[tuple[object, object]] = []
    asserted: list[tuple[object, object]] = []
    end_to_end, says = PRFScore(), False
    for example in examples:
        gold, predicted = example.reference, example.predicted
        for layer in _layers(gold, span_keys, without):
            negated += doc_pairs(gold, predicted, layer, "negated")
            asserted += doc_pairs(gold, predicted, layer, "assertion")
            if any(values(span).get("negated") is not None for span in group_of(gold, layer)):
                says = True
                end_to_end.score_set(*negated_keys(gold, predicted, layer))
    found = class_scores(negated, (True,))["True"] if negated else None
    scores: dict[str, Any] = {f"negated_{k}": found[k] if found else None for k in ("p", "r", "f")}
    scores |= {
        "negated_end_to_end_p": end_to_end.precision if says else None,
        "negated_end_to_end_r": end_to_end.recall if says else None,
        "negated_end_to_end_f": end_to_end.fscore if says else None,
    }
    right = sum(wanted == said for wanted, said in asserted)
    scores["assertion_acc"] = right / len(asserted) if asserted else None
    scores["assertion_per_type"] = class_scores(asserted, ASSERTIONS) if asserted else None
    return scores


def _layers(gold: Doc, span_keys: Sequence[str], without: Iterable[str]) -> list[str]:
    keys = keys_in(gold, span_keys, without)
    return [key for key in keys if key != ENTS] or keys


def class_scores(
    pairs: Sequence[tuple[object, object]], classes: Sequence[object]
) -> dict[str, ClassScore]:
    """Score an attribute with several values.

    pairs (Sequence[tuple[object, object]]): Per entity: gold, predicted.
    classes (Sequence[object]): The values to report.
    RETURNS (dict[str, ClassScore]): By value.
    """
    scores = {}
    for value in classes:
        score = PRFScore()
        for gold, predicted in pairs:
            score.tp += gold == value == predicted
            score.fp += gold != value == predicted
            score.fn += gold == value != predicted
        # PRFScore adds a little to each denominator.
        right, found, wanted = score.tp, score.tp + score.fp, score.tp + score.fn
        scores[str(value)] = ClassScore(
            p=right / found if found else 0.0,
            r=right / wanted if wanted else 0.0,
            f=2 * right / (found + wanted) if found + wanted else 0.0,
            gold=wanted,
        )
    return scores


def doc_pairs(gold: Doc, predicted: Doc, layer: str, attribute: str) -> list[tuple[object, object]]:
    """Gold and predicted values of an attribute, over the spans that both documents have.

    A gold span of which the attribute is not said counts for nothing: not every corpus annotates
    every attribute.

    gold (Doc): The reference.
    predicted (Doc): The same text, processed.
    layer (str): The span group; "ents" for `doc.ents`.
    attribute (str): "negated", "assertion", "experiencer", ...
    RETURNS (list[tuple[object, object]]): Per span with equal offsets and label in both: gold,
        predicted (None where nothing judged it).
    """
    return [
        (wanted[attribute], values(match).get(attribute))
        for span, match in matched_spans(gold, predicted, layer)
        if (wanted := values(span)).get(attribute) is not None
    ]


def matched_spans(gold: Doc, predicted: Doc, layer: str) -> Iterator[tuple[Span, Span]]:
    """The spans with equal offsets and label in two documents of one text.

    gold (Doc), predicted (Doc): The documents.
    layer (str): The span group; "ents" for `doc.ents`.
    YIELDS (tuple[Span, Span]): The span of each, in the order of the gold ones.
    """
    found = {span_key(span): span for span in group_of(predicted, layer)}
    for span in group_of(gold, layer):
        match = found.get(span_key(span))
        if match is not None:
            yield span, match


def negated_keys(gold: Doc, predicted: Doc, layer: str) -> tuple[set[SpanKey], set[SpanKey]]:
    """The keys of the spans of a layer that are negated.

    gold (Doc), predicted (Doc): Documents of one text.
    layer (str): The span group; "ents" for `doc.ents`.
    RETURNS (tuple[set[SpanKey], set[SpanKey]]): Those predicted, without spans of which gold does
        not say whether they are negated, and those of gold; none of a document with spans of which
        gold says it of none.
    """
    wanted = {span_key(span): values(span).get("negated") for span in group_of(gold, layer)}
    found = {span_key(s) for s in group_of(predicted, layer) if values(s).get("negated")}
    unjudged = {key for key, negated in wanted.items() if negated is None}
    if unjudged and len(unjudged) == len(wanted):
        return set(), set()
    return found - unjudged, {key for key, negated in wanted.items() if negated}
