"""Scores of assertion attributes: negated or not, and the six assertion classes."""

from collections.abc import Iterable
from dataclasses import dataclass

from spacy.scorer import PRFScore
from spacy.tokens import Doc
from spacy.training import Example

from spacy_clinner.annotation.said import ASSERTIONS, EXPERIENCERS, get_evidence
from spacy_clinner.annotation.spans import group_of
from spacy_clinner.annotation.store import values
from spacy_clinner.pipeline.context.scorer import (
    ClassScore,
    class_scores,
    doc_pairs,
    matched_spans,
    negated_keys,
)

FLAGS = ("negated", "uncertain", "hypothetical", "historical")
EXPLAINED = ("negated", "uncertain", "experiencer")
# What an error line calls an attribute and its values.
WORDS: dict[str, tuple[str, dict[object, str]]] = {
    "negated": ("negation", {True: "absent", False: "present", None: "not judged"}),
    "uncertain": ("uncertainty", {True: "uncertain", False: "certain", None: "not judged"}),
}
CLASSES = {"assertion": ASSERTIONS, "experiencer": EXPERIENCERS}


def flag_scores(pairs: Iterable[tuple[bool, bool]]) -> ClassScore:
    """Score one yes-or-no attribute.

    pairs (Iterable[tuple[bool, bool]]): Per entity: gold, predicted.
    RETURNS (ClassScore): Of the class "yes"; all 0 without pairs.
    """
    gold_and_predicted = list(pairs)
    return class_scores(gold_and_predicted, (True,))["True"]


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


def not_judged(docs: Iterable[tuple[Doc, Doc]], layer: str) -> list[str]:
    """The assertion attributes that a pipeline leaves open, where gold says something of them.

    docs (Iterable[tuple[Doc, Doc]]): Gold and predicted documents.
    layer (str): The span group.
    RETURNS (list[str]): Those that no predicted span has; none where there is no predicted span.
    """
    texts = list(docs)
    gold, found = (
        [values(span) for pair in texts for span in group_of(pair[side], layer)] for side in (0, 1)
    )
    return [
        attribute
        for attribute in (*FLAGS, *CLASSES)
        if found
        and any(said.get(attribute) is not None for said in gold)
        and all(said.get(attribute) is None for said in found)
    ]


def assertion_scores(
    docs: Iterable[tuple[Doc, Doc]], layer: str = "ents"
) -> dict[str, dict[str, ClassScore]]:
    """Precision, recall and F1 of every assertion attribute, per class.

    docs (Iterable[tuple[Doc, Doc]]): Gold and predicted documents.
    layer (str): The span group; "ents" for `doc.ents`.
    RETURNS (dict[str, dict[str, ClassScore]]): By attribute, then by class ("True" for flags)
        that gold or the pipeline names; attributes that the gold documents do not annotate are
        left out.
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
            named = {value for pair in pairs for value in pair}
            classes = [value for value in CLASSES.get(attribute, (True,)) if value in named]
            scores[attribute] = class_scores(pairs, classes)
    return scores


def negated_end_to_end(
    docs: Iterable[tuple[Doc, Doc]], layer: str = "ents"
) -> dict[str, ClassScore]:
    """Score the negated entities: offsets, label and that they are negated must all be right.

    docs (Iterable[tuple[Doc, Doc]]): Gold and predicted documents.
    layer (str): The span group; "ents" for `doc.ents`.
    RETURNS (dict[str, ClassScore]): By label, those with an entity that is negated in gold or
        predicted to be; none where no gold document says of any which are.
    """
    texts = list(docs)
    golds = (span for gold, _ in texts for span in group_of(gold, layer))
    if all(values(span).get("negated") is None for span in golds):
        return {}
    counts: dict[str, PRFScore] = {}
    for gold, predicted in texts:
        found, wanted = negated_keys(gold, predicted, layer)
        for label in {key.label for key in wanted | found}:
            counts.setdefault(label, PRFScore()).score_set(
                {key for key in found if key.label == label},
                {key for key in wanted if key.label == label},
            )
    return {
        label: ClassScore(p=s.precision, r=s.recall, f=s.fscore, gold=s.tp + s.fn)
        for label, s in sorted(counts.items())
    }
