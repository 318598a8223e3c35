"""Pairs of labels that documents link and a trained `clinner_relations` does not know yet."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from spacy_clinner.annotation.said import get_relations
from spacy_clinner.annotation.spans import span_key
from spacy_clinner.architectures.pair_classifier import place_pairs
from spacy_clinner.pipeline.relations.component import RelationExtractor
from spacy_clinner.pipeline.relations.gold import is_annotated

Pair = tuple[str, str]


def linkers(nlp: Language) -> dict[str, RelationExtractor]:
    """The components that link spans, by name; those that a training has disabled, too."""
    found: dict[str, Any] = dict(nlp.components)
    return {name: c for name, c in found.items() if isinstance(c, RelationExtractor)}


def new_pairs(
    linkers: Mapping[str, RelationExtractor], docs: Iterable[Doc], frozen: Collection[str] = ()
) -> tuple[dict[str, list[Pair]], list[Pair]]:
    """What components do not know yet of what documents link.

    linkers (Mapping[str, RelationExtractor]): The components, by name.
    docs (Iterable[Doc]): The documents.
    frozen (Collection[str]): Those of the components that learn nothing.
    RETURNS (tuple[dict[str, list[Pair]], list[Pair]]): By component the pairs of labels, entity and
        modifier, that are new to it; and the pairs that none can learn, as each links one layer
        with one other.
    """
    found: dict[str, set[Pair]] = {name: set() for name in linkers if name not in frozen}
    linked: set[Pair] = set()
    known = {pair for component in linkers.values() for pair in pairs_of(component.cfg["pairs"])}
    for doc in docs:
        links = [(span_key(head), span_key(tail)) for head, tail, _ in get_relations(doc)]
        linked.update((head.label, tail.label) for head, tail in links)
        for name, pairs in found.items():
            groups = linkers[name].linked_groups
            if is_annotated(doc, *groups):
                heads, tails = (set(map(span_key, doc.spans[key])) for key in groups)
                pairs.update((h.label, t.label) for h, t in links if h in heads and t in tails)
    learned = set().union(*found.values()) if found else set()
    new = {name: sorted(pairs - known) for name, pairs in found.items() if pairs - known}
    return new, sorted(linked - learned - known)


def learn_pairs(component: RelationExtractor, new: Iterable[Pair]) -> None:
    """Let a trained component link further pairs of labels, and keep what it learned of the others.

    A new pair begins as likely as those that are known are on average, all else being equal.

    component (RelationExtractor): The component, which is changed.
    new (Iterable[Pair]): Labels of an entity and a modifier each.
    """
    pairs = {head: list(tails) for head, tails in component.cfg["pairs"].items()}
    before = {pair: at for at, pair in enumerate(pairs_of(pairs))}
    for head, tail in new:
        pairs.setdefault(head, []).append(tail)
    place_pairs(component.model, [before.get(pair) for pair in pairs_of(pairs)])
    component.cfg["pairs"] = pairs


def pairs_of(pairs: Mapping[str, Iterable[str]]) -> list[Pair]:
    """Pairs by label of an entity, in the order of their numbers in the model."""
    return [(head, tail) for head, tails in pairs.items() for tail in tails]
