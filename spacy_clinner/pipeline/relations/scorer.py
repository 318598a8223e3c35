from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from spacy.scorer import PRFScore
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_clinner.annotation.said import get_relations, has_relations
from spacy_clinner.annotation.spans import SpanKey, judged, span_key


class Link(NamedTuple):
    """A link as its two spans: start, end (in characters) and label of each."""

    head: SpanKey
    tail: SpanKey

    @property
    def pair(self) -> str:
        return f"{self.head.label}-{self.tail.label}"


def create_relation_scorer() -> Callable[..., dict[str, Any]]:
    """Registered as `clinner.relation_scorer.v1`; see `score_relations`."""
    return score_relations


def score_relations(examples: Iterable[Example], **_: Any) -> dict[str, Any]:
    """Score links end to end: both spans and both labels must be exactly right.

    examples (Iterable[Example]): The examples; those whose reference has no annotated relations
        are left out, and so are links that it cannot judge.
    RETURNS (Dict[str, Any]): `rel_micro_p`, `rel_micro_r`, `rel_micro_f`, and `rel_per_pair`
        (p, r, f by "HEAD-TAIL"); None where no reference annotates relations.
    """
    annotated = [example for example in examples if has_relations(example.reference)]
    compared = [(judged_links(e.predicted, e.reference), links(e.reference)) for e in annotated]
    return summary("rel", compared)


def summary(prefix: str, compared: list[tuple[set[Link], set[Link]]]) -> dict[str, Any]:
    """Micro scores and scores per pair.

    prefix (str): What the keys begin with.
    compared (List[Tuple[Set[Link], Set[Link]]]): Per document the predicted and the gold links.
    RETURNS (Dict[str, Any]): PREFIX_micro_p, _r, _f and PREFIX_per_pair.
    """
    micro = [f"{prefix}_micro_{letter}" for letter in "prf"]
    if not compared:
        return dict.fromkeys((*micro, f"{prefix}_per_pair"))
    per_pair: dict[str, PRFScore] = {}
    for predicted, gold in compared:
        for link in predicted | gold:
            score = per_pair.setdefault(link.pair, PRFScore())
            score.tp += link in predicted and link in gold
            score.fp += link not in gold
            score.fn += link not in predicted
    total = sum(per_pair.values(), PRFScore())
    return {
        **dict(zip(micro, (total.precision, total.recall, total.fscore), strict=True)),
        f"{prefix}_per_pair": {pair: per_pair[pair].to_dict() for pair in sorted(per_pair)},
    }


def links(doc: Doc) -> set[Link]:
    """The links of a document."""
    return {Link(span_key(head), span_key(tail)) for head, tail, _ in get_relations(doc)}


def judged_links(predicted: Doc, reference: Doc) -> set[Link]:
    """The links of a document of which a reference can say whether they are right.

    predicted (Doc): The document.
    reference (Doc): The gold document.
    RETURNS (Set[Link]): Those with two labels that the reference annotates.
    """
    return {
        Link(span_key(head), span_key(tail))
        for head, tail, _ in get_relations(predicted)
        if _is_judged(head, reference) and _is_judged(tail, reference)
    }


def _is_judged(span: Span, reference: Doc) -> bool:
    # Components of clinner say by the id which layer a span is of.
    layers = [span.id_] if span.id_ in reference.spans else reference.spans
    return any(judged([span], reference, layer) for layer in layers)
