"""What of each note is right, found and wanted, for every F1 that is told with an interval."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from spacy.scorer import PRFScore
from spacy.training import Example

from spacy_clinner.annotation.said import has_relations
from spacy_clinner.annotation.spans import group_of
from spacy_clinner.annotation.store import values
from spacy_clinner.evaluation.assertion import CLASSES, FLAGS
from spacy_clinner.evaluation.groups import note_id, section_counts
from spacy_clinner.evaluation.intervals import Ints
from spacy_clinner.evaluation.spans import as_inclusive
from spacy_clinner.pipeline.context.scorer import doc_pairs, negated_keys
from spacy_clinner.pipeline.ner.scorer import count_spans
from spacy_clinner.pipeline.relations.scorer import judged_links, links

# Where the score stands in the metrics: ("strict", "clinical", "per_type", "PROBLEM").
Place = tuple[str, ...]
# Right, found and wanted.
Counts = tuple[int, int, int]
# Which is no score of its own in the metrics, but is compared with another pipeline's.
NEGATED = ("negated_end_to_end", "all")


def note_counts(
    examples: Sequence[Example],
    layers: Sequence[str],
    kind_of: Callable[[str], str | None] | None = None,
    unjudged: Collection[tuple[str, ...]] = (),
) -> dict[Place, Ints]:
    """Count by note, for all scores.

    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers to count.
    kind_of (Callable[[str], str | None] | None): The kind of a note by its id.
    unjudged (Collection[tuple[str, ...]]): Layers and attributes of which nothing is counted.
    RETURNS (dict[tuple[str, ...], NDArray[int64]]): By the place of the score in the metrics, what
        is right, found and wanted in each note, shape (notes, 3).
    """
    sections = section_counts(examples, layers)
    judged = [
        layer
        for layer in layers
        if (layer, "negated") not in unjudged and negation_is_judged(examples, layer)
    ]
    found: dict[Place, Ints] = {}
    for at, (example, by_title) in enumerate(zip(examples, sections, strict=True)):
        for place, counts in _of_note(example, layers, judged, by_title, kind_of):
            if place[0] == "assertion" and place[1:3] in unjudged:
                continue
            counted = found.setdefault(place, np.zeros((len(examples), 3), dtype=np.int64))
            counted[at] += counts
    return found


def _of_note(
    example: Example,
    layers: Sequence[str],
    judged: Sequence[str],
    by_title: dict[str, PRFScore],
    kind_of: Callable[[str], str | None] | None,
) -> Iterator[tuple[Place, Counts]]:
    kind = kind_of(note_id(example)) if kind_of else None
    if kind is not None:
        yield ("kinds", kind), (0, 0, 0)
    for layer in layers:
        if layer in example.reference.spans:
            for label, score in count_spans(example, layer).items():
                counts = as_counts(score)
                yield ("strict", layer, "per_type", label), counts
                yield ("strict", layer), counts
                yield ("strict", "all"), counts
                if kind is not None:
                    yield ("kinds", kind), counts
            yield ("relaxed", layer), _overlapping(example, layer)
            if layer in judged:
                yield from _negated(example, layer)
        yield from _asserted(example, layer)
    for title, score in by_title.items():
        yield ("sections", title), as_counts(score)
    if has_relations(example.reference):
        yield from _linked(example)


def negation_is_judged(examples: Sequence[Example], layer: str) -> bool:
    """Whether gold says of the spans of a layer which are negated.

    examples (Sequence[Example]): Predicted and reference docs.
    layer (str): The layer.
    RETURNS (bool): Whether it does of any.
    """
    golds = (span for example in examples for span in group_of(example.reference, layer))
    return any(values(span).get("negated") is not None for span in golds)


def as_counts(score: PRFScore) -> Counts:
    """What is right, found and wanted.

    score (PRFScore): spaCy's counts.
    RETURNS (tuple[int, int, int]): The sums.
    """
    return score.tp, score.tp + score.fp, score.tp + score.fn


def _of_sets(found: set[Any], wanted: set[Any]) -> Counts:
    return len(found & wanted), len(found), len(wanted)


def _overlapping(example: Example, layer: str) -> Counts:
    """Spans of the right label that overlap, as nervaluate counts them."""
    from nervaluate.entities import Entity
    from nervaluate.strategies import EntityTypeEvaluation

    gold, guess = (
        [Entity(**span) for span in as_inclusive(doc, layer)]
        for doc in (example.reference, example.predicted)
    )
    tags = sorted({span.label for span in (*gold, *guess)})
    counted, _ = EntityTypeEvaluation().evaluate(gold, guess, tags)
    both = counted.correct + counted.incorrect + counted.partial
    return counted.correct, both + counted.spurious, both + counted.missed


def _negated(example: Example, layer: str) -> Iterator[tuple[Place, Counts]]:
    found, wanted = negated_keys(example.reference, example.predicted, layer)
    for label in {key.label for key in found | wanted}:
        of_label = ({key for key in keys if key.label == label} for keys in (found, wanted))
        counts = _of_sets(*of_label)
        yield ("negated_end_to_end", layer, label), counts
        yield NEGATED, counts


def _asserted(example: Example, layer: str) -> Iterator[tuple[Place, Counts]]:
    for attribute in (*FLAGS, *CLASSES):
        pairs = doc_pairs(example.reference, example.predicted, layer, attribute)
        for value in CLASSES.get(attribute, (True,)) if pairs else ():
            right = sum(wanted == value == said for wanted, said in pairs)
            found, gold = (sum(pair[side] == value for pair in pairs) for side in (1, 0))
            yield ("assertion", layer, attribute, str(value)), (right, found, gold)


def _linked(example: Example) -> Iterator[tuple[Place, Counts]]:
    found = judged_links(example.predicted, example.reference)
    wanted = links(example.reference)
    yield ("relations", "end_to_end"), _of_sets(found, wanted)
    for pair in {link.pair for link in found | wanted}:
        of_pair = ({link for link in side if link.pair == pair} for side in (found, wanted))
        yield ("relations", "end_to_end", "per_pair", pair), _of_sets(*of_pair)


def rows(places: Iterable[Place]) -> dict[str, dict[str, Place]]:
    """Scores as the rows of tables.

    places (Iterable[tuple[str, ...]]): The places of the scores in the metrics.
    RETURNS (dict[str, dict[str, tuple[str, ...]]]): By table, and in it by name: "strict",
        "relaxed", "labels" ("clinical/PROBLEM"), "sections", "kinds", "assertion",
        "negated_end_to_end" and "relations"; what goes over all of them is "all".
    """
    tables: dict[str, dict[str, Place]] = {}
    for place in places:
        table = "labels" if "per_type" in place else place[0]
        shown = [part for part in place[1:] if part not in ("per_type", "end_to_end", "per_pair")]
        tables.setdefault(table, {})["/".join(shown) or "all"] = place
    return tables
