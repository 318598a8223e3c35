"""`Note` -> `Doc`: gold spans on token boundaries, and a `Loss` for each that could not stay."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup

from spacy_clinner.annotation import said, store
from spacy_clinner.annotation.spans import LABELS
from spacy_clinner.corpora.checks import SURFACE_DIFFERS, WHITE_SPACE_DIFFERS
from spacy_clinner.corpora.note import Note, NoteSpan, Problem, Relation
from spacy_clinner.corpora.polarity import DOUBT, Chosen, read_assertion, read_polarity
from spacy_clinner.errors import ClinnerError
from spacy_clinner.schemes import Scheme

SNAPPED = "snapped to token boundaries"
TRIMMED = "white space at its ends trimmed"
OVERLAP = "dropped: overlaps a longer span of its layer"
DUPLICATE = "dropped: same offsets and label as another span"
EMPTY = "dropped: no token inside"
FLATTENED = "discontinuous: flattened to its full extent"
ATTRIBUTE = "attribute left out: no place for its value"
RELATION = "relation dropped: an end of it was dropped"
LINK_TWICE = "relation dropped: the same link as another"
SOURCE = "source: "
KEPT = ", kept at its offsets"
Pair = tuple[str, str]


@dataclass(frozen=True)
class Loss:
    """A gold span, relation or note that conversion could not keep exactly as the corpus has it.

    note (str): The note's id. source (str): Its file, with the line where one is known.
    layer (str | None), label (str | None): Of the span; None for a whole note; of a relation
        only the label.
    start (int | None), end (int | None): Offsets in characters, as the corpus has them; None for
        a note or a relation.
    text (str): What the offsets cover, at most 80 characters; of a relation or an attribute, its
        id and what it points to; of a duplicate note, the id of the note that stays.
    reason (str): What became of it, in the words above, several joined by "; "; "source: ..." is
        a fault of the corpus file.
    """

    note: str
    source: str
    layer: str | None
    label: str | None
    start: int | None
    end: int | None
    text: str
    reason: str


@dataclass(frozen=True)
class Placed:
    """A gold span on tokens, with the corpus's own record of it."""

    gold: NoteSpan
    span: Span


