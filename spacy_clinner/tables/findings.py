"""Rows of tables from documents: the entities of one, and what is linked to them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from spacy.attrs import ENT_IOB, ENT_TYPE
from spacy.tokens import Doc, Span

from spacy_clinner.annotation import said, store
from spacy_clinner.annotation.spans import ALL, ENTS, group_of, keys_in
from spacy_clinner.errors import ClinnerError

Row = tuple[Any, ...]
RULE = "rule"
# How spaCy counts a token of an entity.
INSIDE, BEGINS = 1, 3


@dataclass(frozen=True)
class Selection:
    """Which entities are meant.

    layers (tuple[str, ...] | None): Their layers, "ents" for `doc.ents`, "*" for every layer; None
        for all that hold entities, and the rest of `doc.ents`.
    modifiers (frozenset[str]): Layers that hold no entities.
    threshold (float | Mapping[str, float]): The least confidence, of all or by layer. Entities of
        which nothing computed one are kept.
    labels (frozenset[str] | None): Labels in lower case; None for all.
    """

    layers: tuple[str, ...] | None = None
    modifiers: frozenset[str] = frozenset()
    threshold: float | Mapping[str, float] = 0.0
    labels: frozenset[str] | None = None

    def takes(self, layer: str, label: str, confidence: float | None) -> bool:
        """Whether an entity is meant."""
        if self.labels is not None and label.lower() not in self.labels:
            return False
        least = self.threshold
        if isinstance(least, Mapping):
            least = least.get(layer, 0.0)
        return confidence is None or confidence >= least


def find(doc: Doc, selection: Selection, no_text: bool = False) -> tuple[list[Row], list[Row]]:
    """The entities of a document and the modifiers linked to them.

    doc (Doc): A processed document.
    selection (Selection): Which entities are meant.
    no_text (bool): Whether to leave out the words of the note.
    RETURNS (tuple[list[Row], list[Row]]): Rows for `entities` from `entity_id` to `section`, in
        reading order within each layer, and for `links` from `entity_id` on.
    """
    text = doc.text
    entities: list[Row] = []
    links: list[Row] = []
    for layer, span, start, end, label in _spans(doc, selection):
        values = store.values(span)
        confidence = values.get("confidence")
        if not selection.takes(layer, label, confidence):
            continue
        entity_id = f"{layer}:{label}:{start}:{end}"
        known = "semantic_group" in values
        group = values["semantic_group"] if known else said.get_semantic_group(span)
        cue = _place(values.get("negation_cue"), start, len(text))
        entities.append((
            entity_id, layer, label, group, start, end, None if no_text else text[start:end],
            confidence, values.get("assertion"), values.get("negated"), values.get("uncertain"),
            values.get("hypothetical"), values.get("historical"), values.get("experiencer"), *cue,
            None if no_text or cue[0] is None else text[cue[0] : cue[1]],
            evidence_of(values, no_text), values.get("section"),
        ))  # fmt: skip
        for place, score in values.get("modifiers") or ():
            low, high = _place(place, start, len(text))
            if low is not None:
                words = None if no_text else text[low:high]
                links.append((entity_id, place[2], low, high, words, score))
    return entities, links


def spans_of(what: str, doc: Doc, layers: Iterable[str] | None, threshold: float) -> list[Span]:
    """The entities of a document for the shapes that take `doc.ents` unless told otherwise.

    what (str): The function that is called, for the message.
    doc (Doc): A processed document.
    layers (Iterable[str] | None): Keys of `doc.spans`, "ents" for `doc.ents`; None for that.
    threshold (float): The least confidence.
    RETURNS (list[Span]): In reading order; those of which nothing computed a confidence, too.
    RAISES (ClinnerError): The document has no such layer.
    """
    keys = [ENTS] if layers is None else list(dict.fromkeys(layers))
    if unknown := [key for key in keys if key != ENTS and key not in doc.spans]:
        raise ClinnerError(
            f"{what}: no layer {', '.join(unknown)} in doc.spans; "
            f"there are: {', '.join(doc.spans) or 'none'}."
        )
    sure = Selection(threshold=threshold)
    spans = (
        span
        for key in keys
        for span in group_of(doc, key)
        if sure.takes(key, span.label_, store.values(span).get("confidence"))
    )
    return list(spans) if layers is None else sorted(spans)


def evidence_of(values: Mapping[str, Any], no_text: bool) -> list[str]:
    """What decided the assertion of an entity.

    values (Mapping[str, Any]): What is stored of it.
    no_text (bool): Whether to name no rule: a rule is called by the words of its cue.
    RETURNS (list[str]): Such as "rule:neg_denies", "section:allergies" and "modifier:NEGATION".
    """
    found: list[str] = values.get("assertion_evidence") or []
    if not no_text:
        return found
    return [RULE if one.startswith(f"{RULE}:") else one for one in found]


def _spans(doc: Doc, selection: Selection) -> Iterator[tuple[str, Span, int, int, str]]:
    """Each span of the layers that are meant, once in each, with its offsets and label; layers in
    the order of the document."""
    seen: set[tuple[int, int, int]] = set()
    wanted, left_out = selection.layers, selection.modifiers
    if wanted is not None and ALL in wanted:
        wanted, left_out = None, frozenset()
    groups = doc.spans if wanted is None else keys_in(doc, wanted)
    for layer in groups:
        if layer == ENTS or (wanted is None and layer in left_out):
            continue
        here = {}
        for span in doc.spans[layer]:
            here[span.start_char, span.end_char, span.label_] = span
            seen.add((span.start, span.end, span.label))
        yield from ((layer, here[key], *key) for key in sorted(here))
    if ENTS in wanted if wanted is not None else not _ents(doc) <= seen:
        for span in doc.ents:
            if wanted is not None or (span.start, span.end, span.label) not in seen:
                yield ENTS, span, span.start_char, span.end_char, span.label_


def _ents(doc: Doc) -> set[tuple[int, int, int]]:
    """Tokens and label of `doc.ents`, for which spaCy takes as long as we for all else."""
    iob, labels = doc.to_array([ENT_IOB, ENT_TYPE]).T.reshape(2, -1)
    begins = np.flatnonzero((iob == BEGINS) & (labels != 0))
    behind = np.append(np.flatnonzero(iob != INSIDE), len(doc))
    ends = behind[np.searchsorted(behind, begins, side="right")]
    return set(zip(begins.tolist(), ends.tolist(), labels[begins].tolist(), strict=True))


def _place(place: Any, origin: int, length: int) -> tuple[int, int] | tuple[None, None]:
    """Offsets into the text of what is stored from a span's start."""
    if place is None:
        return None, None
    start, end = place[0] + origin, place[1] + origin
    return (start, end) if 0 <= start < end <= length else (None, None)
