"""Links compared with gold: scores on gold spans and end to end, and the errors one by one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from spacy.language import Language
from spacy.training import Example

from spacy_clinner.annotation.said import has_relations
from spacy_clinner.annotation.spans import SpanKey
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.outcomes import BOUNDARIES, CORRECT, FALSE_ALARM, MISS
from spacy_clinner.pipeline.relations.component import RelationExtractor
from spacy_clinner.pipeline.relations.gold import is_annotated
from spacy_clinner.pipeline.relations.scorer import (
    Link,
    judged_links,
    links,
    score_relations,
    summary,
)

Score = dict[str, Any]
# Documents whose token vectors are held at a time.
AT_ONCE = 64


def relations(nlp: Language, examples: Sequence[Example]) -> dict[str, Score]:
    """Score the links that a pipeline makes.

    nlp (Language): The pipeline, with a `clinner_relations` component.
    examples (Sequence[Example]): Reference docs, and what the pipeline predicted for them.
    RETURNS (dict[str, Score]): "end_to_end" (both spans strictly right) and "gold_spans" (the
        component alone, given the reference's spans): p, r, f, gold (number of links) and
        per_pair (the same by "ENTITY-MODIFIER"). Empty where no reference has relations.
    RAISES (ClinnerError): The pipeline has no such component.
    """
    annotated = [example for example in examples if has_relations(example.reference)]
    if not annotated:
        return {}
    counts: dict[str, int] = {}
    for example in annotated:
        for link in links(example.reference):
            counts[link.pair] = counts.get(link.pair, 0) + 1
    return {
        "end_to_end": _table(score_relations(annotated), "rel", counts),
        "gold_spans": _table(score_on_gold(nlp, annotated), "rel_gold", counts),
    }


def score_on_gold(nlp: Language, examples: Iterable[Example]) -> dict[str, Any]:
    """Score the links between the references' spans, so that no mistake of `clinner_ner` counts.

    The components before `clinner_relations` run anew over the texts: the token vectors that it
    needs are not kept in documents that a pipeline has done with.

    nlp (Language): The pipeline.
    examples (Iterable[Example]): Their references are used; those that do not annotate relations
        and both groups of spans are left out.
    RETURNS (dict[str, Any]): `rel_gold_micro_p`, `_r`, `_f` and `rel_gold_per_pair`; None where
        no reference is left.
    RAISES (ClinnerError): The pipeline has no such component.
    """
    component, before = _component(nlp)
    groups = component.entities, component.modifiers
    references = [eg.reference for eg in examples if is_annotated(eg.reference, *groups)]
    compared = []
    for at in range(0, len(references), AT_ONCE):
        batch = references[at : at + AT_ONCE]
        with nlp.select_pipes(enable=before):
            docs = list(nlp.pipe(doc.text for doc in batch))
        pairs = zip(docs, batch, strict=True)
        compared += component.links_of_gold([Example(doc, gold) for doc, gold in pairs])
    return summary("rel_gold", compared)


def _component(nlp: Language) -> tuple[RelationExtractor, list[str]]:
    """The component that links, and the names of those that run before it."""
    for at, (_, component) in enumerate(nlp.pipeline):
        if isinstance(component, RelationExtractor):
            return component, nlp.pipe_names[:at]
    raise ClinnerError(
        f"the pipeline has no clinner_relations component; it has {', '.join(nlp.pipe_names)}."
    )


def _table(found: Score, prefix: str, counts: dict[str, int]) -> Score:
    per_pair = found.get(f"{prefix}_per_pair") or {}
    return {
        **{letter: found.get(f"{prefix}_micro_{letter}") or 0.0 for letter in "prf"},
        "gold": sum(counts.values()),
        "per_pair": {k: {**v, "gold": counts.get(k, 0)} for k, v in sorted(per_pair.items())},
    }


@dataclass(frozen=True)
class LinkOutcome:
    """A gold or a predicted link, judged.

    kind (str): "correct", "miss", "false alarm", or "wrong boundaries" for a predicted link whose
        spans overlap those of a gold link with the same labels that was not found exactly.
    pair (str): "ENTITY-MODIFIER".
    entity (tuple[int, int]), modifier (tuple[int, int]): Offsets in characters.
    """

    kind: str
    pair: str
    entity: tuple[int, int]
    modifier: tuple[int, int]


def compare_links(example: Example) -> list[LinkOutcome]:
    """What the pipeline made of each link of a doc.

    example (Example): Predicted and reference doc of one text.
    RETURNS (list[LinkOutcome]): In text order of the modifiers. A gold link that a predicted one
        with wrong boundaries stands for is not listed as a miss.
    """
    gold = links(example.reference)
    predicted = judged_links(example.predicted, example.reference)
    missed = gold - predicted
    outcomes = [_outcome(CORRECT, link) for link in gold & predicted]
    for link in sorted(predicted - gold):
        near = next((other for other in sorted(missed) if _touch(link, other)), None)
        outcomes.append(_outcome(FALSE_ALARM if near is None else BOUNDARIES, link))
        missed.discard(near or link)
    outcomes += [_outcome(MISS, link) for link in missed]
    return sorted(outcomes, key=lambda o: (o.modifier, o.entity, o.kind))


def _touch(one: Link, other: Link) -> bool:
    return _overlap(one.head, other.head) and _overlap(one.tail, other.tail)


def _overlap(one: SpanKey, other: SpanKey) -> bool:
    return one.label == other.label and one.start < other.end and other.start < one.end


def _outcome(kind: str, link: Link) -> LinkOutcome:
    return LinkOutcome(kind, link.pair, link.head[:2], link.tail[:2])
