"""Documents cut into passages that a model is asked about at once."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from spacy.tokens import Doc, Span

from spacy_clinner.annotation import said, store
from spacy_clinner.annotation.spans import span_key
from spacy_clinner.llm.mentions import Mention, Passage, Place
from spacy_clinner.pipeline.sentences import sentence_starts
from spacy_clinner.pipeline.token_kinds import TokenKinds
from spacy_clinner.schemes import Scheme


@dataclass(frozen=True)
class Cut:
    """A passage of a document.

    start (int): Its offset in the document, in characters.
    passage (Passage): The text, without white space at its ends, and what is annotated in it.
    """

    start: int
    passage: Passage


class Cutter:
    """Cuts documents at the ends of sentences and sections.

    length (int): The most tokens of a passage; a longer sentence is cut where they end.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self._kinds: TokenKinds | None = None

    def cut(self, doc: Doc, layers: Sequence[Scheme] = ()) -> list[Cut]:
        """Cut a document.

        doc (Doc): The document. Without sentences of its own it is cut by those that
            `clinner_sentences` would give it.
        layers (Sequence[Scheme]): The layers whose spans the passages get. None of these spans is
            cut.
        RETURNS (list[Cut]): The passages, in order; none is blank.
        """
        spans = [span for scheme in layers for span in doc.spans.get(scheme.layer, ())]
        cuts = self._cuts(doc, spans)
        kept = []
        for first, behind in pairwise(cuts):
            span = doc[first:behind]
            text = span.text
            if text.strip():
                start = span.start_char + len(text) - len(text.lstrip())
                inside = [one for one in spans if first <= one.start and one.end <= behind]
                kept.append(Cut(start, Passage(text.strip(), _mentions(inside, start, layers))))
        return kept

    def _cuts(self, doc: Doc, spans: Iterable[Span]) -> list[int]:
        """The tokens at which passages begin, and the number of tokens."""
        may = np.ones(len(doc) + 1, dtype=bool)
        for span in spans:
            may[span.start + 1 : span.end] = False
        ends = self._boundaries(doc)
        good = [int(at) for at in np.flatnonzero(ends & may)]
        any_ = [int(at) for at in np.flatnonzero(may)]
        cuts = [0]
        while cuts[-1] + self.length < len(doc):
            cuts.append(_last(good, cuts[-1], self.length) or _next(any_, cuts[-1], self.length))
        return [*cuts, len(doc)] if cuts[-1] < len(doc) else cuts

    def _boundaries(self, doc: Doc) -> np.ndarray:
        """By token, and the end, whether a sentence or a section begins there."""
        starts = np.zeros(len(doc) + 1, dtype=bool)
        if doc.has_annotation("SENT_START"):
            starts[[token.i for token in doc if token.is_sent_start]] = True
        elif len(doc):
            if self._kinds is None or self._kinds.strings is not doc.vocab.strings:
                self._kinds = TokenKinds(doc.vocab.strings)
            starts[:-1] = sentence_starts(doc, self._kinds)
        starts[[section.span.start for section in said.get_sections(doc)]] = True
        return starts


def _last(places: Sequence[int], start: int, length: int) -> int | None:
    """The last place behind `start` and not more than `length` away."""
    at = bisect_right(places, start + length) - 1
    return places[at] if at >= 0 and places[at] > start else None


def _next(places: Sequence[int], start: int, length: int) -> int:
    """As `_last`, or the first place that is farther."""
    found = _last(places, start, length)
    return found or places[bisect_right(places, start + length)]


def _mentions(spans: Iterable[Span], start: int, layers: Sequence[Scheme]) -> tuple[Mention, ...]:
    """The spans of a passage with the links among them."""
    modifiable = {label for scheme in layers for label in scheme.pairs}
    places = {_place(span, start): span for span in spans}
    order = {place: at for at, place in enumerate(sorted(places))}
    heads: dict[Place, set[int]] = {}
    for place, span in places.items():
        for modifier in said.get_modifiers(span):
            tail = _place(modifier.span, start, modifier.label)
            if tail in order:
                heads.setdefault(tail, set()).add(order[place])
    return tuple(
        Mention(
            place.label,
            place.start,
            -place.minus_end,
            tuple(sorted(heads.get(place, ()))),
            None if place.label in modifiable else _assertion(places[place]),
        )
        for place in order
    )


def _place(span: Span, start: int, label: str | None = None) -> Place:
    key = span_key(span)
    return Place(key.start - start, start - key.end, label or key.label)


def _assertion(span: Span) -> str | None:
    """What gold says of an entity that no modifier judges; None for what is simply present."""
    values = store.values(span)
    if values.get("assertion"):
        return None if values["assertion"] == "present" else str(values["assertion"])
    if values.get("uncertain"):
        return "possible"
    return "absent" if values.get("negated") else None
