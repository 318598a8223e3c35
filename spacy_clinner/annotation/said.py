"""What is said of a span or a document, with spans in place of offsets: read and set."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from spacy.tokens import Doc, Span

from spacy_clinner import schemes
from spacy_clinner.annotation import store

ASSERTIONS = (
    "present",
    "absent",
    "possible",
    "conditional",
    "hypothetical",
    "associated_with_someone_else",
)
EXPERIENCERS = ("patient", "family", "other")
CHOICES = {"assertion": ASSERTIONS, "experiencer": EXPERIENCERS}


class Modifier(NamedTuple):
    """A modifier linked to an entity: its label, span and the link's confidence (or None)."""

    label: str
    span: Span
    confidence: float | None


class Relation(NamedTuple):
    """A link between an entity (`head`) and a modifier (`tail`), with its confidence (or None)."""

    head: Span
    tail: Span
    confidence: float | None


class Section(NamedTuple):
    """A section: normalised title (None before the first header), header span (None likewise, or
    where the header was cut off) and the whole section's span, header included."""

    title: str | None
    header: Span | None
    span: Span

    def __repr__(self) -> str:
        # A span would tell all its words to whatever message quotes a section.
        return f"Section({self.title!r}, tokens {self.span.start} to {self.span.end})"


@dataclass(frozen=True, slots=True)
class Assertion:
    """What is asserted of a span. Each value is None where nothing judged it.

    assertion (str | None): "present", "absent", "possible", "conditional", "hypothetical" or
        "associated_with_someone_else".
    negated, uncertain, hypothetical, historical (bool | None): Each on its own.
    experiencer (str | None): "patient", "family" or "other".
    negation_cue (Span | None): The words that negate it; None also where they were cut off.
    evidence (tuple[str, ...]): The rules, sections and modifiers that decided.
    """

    assertion: str | None = None
    negated: bool | None = None
    uncertain: bool | None = None
    hypothetical: bool | None = None
    historical: bool | None = None
    experiencer: str | None = None
    negation_cue: Span | None = None
    evidence: tuple[str, ...] = ()


def assertion(span: Span) -> Assertion:
    """What is asserted of a span: the typed form of `span._.assertion` and its like.

    span (Span): The span.
    RETURNS (Assertion): All None where nothing judged the span.
    """
    said = store.values(span)
    return Assertion(
        said.get("assertion"),
        said.get("negated"),
        said.get("uncertain"),
        said.get("hypothetical"),
        said.get("historical"),
        said.get("experiencer"),
        get_negation_cue(span),
        get_evidence(span),
    )


def get_value(span: Span, name: str) -> Any:
    """A value that is plain data; None where nobody set it."""
    return store.values(span).get(name)


def set_value(span: Span, value: Any, name: str) -> None:
    """Set a value that is plain data.

    RAISES (ValueError): It is none of those that the name can have.
    """
    if value is not None and name in CHOICES and value not in CHOICES[name]:
        choices = ", ".join(CHOICES[name])
        raise ValueError(f"Span._.{name} must be None or one of {choices}; got {value!r}.")
    store.set_values(span, **{name: value})


def get_negation_cue(span: Span) -> Span | None:
    """The words that negate a span."""
    cue = store.values(span).get("negation_cue")
    return None if cue is None else _span(span.doc, cue, span.start_char)


def set_negation_cue(span: Span, cue: Span | None) -> None:
    store.set_values(span, negation_cue=None if cue is None else _chars(cue, span.start_char))


def get_evidence(span: Span) -> tuple[str, ...]:
    """The rules, sections and modifiers that decided what is asserted of a span."""
    return tuple(store.values(span).get("assertion_evidence") or ())


def set_evidence(span: Span, evidence: Iterable[str]) -> None:
    store.set_values(span, assertion_evidence=list(evidence))


def get_modifiers(span: Span) -> tuple[Modifier, ...]:
    """The modifiers linked to a span; none that are no whole tokens any more."""
    found = []
    for chars, confidence in store.values(span).get("modifiers") or ():
        modifier = _span(span.doc, chars, span.start_char)
        if modifier is not None:
            found.append(Modifier(chars[2], modifier, confidence))
    return tuple(found)


def set_modifiers(span: Span, modifiers: Iterable[tuple[str, Span, float | None]]) -> None:
    store.set_values(span, modifiers=modifier_values(span, modifiers))


def modifier_values(
    span: Span, modifiers: Iterable[tuple[str, Span, float | None]]
) -> list[tuple[Any, ...]]:
    """Modifiers as `store.write` takes them.

    span (Span): The entity.
    modifiers (Iterable[tuple[str, Span, float | None]]): Label, span, confidence.
    RETURNS (list[tuple[Any, ...]]): Plain data.
    """
    stored = []
    for label, modifier, confidence in modifiers:
        start, end, _, span_id = _chars(modifier, span.start_char)
        stored.append(((start, end, label, span_id), confidence))
    return stored


def get_semantic_group(span: Span) -> str | None:
    """The UMLS semantic group of a span's label, as its model's scheme states it."""
    said = store.values(span)
    if "semantic_group" in said:
        group: str | None = said["semantic_group"]
        return group
    return schemes.semantic_group(span.label_, said.get("layer") or span.id_ or None)


def has_relations(doc: Doc) -> bool:
    """Whether relations were set on a document, if only to say that there are none."""
    sheet = store.sheet_of(doc)
    return sheet is not None and "relations" in sheet


def get_relations(doc: Doc) -> tuple[Relation, ...]:
    """The links of a document."""
    sheet = store.sheet_of(doc)
    found = []
    for head, tail, confidence in () if sheet is None else sheet.get("relations", ()):
        ends = _span(doc, head), _span(doc, tail)
        if ends[0] is not None and ends[1] is not None:
            found.append(Relation(ends[0], ends[1], confidence))
    return tuple(found)


def set_relations(doc: Doc, relations: Iterable[tuple[Span, Span, float | None]]) -> None:
    store.set_relations(doc, [(_chars(h), _chars(t), score) for h, t, score in relations])


def get_sections(doc: Doc) -> tuple[Section, ...]:
    """The sections of a document."""
    sheet = store.sheet_of(doc)
    sections = []
    for title, header, start, end in () if sheet is None else sheet.get("sections", ()):
        span = doc.char_span(start, end, alignment_mode="expand")
        if span is not None:
            head = None if header is None else doc.char_span(*header)
            sections.append(Section(title, head, span))
    return tuple(sections)


def set_sections(doc: Doc, sections: Iterable[tuple[str | None, Span | None, Span]]) -> None:
    stored = [
        (
            title,
            None if header is None else (header.start_char, header.end_char),
            span.start_char,
            span.end_char,
        )
        for title, header, span in sections
    ]
    store.set_sections(doc, stored)


def _chars(span: Span, origin: int = 0) -> tuple[int, int, str, str]:
    return span.start_char - origin, span.end_char - origin, span.label_, span.id_


def _span(doc: Doc, chars: Sequence[Any], origin: int = 0) -> Span | None:
    """The span at stored offsets; None where tokens were merged across them."""
    start, end, label, span_id = chars
    if start + origin < 0:
        return None
    found: Span | None = doc.char_span(start + origin, end + origin, label=label, span_id=span_id)
    return found
