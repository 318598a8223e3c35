"""Gold spans and relations of examples, over the predicted documents' tokens."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from spacy.training import Example

from spacy_clinner.annotation.said import has_relations
from spacy_clinner.annotation.spans import group_of, span_key
from spacy_clinner.pipeline.ner.layers import same_tokens
from spacy_clinner.pipeline.relations.candidates import Candidates, Located
from spacy_clinner.pipeline.relations.scorer import Link, links


def is_annotated(reference: Doc, entities: str, modifiers: str) -> bool:
    """Whether a reference has both groups of spans and says which are related."""
    groups = entities in reference.spans and modifiers in reference.spans
    return groups and has_relations(reference)


def gold_links(example: Example, entities: str, modifiers: str) -> set[Link]:
    """The links of the reference; none where it is not annotated."""
    annotated = is_annotated(example.reference, entities, modifiers)
    return links(example.reference) if annotated else set()


def gold_spans(example: Example, group: str) -> list[Located]:
    """A group of the reference's spans.

    example (Example): The example.
    group (str): The key in `doc.spans`.
    RETURNS (List[Located]): In the group's order, over the predicted document's tokens; without a
        label where a span has no token there. Empty where the reference has no relations set.
    """
    if not has_relations(example.reference):
        return []
    spans = list(example.reference.spans.get(group, ()))
    if same_tokens(example):
        return [(span.start, span.end, span.label_) for span in spans]
    to_predicted = example.alignment.y2x
    located = []
    for span in spans:
        tokens = to_predicted[span.start : span.end]
        found = (int(tokens[0]), int(tokens[-1]) + 1, span.label_) if len(tokens) else (0, 0, "")
        located.append(found)
    return located


def gold_targets(
    examples: Sequence[Example], candidates: Candidates, entities: str, modifiers: str
) -> NDArray[np.float64]:
    """What the probabilities of the pairs of gold spans should be.

    examples (Sequence[Example]): The examples.
    candidates (Candidates): The pairs of their references' spans.
    entities (str), modifiers (str): The keys in `doc.spans`.
    RETURNS (NDArray[float64]): 1 for each pair that is linked in the reference, else 0; shape
        (pairs,).
    """
    gold = [gold_links(example, entities, modifiers) for example in examples]
    head_keys, tail_keys = (
        [list(map(span_key, group_of(example.reference, group))) for example in examples]
        for group in (entities, modifiers)
    )
    heads, tails, pairs = candidates.heads, candidates.tails, candidates.pairs
    rows = zip(
        heads.doc[pairs.head].tolist(),
        heads.origin[pairs.head].tolist(),
        tails.origin[pairs.tail].tolist(),
        strict=True,
    )
    targets = [Link(head_keys[doc][h], tail_keys[doc][t]) in gold[doc] for doc, h, t in rows]
    return np.array(targets, dtype=np.float64)