class Aligner:
    """Turns notes into docs.

    nlp (Language): The pipeline whose tokenizer to use; its components do not run.
    layers (tuple[Scheme, ...]): The layers that the corpus annotates.
    view (str | None): The view of the schemes to apply.
    annotated (Sequence[str]): The labels that the corpus annotates, as they are in the layers (in
        the view, if there is one); () for all of them. Spans with others are left out.
    RAISES (ClinnerError): A layer stands twice, two share a label or an alias, or a view or a label
        is in none of them.
    """

    def __init__(
        self,
        nlp: Language,
        layers: tuple[Scheme, ...],
        view: str | None = None,
        annotated: Sequence[str] = (),
    ) -> None:
        _check_layers(layers)
        if view and not any(view in scheme.views for scheme in layers):
            raise ClinnerError(
                f"no view {view!r} in the layers {', '.join(s.layer for s in layers)}; "
                f"known views: {', '.join(v for s in layers for v in s.views) or 'none'}."
            )
        self.nlp = nlp
        self.layers = layers
        self.view = view
        self.judged: frozenset[str] | None = None
        names = {scheme.layer: self._names(scheme) for scheme in layers}
        self.annotated = {
            layer: [name for name in annotated if name in known] for layer, known in names.items()
        }
        known = set().union(*names.values())
        empty = [layer for layer, found in self.annotated.items() if not found]
        if annotated and (empty or not known.issuperset(annotated)):
            wrong = [name for name in annotated if name not in known] or [f"none of {empty[0]}"]
            raise ClinnerError(
                f"labels = [...] of the catalog names {wrong[0]}; it must name those labels of "
                f"each layer that are annotated, of these: {', '.join(sorted(known))}."
            )

    def align(self, note: Note) -> tuple[Doc, list[Loss]]:
        """Align one note.

        note (Note): The note.
        RETURNS (tuple[Doc, list[Loss]]): A doc with a span group for every layer (empty where
            there is no mention), `doc.ents` from the first layer, gold attributes and relations;
            and what was lost, at most one loss for a span.
        RAISES (ClinnerError): A label belongs to none of the layers.
        """
        doc = self.nlp.make_doc(note.text)
        schemes = {scheme.layer: scheme for scheme in self.layers}
        by_layer: dict[str, list[Placed]] = {layer: [] for layer in schemes}
        labels: dict[str, str] = {}
        fates: dict[str, list[str]] = {}
        for gold in note.spans:
            layer, label = self._label(note, gold)
            if label is None:
                continue
            labels[gold.id] = label
            placed, fates[gold.id] = _place(doc, gold, label, layer)
            if placed is not None:
                by_layer[layer].append(Placed(gold, placed))
        kept: dict[str, Placed] = {}
        for layer, candidates in by_layer.items():
            chosen, dropped = _without_overlaps(candidates)
            fates.update((gold.id, [reason]) for gold, reason in dropped)
            some = self._annotated(note, schemes[layer])
            attrs = {} if some is None else {LABELS: some}
            spans = [placed.span for placed in chosen]
            doc.spans[layer] = SpanGroup(doc, name=layer, attrs=attrs, spans=spans)
            kept.update((placed.gold.id, placed) for placed in chosen)
        doc.set_ents(list(doc.spans[self.layers[0].layer]))
        doc.user_data["note_id"] = note.id
        losses = list(self._losses(note, fates, kept))
        losses.extend(self._set_gold_values(doc, note, kept, labels))
        return doc, losses

    def labels_judged(self, notes: Iterable[Note]) -> frozenset[str]:
        """The labels of spans for which annotators chose an assertion.

        notes (Iterable[Note]): The notes of a corpus: as `judged` of the aligner, the result says
            of which spans "present" is meant where nothing was chosen. Unset, each note says it
            for itself.
        RETURNS (frozenset[str]): The labels, as they are in the layers.
        """
        found: set[str | None] = set()
        for note in notes:
            triggers = {event.id: event.trigger for event in note.events}
            said = (a.target for a in note.attributes if read_assertion(a) is not None)
            targets = {triggers.get(target, target) for target in said}
            found.update(self._label(note, gold)[1] for gold in note.spans if gold.id in targets)
        return frozenset(label for label in found if label is not None)

    def left_out(self, note: Note) -> int:
        """How many spans of a note the view, the scheme or the catalog's labels leave out."""
        return sum(self._label(note, gold)[1] is None for gold in note.spans)

    def _names(self, scheme: Scheme) -> set[str]:
        view = scheme.views.get(self.view) if self.view else None
        return set(scheme.labels if view is None else view.values())

    def _annotated(self, note: Note, scheme: Scheme) -> list[str] | None:
        """The labels of a layer that a note annotates; None for all."""
        if note.labels is None:
            return self.annotated[scheme.layer] or None
        view = scheme.views.get(self.view) if self.view else None
        names = [scheme.written[label] for label in note.labels if label in scheme.written]
        return names if view is None else [view[name] for name in names if name in view]

    def _label(self, note: Note, gold: NoteSpan) -> tuple[str, str | None]:
        for scheme in self.layers:
            found = scheme.written.get(gold.label)
            if found is not None:
                view = scheme.views.get(self.view) if self.view else None
                name = found if view is None else view.get(found)
                some = self._annotated(note, scheme)
                return scheme.layer, name if some is None or name in some else None
            if gold.label in scheme.left_out:
                return scheme.layer, None
        known = ", ".join(label for scheme in self.layers for label in scheme.labels)
        raise ClinnerError(
            f"{note.source or note.id}: {gold.id} at {gold.start}-{gold.end} has the unknown "
            f"label {gold.label!r}. Known in these layers: {known}. Add it, or an alias, to the "
            f"scheme file, or name the right layers in the catalog."
        )

    def _losses(
        self, note: Note, fates: dict[str, list[str]], kept: dict[str, Placed]
    ) -> Iterator[Loss]:
        """One loss for a span, with what became of it; those of the note as a whole first."""
        faults: dict[NoteSpan, list[Problem]] = defaultdict(list)
        for fault in note.problems:
            if fault.span is None:
                reason = SOURCE + fault.reason
                yield Loss(note.id, fault.where, None, None, None, None, "", reason)
            else:
                faults[fault.span].append(fault)
        for gold in dict.fromkeys((*note.spans, *faults)):
            reasons = list(fates.get(gold.id, ()))
            # What a dropped span was otherwise does not matter any more.
            if gold.id in kept or gold.id not in fates:
                for fault in faults[gold]:
                    surface = fault.reason in (SURFACE_DIFFERS, WHITE_SPACE_DIFFERS)
                    end = KEPT if surface and gold.id in kept else ""
                    reasons.append(f"{SOURCE}{fault.reason}{end}")
            if reasons:
                source = faults[gold][0].where if faults[gold] else note.source
                layer, _ = self._label(note, gold)
                text = note.text[gold.start : gold.end][:80]
                place = (gold.start, gold.end, text)
                yield Loss(note.id, source, layer, gold.label, *place, "; ".join(reasons))

    def _set_gold_values(
        self, doc: Doc, note: Note, kept: dict[str, Placed], labels: dict[str, str]
    ) -> list[Loss]:
        """Store relations, modifiers, flags and codes; RETURNS the relations that were lost."""
        triggers = {event.id: event.trigger for event in note.events}
        pairs = self._pairs(note)
        links: dict[Span, list[Span]] = defaultdict(list)
        losses = []
        for relation in note.relations:
            ends = _ends(relation, triggers, labels, pairs)
            if ends is None:
                continue
            reason = RELATION
            if kept.keys() >= set(ends):
                head, tail = (kept[end].span for end in ends)
                reason = LINK_TWICE if tail in links[head] else ""
            if not reason:
                links[head].append(tail)
            else:
                text = f"{relation.id}: {' '.join(ends)}"
                where = (note.id, note.source, None, relation.label, None, None, text)
                losses.append(Loss(*where, reason))
        # Unset says "not annotated", which no relation at all would not.
        if pairs:
            found = ((h, t, None) for h, tails in links.items() for t in tails)
            said.set_relations(doc, found)
        judged = self.labels_judged([note]) if self.judged is None else self.judged
        chosen = Chosen(judged)
        for attribute in note.attributes:
            target = triggers.get(attribute.target, attribute.target)
            polarity, assertion = read_polarity(attribute), read_assertion(attribute)
            if polarity is not None:
                chosen.polarities[target] = polarity
            if assertion is not None:
                chosen.assertions[target] = assertion
            elif polarity is None and target in labels:
                chosen.unread.add(target)
                text = f"{attribute.id}: {attribute.target}"
                where = (note.id, note.source, None, attribute.label, None, None, text)
                losses.append(Loss(*where, ATTRIBUTE))
        asserting = {scheme.layer for scheme in self.layers if scheme.entities}
        store.write(
            doc,
            (
                (of.span, _gold_values(of, links.get(of.span, []), chosen, pairs, asserting))
                for of in kept.values()
            ),
        )
        return losses

    def _pairs(self, note: Note) -> set[Pair]:
        """The labels of entity and modifier between which a note annotates links."""
        if not note.linked:
            return set()
        annotated: set[str] = set()
        for scheme in self.layers:
            some = self._annotated(note, scheme)
            annotated.update(self._names(scheme) if some is None else some)
        pairs = ((e, m) for scheme in self.layers for e, ms in scheme.pairs.items() for m in ms)
        # What is not annotated cannot be said to be missing.
        return {pair for pair in pairs if annotated.issuperset(pair)}


