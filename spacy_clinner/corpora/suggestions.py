"""What a model suggests for notes, as records that tools for annotation take."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from spacy.tokens import Doc, Span

from spacy_clinner.annotation import said
from spacy_clinner.corpora.note import Attribute, Fragment, Note, NoteSpan, Relation
from spacy_clinner.schemes import Scheme

# The one kind of link, from an entity to what modifies it; which pairs are legal a scheme says.
LINK = "modified_by"
ASSERTION = "assertion"
# What is not said of an entity.
PRESENT = said.ASSERTIONS[0]
ASSERTIONS = said.ASSERTIONS[1:]
COLORS = ("#7aecec", "#bfeeb7", "#feca74", "#ff9561", "#aa9cfc", "#c887fb", "#9cc9cc", "#e4e7d2")


@dataclass(frozen=True)
class Suggestion:
    """What a model suggests for a note.

    note (Note): The note, with the model's spans, links and, where one is other than "present",
        assertions.
    tokens (tuple[Fragment, ...]), sentences (tuple[Fragment, ...]): Character offsets.
    expected_errors (float | None): How many of its spans are expected to be wrong or missing.
    """

    note: Note
    tokens: tuple[Fragment, ...]
    sentences: tuple[Fragment, ...]
    expected_errors: float | None = None


@dataclass(frozen=True)
class Palette:
    """What annotators choose from.

    colors (dict[str, str]): By label of a span its colour, as "#rrggbb".
    pairs (dict[str, tuple[str, ...]]): By label of an entity the labels that may modify it.
    modifiers (Collection[str]): The labels of layers that say something of entities.
    """

    colors: Mapping[str, str]
    pairs: Mapping[str, Sequence[str]]
    modifiers: Collection[str] = ()

    @property
    def labels(self) -> list[str]:
        """The labels of spans."""
        return list(self.colors)

    @property
    def judged(self) -> list[str]:
        """The labels of which something is asserted: those that modify nothing."""
        modifiers = {*self.modifiers, *chain.from_iterable(self.pairs.values())}
        return [label for label in self.labels if label not in modifiers]


def palette_of(labels: Mapping[str, Iterable[str]], schemes: Mapping[str, Scheme]) -> Palette:
    """What annotators choose from, of some layers of a model.

    labels (Mapping[str, Iterable[str]]): The labels of each layer.
    schemes (Mapping[str, Scheme]): The schemes of layers that have one.
    RETURNS (Palette): Labels with colours, and legal pairs.
    """
    colors: dict[str, str] = {}
    pairs: dict[str, tuple[str, ...]] = {}
    for layer, names in labels.items():
        scheme = schemes.get(layer)
        for name in names:
            known = scheme.labels.get(name) if scheme else None
            color = known.color if known and known.color else COLORS[len(colors) % len(COLORS)]
            colors.setdefault(name, color)
        for head, tails in (scheme.pairs if scheme else {}).items():
            pairs[head] = tuple(tails)
    known_pairs = {
        head: tuple(tail for tail in tails if tail in colors)
        for head, tails in pairs.items()
        if head in colors
    }
    modifiers = [
        name
        for layer, names in labels.items()
        if layer in schemes and not schemes[layer].entities
        for name in names
    ]
    legal = {head: tails for head, tails in known_pairs.items() if tails}
    return Palette(colors, legal, frozenset(modifiers))


def suggestion_of(
    doc: Doc,
    name: str,
    layers: Collection[str],
    judged: Collection[str],
    expected_errors: float | None = None,
) -> Suggestion:
    """What a pipeline found in a document.

    doc (Doc): The document.
    name (str): The id of the note.
    layers (Collection[str]): The groups of `doc.spans` that are taken.
    judged (Collection[str]): The labels of which an assertion is taken.
    expected_errors (float | None): As `Suggestion` has it.
    RETURNS (Suggestion): The record.
    """
    found = sorted(
        (span for layer in layers for span in doc.spans.get(layer, ())),
        key=lambda span: (span.start_char, span.end_char, span.label_),
    )
    ids: dict[tuple[int, int, str], str] = {}
    for span in found:
        ids.setdefault(_key(span), f"T{len(ids) + 1}")
    spans = tuple(
        NoteSpan(span_id, label, ((start, end),), doc.text[start:end])
        for (start, end, label), span_id in ids.items()
    )
    ends = [(ids.get(_key(h)), ids.get(_key(t))) for h, t, _ in said.get_relations(doc)]
    links = dict.fromkeys((h, t) for h, t in ends if h is not None and t is not None)
    relations = tuple(Relation(f"R{at}", LINK, h, t) for at, (h, t) in enumerate(links, 1))
    values: dict[str, str] = {}
    for span in found:
        value = said.assertion(span).assertion
        if span.label_ in judged and value not in (None, PRESENT):
            values.setdefault(ids[_key(span)], str(value))
    attributes = tuple(
        Attribute(f"A{at}", ASSERTION, target, value)
        for at, (target, value) in enumerate(values.items(), 1)
    )
    sentences = list(doc.sents) if doc.has_annotation("SENT_START") else [doc[:]]
    return Suggestion(
        Note(name, doc.text, spans, relations, attributes),
        tuple((t.idx, t.idx + len(t)) for t in doc if not t.is_space),
        tuple((s.start_char, s.end_char) for s in sentences if s.text.strip()),
        expected_errors,
    )


def _key(span: Span) -> tuple[int, int, str]:
    return span.start_char, span.end_char, span.label_
