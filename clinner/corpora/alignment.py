"""`Note` -> `Doc`: gold spans on token boundaries, and a `Loss` for each that could not stay."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from spacy.language import Language
from spacy.tokens import Doc, Span

from clinner.corpora.note import Note, NoteSpan
from clinner.errors import ClinnerError
from clinner.pipeline import attributes
from clinner.schemes import Scheme

SNAPPED = "snapped to token boundaries"
TRIMMED = "white space at its ends trimmed"
OVERLAP = "dropped: overlaps a longer span of its layer"
DUPLICATE = "dropped: same offsets and label as another span"
EMPTY = "dropped: no token inside"
FLATTENED = "discontinuous: flattened to its full extent"
SOURCE = "source: "
NOTE = "duplicate note"
SCORED_FIRST = ("test", "dev", "train")
# MACCROBAT's values of POLARITY that are neither yes nor no.
DOUBT = ("UNCERTAIN", "MAYBE_POS", "MAYBE_NEG")


@dataclass(frozen=True)
class Loss:
    """A gold span (or note) that conversion could not keep exactly as the corpus has it.

    note (str): The note's id. source (str): Its file, with the line where one is known.
    layer (str | None), label (str | None): Of the span; None for a whole note.
    start (int | None), end (int | None): Offsets in characters, as the corpus has them.
    text (str): What the offsets cover, at most 80 characters; of a duplicate, the id of the note
        that stays.
    reason (str): One of the reasons above; "source: ..." is a fault of the corpus file.
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
    """

    def __init__(self, nlp: Language, layers: tuple[Scheme, ...], view: str | None = None) -> None:
        if view and not any(view in scheme.views for scheme in layers):
            raise ClinnerError(
                f"no view {view!r} in the layers {', '.join(s.layer for s in layers)}; "
                f"known views: {', '.join(v for s in layers for v in s.views) or 'none'}."
            )
        self.nlp = nlp
        self.layers = layers
        self.view = view

    def align(self, note: Note) -> tuple[Doc, list[Loss]]:
        """Align one note.

        note (Note): The note.
        RETURNS (tuple[Doc, list[Loss]]): A doc with a span group for every layer (empty where
            there is no mention), `doc.ents` from the first layer, gold attributes and relations;
            and what was lost.
        RAISES (ClinnerError): A label belongs to none of the layers.
        """
        doc = self.nlp.make_doc(note.text)
        losses = list(self._source_faults(note))
        by_layer: dict[str, list[Placed]] = {scheme.layer: [] for scheme in self.layers}
        for gold in note.spans:
            layer, label = self._label(note, gold)
            if label is None:
                continue
            placed, reasons = _place(doc, gold, label, layer)
            losses.extend(_loss(note, gold, layer, reason) for reason in reasons)
            if placed is not None:
                by_layer[layer].append(Placed(gold, placed))
        kept: dict[str, Span] = {}
        for layer, candidates in by_layer.items():
            chosen, dropped = _without_overlaps(candidates)
            losses.extend(_loss(note, gold, layer, reason) for gold, reason in dropped)
            doc.spans[layer] = [placed.span for placed in chosen]
            kept.update((placed.gold.id, placed.span) for placed in chosen)
        doc.set_ents(list(doc.spans[self.layers[0].layer]))
        doc.user_data["note_id"] = note.id
        self._set_gold_values(doc, note, kept)
        return doc, losses

    def _label(self, note: Note, gold: NoteSpan) -> tuple[str, str | None]:
        for scheme in self.layers:
            found = scheme.written.get(gold.label)
            if found is not None:
                view = scheme.views.get(self.view) if self.view else None
                return scheme.layer, found if view is None else view.get(found)
        known = ", ".join(label for scheme in self.layers for label in scheme.labels)
        raise ClinnerError(
            f"{note.source or note.id}: {gold.id} at {gold.start}-{gold.end} has the unknown "
            f"label {gold.label!r}. Known in these layers: {known}. Add it, or an alias, to the "
            f"scheme file, or name the right layers in the catalog."
        )

    def _source_faults(self, note: Note) -> Iterator[Loss]:
        for fault in note.problems:
            reason = SOURCE + fault.reason
            if fault.span is None:
                yield Loss(note.id, fault.where, None, None, None, None, "", reason)
            else:
                layer, _ = self._label(note, fault.span)
                yield _loss(note, fault.span, layer, reason, fault.where)

    def _set_gold_values(self, doc: Doc, note: Note, kept: dict[str, Span]) -> None:
        triggers = {event.id: event.trigger for event in note.events}
        links = defaultdict(list)
        for relation in note.relations:
            head = kept.get(triggers.get(relation.head, relation.head))
            tail = kept.get(triggers.get(relation.tail, relation.tail))
            if head is not None and tail is not None and self._may_have(head, tail.label_):
                links[head].append(tail)
        attributes.set_relations(doc, ((h, t, None) for h, tails in links.items() for t in tails))
        polarity = {
            triggers.get(attribute.target, attribute.target): attribute.value or "NEG"
            for attribute in note.attributes
            if attribute.label.lower() in ("polarity", "negation")
        }
        for gold_id, span in kept.items():
            attributes.set_values(span, layer=span.id_)
            linked = {tail.label_ for tail in links.get(span, ())}
            # A value is stored for every span that could have another, so that both count.
            if polarity or self._may_have(span, "NEGATION"):
                negated = "NEGATION" in linked or polarity.get(gold_id) == "NEG"
                attributes.set_values(span, negated=negated)
            if polarity or self._may_have(span, "UNCERTAIN"):
                uncertain = "UNCERTAIN" in linked or polarity.get(gold_id) in DOUBT
                attributes.set_values(span, uncertain=uncertain)
            if self._may_have(span, "SUBJECT"):
                experiencer = "family" if "SUBJECT" in linked else "patient"
                attributes.set_values(span, experiencer=experiencer)
        for head, tails in links.items():
            attributes.set_modifiers(head, ((tail.label_, tail, None) for tail in tails))

    def _may_have(self, head: Span, modifier: str) -> bool:
        return any(modifier in s.pairs.get(head.label_, ()) for s in self.layers)


def _loss(note: Note, gold: NoteSpan, layer: str, reason: str, where: str | None = None) -> Loss:
    text = note.text[gold.start : gold.end][:80]
    source = where or note.source
    return Loss(note.id, source, layer, gold.label, gold.start, gold.end, text, reason)


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


def drop_duplicates(
    notes: Iterable[tuple[str, Note]], losses: list[Loss]
) -> Iterator[tuple[str, Note]]:
    """Each text once; texts with the same letters and digits are the same (MTSamples holds
    tokenised copies of four of its notes, two of them in the other split).

    A text that stands in two splits stays in test rather than dev, and in dev rather than train:
    what is scored must not have been trained on, and must not shrink.

    notes (Iterable[tuple[str, Note]]): Split and note.
    losses (list[Loss]): A line is appended for every note left out.
    YIELDS (tuple[str, Note]): Split and note, in the given order.
    """
    given = list(notes)
    texts = ["".join(filter(str.isalnum, note.text.lower())) for _, note in given]
    first: dict[str, int] = {}
    for at in sorted(range(len(given)), key=lambda at: SCORED_FIRST.index(given[at][0])):
        first.setdefault(texts[at], at)
    for at, (split, note) in enumerate(given):
        kept_split, kept = given[first[texts[at]]]
        if first[texts[at]] == at:
            yield split, note
        else:
            reason = f"{NOTE}: left out of {split}, same text as one in {kept_split}"
            losses.append(Loss(note.id, note.source, None, None, None, None, kept.id, reason))
