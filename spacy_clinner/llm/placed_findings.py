"""Writes what was found in the passages of a document: spans, links and what is asserted."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup
from spacy.util import filter_spans

from spacy_clinner.annotation import said, store
from spacy_clinner.llm.labels import KnownLabels
from spacy_clinner.llm.placement import Placement
from spacy_clinner.llm.search import FUZZY
from spacy_clinner.pipeline.context.assertion import Findings, attributes
from spacy_clinner.schemes import Scheme

UNKNOWN = "unknown label"
OVERLAP = "overlaps a longer one"
# By label of a linked modifier what it makes of an entity.
LINKED = {
    "NEGATION": "negated",
    "UNCERTAIN": "uncertain",
    "SUBJECT": "family",
    "CONDITION": "hypothetical",
}
ASSERTED = {
    "absent": "negated",
    "possible": "uncertain",
    "conditional": "conditional",
    "hypothetical": "hypothetical",
    "associated_with_someone_else": "other",
}


@dataclass
class _Found:
    """A span of the document: how it was found, its heads, and what the answer asserts of it."""

    span: Span
    kind: str
    heads: list["_Found"] = field(default_factory=list)
    assertion: str | None = None


def annotate(
    doc: Doc,
    placements: Iterable[tuple[int, Placement]],
    layers: Sequence[Scheme],
    *,
    links: bool,
    asserts: bool,
) -> Counter[str]:
    """Set the layers of a document, the links and what is asserted of entities.

    doc (Doc): The document.
    placements (Iterable[tuple[int, Placement]]): By passage its offset in the document, and what
        was found in it.
    layers (Sequence[Scheme]): The layers; each is set, if only to be empty.
    links (bool): The answers link modifiers.
    asserts (bool): The answers say what is asserted of an entity.
    RETURNS (Counter[str]): How many mentions were found in which way, or dropped and why.
    """
    counts: Counter[str] = Counter()
    by_layer: dict[str, list[_Found]] = {scheme.layer: [] for scheme in layers}
    labels = KnownLabels(layers)
    for start, placement in placements:
        counts.update(placement.counts)
        for layer, found in _spans(doc, start, placement, labels, counts):
            by_layer[layer].append(found)
    kept = []
    for layer, found_there in by_layer.items():
        chosen = {*map(_key, filter_spans([found.span for found in found_there]))}
        once = {_key(found.span): found for found in reversed(found_there)}
        stay = [found for found in once.values() if _key(found.span) in chosen]
        counts[OVERLAP] += len(found_there) - len(stay)
        stay.sort(key=lambda found: found.span.start)
        doc.spans[layer] = SpanGroup(doc, name=layer, spans=[found.span for found in stay])
        kept += stay
    doc.set_ents(list(doc.spans[layers[0].layer]))
    _say(doc, kept, layers, links, asserts)
    return +counts


def _spans(
    doc: Doc, start: int, placement: Placement, labels: KnownLabels, counts: Counter[str]
) -> list[tuple[str, _Found]]:
    """The mentions of a passage on the document's tokens, each with its layer."""
    found: dict[int, tuple[str, _Found]] = {}
    for at, (one, kind) in enumerate(zip(placement.mentions, placement.kinds, strict=True)):
        known = labels.find(one.label)
        if known is None:
            counts[kind] -= 1
            counts[UNKNOWN] += 1
            continue
        scheme, label = known
        ends = start + one.start, start + one.end
        span = doc.char_span(*ends, label=label, span_id=scheme.layer, alignment_mode="expand")
        if span is not None:
            if (span.start_char, span.end_char) != ends:
                # "pain" in "painful" is not what the answer says.
                counts[kind] -= 1
                counts[FUZZY] += 1
                kind = FUZZY
            found[at] = scheme.layer, _Found(span, kind, assertion=one.assertion)
    for at, (_, mention) in found.items():
        heads = placement.mentions[at].heads
        mention.heads = [found[head][1] for head in heads if head in found]
    return list(found.values())


def _key(span: Span) -> tuple[int, int, str]:
    return span.start, span.end, span.label_


def _say(
    doc: Doc, kept: Sequence[_Found], layers: Sequence[Scheme], links: bool, asserts: bool
) -> None:
    stay = {(found.span.id_, *_key(found.span)): found.span for found in kept}
    modifiers: dict[tuple[str, int, int, str], list[Span]] = defaultdict(list)
    legal = {label: set(names) for scheme in layers for label, names in scheme.pairs.items()}
    for found in kept:
        for head in found.heads:
            key = head.span.id_, *_key(head.span)
            if key in stay and found.span.label_ in legal.get(head.span.label_, ()):
                modifiers[key].append(found.span)
    if links:
        said.set_relations(
            doc, [(stay[key], tail, None) for key, tails in modifiers.items() for tail in tails]
        )
    schemes = {scheme.layer: scheme for scheme in layers}
    asked = {label for scheme in layers for label in scheme.labels}
    values = []
    for found in kept:
        scheme = schemes[found.span.id_]
        linked = modifiers[found.span.id_, *_key(found.span)]
        of_span = _of_label(found, scheme)
        pairs = legal.get(found.span.label_, set()) & asked
        if links and pairs:
            triples = ((tail.label_, tail, None) for tail in linked)
            of_span["modifiers"] = said.modifier_values(found.span, triples)
            of_span.update(_linked_assertion(found.span, linked, pairs))
        elif asserts and scheme.entities:
            category = ASSERTED.get(found.assertion or "")
            of_span.update(_judged({category: "llm"} if category else {}, set(ASSERTED.values())))
        values.append((found.span, of_span))
    store.write(doc, values)


def _of_label(found: _Found, scheme: Scheme) -> dict[str, Any]:
    label = scheme.labels[found.span.label_]
    of_span: dict[str, Any] = {"layer": scheme.layer, "match": found.kind}
    if label.semantic_group:
        of_span["semantic_group"] = label.semantic_group
    if label.color:
        of_span["color"] = label.color
    return of_span


def _linked_assertion(span: Span, linked: Sequence[Span], pairs: set[str]) -> dict[str, Any]:
    evidence: dict[str, str] = {}
    for tail in linked:
        if category := LINKED.get(tail.label_):
            evidence.setdefault(category, f"modifier:{tail.label_}")
    may = {LINKED[label] for label in pairs if label in LINKED}
    if not may:
        return {}
    judged = _judged(evidence, may)
    cue = next((tail for tail in linked if tail.label_ == "NEGATION"), None)
    if cue is not None:
        origin = span.start_char
        chars = (cue.start_char - origin, cue.end_char - origin, cue.label_, cue.id_)
        judged["negation_cue"] = chars
    return judged


def _judged(evidence: Mapping[str, str], may: set[str]) -> dict[str, Any]:
    """The attributes by the categories that were found; None for what nobody was asked about."""
    found = attributes(Findings(dict(evidence)), None, {})
    for name in ("negated", "uncertain", "hypothetical", "historical"):
        if name not in may:
            del found[name]
    if not may & {"family", "other"}:
        del found["experiencer"]
    return found