def _check_layers(layers: Sequence[Scheme]) -> None:
    """Stop where it cannot be told whose a label is: all its spans would go to the first layer."""
    holders: dict[str, str] = {}
    for scheme in layers:
        if sum(scheme.layer == other.layer for other in layers) > 1:
            raise ClinnerError(
                f"layers = [...] of the catalog names the layer {scheme.layer} twice. Leave one of "
                f"its schemes out."
            )
        for spelling in scheme.written:
            holder = holders.setdefault(spelling, scheme.layer)
            if holder != scheme.layer:
                raise ClinnerError(
                    f"layers = [...] of the catalog: {spelling!r} is a label or an alias of both "
                    f"{holder} and {scheme.layer}, so whose its spans are cannot be told. Rename "
                    f"it in your scheme and in the corpus, or leave out one of the layers."
                )


def _gold_values(
    placed: Placed,
    tails: list[Span],
    chosen: Chosen,
    pairs: set[Pair],
    asserting: Collection[str],
) -> dict[str, Any]:
    """What gold says of a span, as `store.write` takes it."""
    span, polarity = placed.span, chosen.polarities.get(placed.gold.id)
    said_of: dict[str, Any] = {"layer": span.id_}
    if placed.gold.codes:
        said_of["codes"] = list(placed.gold.codes)
    linked = {tail.label_ for tail in tails}
    # A value is stored for every span that could have another, so that both count.
    judged = span.id_ in asserting and chosen.judges(placed.gold.id, span.label_)
    known = judged or polarity is not None
    if known or (span.label_, "NEGATION") in pairs:
        said_of["negated"] = "NEGATION" in linked or polarity == "NEG"
    if known or (span.label_, "UNCERTAIN") in pairs:
        said_of["uncertain"] = "UNCERTAIN" in linked or polarity in DOUBT
    if judged and chosen.judged:
        linked_says = {"uncertain": "possible", "negated": "absent"}
        unsaid = next((value for flag, value in linked_says.items() if said_of[flag]), "present")
        said_of["assertion"] = chosen.assertions.get(placed.gold.id, unsaid)
    if (span.label_, "SUBJECT") in pairs:
        said_of["experiencer"] = "family" if "SUBJECT" in linked else "patient"
    if tails:
        links = ((tail.label_, tail, None) for tail in tails)
        said_of["modifiers"] = said.modifier_values(span, links)
    return said_of


