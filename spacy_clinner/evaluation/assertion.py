"""Scores of assertion attributes: negated or not, and the six assertion classes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

from sklearn.metrics import precision_recall_fscore_support
from spacy.scorer import PRFScore
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_clinner.annotation.said import ASSERTIONS, EXPERIENCERS, get_evidence
from spacy_clinner.annotation.spans import SpanKey, group_of, span_key
from spacy_clinner.annotation.store import values

FLAGS = ("negated", "uncertain", "hypothetical", "historical")
EXPLAINED = ("negated", "uncertain", "experiencer")
# What an error line calls an attribute and its values.
WORDS: dict[str, tuple[str, dict[object, str]]] = {
    "negated": ("negation", {True: "absent", False: "present", None: "not judged"}),
    "uncertain": ("uncertainty", {True: "uncertain", False: "certain", None: "not judged"}),
}
CLASSES = {"assertion": ASSERTIONS, "experiencer": EXPERIENCERS}


class ClassScore(TypedDict):
    """Precision, recall and F1 in 0..1; gold is the number of cases."""

    p: float
    r: float
    f: float
    gold: int


def flag_scores(pairs: Iterable[tuple[bool, bool]]) -> ClassScore:
    """Score one yes-or-no attribute.

    pairs (Iterable[tuple[bool, bool]]): Per entity: gold, predicted.
    RETURNS (ClassScore): Of the class "yes"; all 0 without pairs.
    """
    gold_and_predicted = list(pairs)
    return class_scores(gold_and_predicted, (True,))["True"]


def class_scores(
    pairs: Sequence[tuple[object, object]], classes: Sequence[object]
) -> dict[str, ClassScore]:
    """Score an attribute with several values.

    pairs (Sequence[tuple[object, object]]): Per entity: gold, predicted.
    classes (Sequence[object]): The values to report.
    RETURNS (dict[str, ClassScore]): By value.
    """
    if not pairs:
        return {str(value): ClassScore(p=0.0, r=0.0, f=0.0, gold=0) for value in classes}
    gold = [str(value) for value, _ in pairs]
    predicted = [str(value) for _, value in pairs]
    names = [str(value) for value in classes]
    columns = precision_recall_fscore_support(gold, predicted, labels=names, zero_division=0.0)
    return {
        name: ClassScore(p=float(p), r=float(r), f=float(f), gold=int(n))
        for name, p, r, f, n in zip(names, *columns, strict=True)
    }


def doc_pairs(gold: Doc, predicted: Doc, layer: str, attribute: str) -> list[tuple[object, object]]:
    """Gold and predicted values of an attribute, over the spans that both documents have.

    A gold span without a stored value of the attribute counts for nothing: not every corpus
    annotates every attribute.

    gold (Doc): The reference.
    predicted (Doc): The same text, processed.
    layer (str): The span group; "ents" for `doc.ents`.
    attribute (str): "negated", "assertion", "experiencer", ...
    RETURNS (list[tuple[object, object]]): Per span with equal offsets and label in both: gold,
        predicted.
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


@dataclass(frozen=True)
class WrongAssertion:
    """An entity found exactly, with an attribute that differs from gold.

    attribute (str): "negated", "uncertain" or "experiencer".
    gold, predicted (object): Its values.
    start (int), end (int): Offsets of the entity in characters.
    text (str): The entity, at most 80 characters.
    evidence (tuple[str, ...]): The rules, sections and modifiers that the pipeline names.
    """

    layer: str
    label: str
    attribute: str
    gold: object
    predicted: object
    start: int
    end: int
    text: str
    evidence: tuple[str, ...]

    @property
    def caption(self) -> str:
        """A line such as "negation: 'fever' gold absent, predicted present"."""
        title, names = WORDS.get(self.attribute, (self.attribute, {}))
        gold, predicted = (names.get(value, value) for value in (self.gold, self.predicted))
        evidence = f" ({', '.join(self.evidence)})" if self.evidence else ""
        return f"{title}: '{self.text}' gold {gold}, predicted {predicted}{evidence}"


def wrong_assertions(example: Example, layer: str) -> list[WrongAssertion]:
    """The entities found exactly whose assertion differs from a value that gold stores.

    example (Example): Predicted and reference doc of one text.
    layer (str): The span group.
    RETURNS (list[WrongAssertion]): One per entity and attribute, in the order of the gold spans.
    """
    return [
        WrongAssertion(
            layer,
            span.label_,
            attribute,
            wanted[attribute],
            values(match).get(attribute),
            span.start_char,
            span.end_char,
            " ".join(span.text.split())[:80],
            get_evidence(match),
        )
        for span, match in matched_spans(example.reference, example.predicted, layer)
        for attribute in EXPLAINED
        if (wanted := values(span)).get(attribute) is not None
        and wanted[attribute] != values(match).get(attribute)
    ]


def assertion_scores(
    docs: Iterable[tuple[Doc, Doc]], layer: str = "ents"
) -> dict[str, dict[str, ClassScore]]:
    """Precision, recall and F1 of every assertion attribute, per class.

    docs (Iterable[tuple[Doc, Doc]]): Gold and predicted documents.
    layer (str): The span group; "ents" for `doc.ents`.
    RETURNS (dict[str, dict[str, ClassScore]]): By attribute, then by class ("True" for flags);
        attributes that the gold documents do not annotate are left out.
    """
    texts = list(docs)
    scores: dict[str, dict[str, ClassScore]] = {}
    for attribute in (*FLAGS, *CLASSES):
        pairs = [
            pair
            for gold, predicted in texts
            for pair in doc_pairs(gold, predicted, layer, attribute)
        ]
        if pairs:
            scores[attribute] = class_scores(pairs, CLASSES.get(attribute, (True,)))
    return scores


def negated_end_to_end(
    docs: Iterable[tuple[Doc, Doc]], layer: str = "ents"
) -> dict[str, ClassScore]:
    """Score the negated entities: offsets, label and that they are negated must all be right.

    docs (Iterable[tuple[Doc, Doc]]): Gold and predicted documents.
    layer (str): The span group; "ents" for `doc.ents`.
    RETURNS (dict[str, ClassScore]): By label, those with a negated gold entity.
    """
    counts: dict[str, PRFScore] = {}
    for gold, predicted in docs:
        wanted, found = _negated(gold, layer), _negated(predicted, layer)
        for label in {key.label for key in wanted | found}:
            counts.setdefault(label, PRFScore()).score_set(
                {key for key in found if key.label == label},
                {key for key in wanted if key.label == label},
            )
    return {
        label: ClassScore(p=s.precision, r=s.recall, f=s.fscore, gold=s.tp + s.fn)
        for label, s in sorted(counts.items())
        if s.tp + s.fn
    }


def _negated(doc: Doc, layer: str) -> set[SpanKey]:
    return {span_key(span) for span in group_of(doc, layer) if values(span).get("negated")}