def _ends(
    relation: Relation, triggers: dict[str, str], labels: dict[str, str], pairs: set[Pair]
) -> tuple[str, str] | None:
    """The span ids of entity and modifier, None where no scheme allows the pair.

    n2c2 names the modifier first (`Strength-Drug Arg1:T2 Arg2:T1`), MTSamples the entity.
    """
    first = triggers.get(relation.head, relation.head)
    second = triggers.get(relation.tail, relation.tail)
    for head, tail in ((first, second), (second, first)):
        if (labels.get(head, ""), labels.get(tail, "")) in pairs:
            return head, tail
    return None


def _place(doc: Doc, gold: NoteSpan, label: str, layer: str) -> tuple[Span | None, list[str]]:
    """The span on tokens (None when there is none) and why it is not exactly the gold one."""
    gaps = [doc.text[a:b] for (_, a), (b, _) in pairwise(gold.fragments)]
    reasons = [FLATTENED] if any(gap.strip() for gap in gaps) else []
    span = doc.char_span(gold.start, gold.end, label=label, span_id=layer)
    if span is None:
        span = doc.char_span(
            gold.start, gold.end, label=label, span_id=layer, alignment_mode="expand"
        )
        reasons.append(SNAPPED)
    tokens = [token.i for token in span or () if not token.is_space]
    if span is None or not tokens:
        return None, [EMPTY]
    trimmed = Span(doc, tokens[0], tokens[-1] + 1, label=label, span_id=layer)
    if len(trimmed) < len(span) and SNAPPED not in reasons:
        reasons.append(TRIMMED)
    return trimmed, reasons


def _without_overlaps(
    candidates: list[Placed],
) -> tuple[list[Placed], list[tuple[NoteSpan, str]]]:
    """Of overlapping spans the longest stays, and of equally long ones the first."""
    chosen: dict[int, Placed] = {}
    dropped = []
    order = sorted(candidates, key=lambda placed: (-len(placed.span), placed.span.start))
    for placed in order:
        span = placed.span
        key = (span.start, span.end, span.label)
        rivals = [chosen[i] for i in range(span.start, span.end) if i in chosen]
        if not rivals:
            chosen.update(dict.fromkeys(range(span.start, span.end), placed))
        elif any((r.span.start, r.span.end, r.span.label) == key for r in rivals):
            dropped.append((placed.gold, DUPLICATE))
        else:
            dropped.append((placed.gold, OVERLAP))
    kept = {placed.gold.id: placed for placed in chosen.values()}
    return sorted(kept.values(), key=lambda placed: placed.span.start), dropped
