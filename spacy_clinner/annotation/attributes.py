"""The only place that registers `Doc` and `Span` extensions.

Spans with the same offsets share spaCy's `Span._` storage, and `Span` objects in `user_data` do
not serialise. So values are kept as plain data in one entry, `doc.user_data["clinner"]`, keyed by
start, end, label and span id (the layer, on spans that clinner made); the extensions are getters
and setters over it. The entry survives pickle, `DocBin(store_user_data=True)`, `nlp.pipe` with
several processes, `doc.copy()` and `nlp.memory_zone()`.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from spacy.glossary import GLOSSARY
from spacy.tokens import Doc, Span

from spacy_clinner import schemes

STORE = "clinner"
ASSERTIONS = (
    "present",
    "absent",
    "possible",
    "conditional",
    "hypothetical",
    "associated_with_someone_else",
)
EXPERIENCERS = ("patient", "family", "other")
DEFAULTS: dict[str, Any] = {
    "confidence": None,
    "layer": None,
    "negated": False,
    "assertion": "present",
    "uncertain": False,
    "hypothetical": False,
    "historical": False,
    "experiencer": "patient",
    "section": None,
}
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
    """A section: normalised title (None before the first header), header span (None likewise)
    and the whole section's span, header included."""

    title: str | None
    header: Span | None
    span: Span


def span_key(span: Span) -> str:
    """The key of a span's record: offsets in characters, label and span id."""
    return f"{span.start_char}:{span.end_char}:{span.label_}:{span.id_}"


def _store(doc: Doc) -> dict[str, Any]:
    return doc.user_data.setdefault(STORE, {"spans": {}})  # type: ignore[no-any-return]


def record(span: Span) -> dict[str, Any]:
    """What is stored for a span, as plain data; empty when nothing is."""
    store = span.doc.user_data.get(STORE)
    found: dict[str, Any] = {} if store is None else store["spans"].get(span_key(span), {})
    return found


def set_values(span: Span, **values: Any) -> None:
    """Store plain values for a span; merges into what is there.

    span (Span): The span; its offsets, label and id name the record.
    values: Names of the extensions below to plain data (no spaCy objects).
    """
    _store(span.doc)["spans"].setdefault(span_key(span), {}).update(values)


def get_plain(span: Span, name: str) -> Any:
    return record(span).get(name, DEFAULTS[name])


def set_plain(span: Span, value: Any, name: str) -> None:
    if name in CHOICES and value not in CHOICES[name]:
        choices = ", ".join(CHOICES[name])
        raise ValueError(f"Span._.{name} must be one of {choices}; got {value!r}.")
    set_values(span, **{name: value})


def _chars(span: Span) -> list[Any]:
    return [span.start_char, span.end_char, span.label_, span.id_]


def _span(doc: Doc, chars: list[Any]) -> Span:
    start, end, label, span_id = chars
    found = doc.char_span(start, end, label=label, span_id=span_id, alignment_mode="expand")
    assert found is not None
    return found


def get_negation_cue(span: Span) -> Span | None:
    cue = record(span).get("negation_cue")
    return None if cue is None else _span(span.doc, cue)


def set_negation_cue(span: Span, cue: Span | None) -> None:
    set_values(span, negation_cue=None if cue is None else _chars(cue))


def get_evidence(span: Span) -> tuple[str, ...]:
    return tuple(record(span).get("assertion_evidence", ()))


def set_evidence(span: Span, evidence: Iterable[str]) -> None:
    set_values(span, assertion_evidence=list(evidence))


def get_modifiers(span: Span) -> tuple[Modifier, ...]:
    stored = record(span).get("modifiers", ())
    return tuple(Modifier(chars[2], _span(span.doc, chars), score) for chars, score in stored)


def set_modifiers(span: Span, modifiers: Iterable[tuple[str, Span, float | None]]) -> None:
    stored = []
    for label, modifier, confidence in modifiers:
        start, end, _, span_id = _chars(modifier)
        stored.append([[start, end, label, span_id], confidence])
    set_values(span, modifiers=stored)


def get_semantic_group(span: Span) -> str | None:
    return schemes.semantic_group(span.label_, record(span).get("layer"))


def get_relations(doc: Doc) -> tuple[Relation, ...]:
    stored = doc.user_data.get(STORE, {}).get("relations", ())
    return tuple(Relation(_span(doc, h), _span(doc, t), score) for h, t, score in stored)


def set_relations(doc: Doc, relations: Iterable[tuple[Span, Span, float | None]]) -> None:
    _store(doc)["relations"] = [[_chars(h), _chars(t), score] for h, t, score in relations]


def get_sections(doc: Doc) -> tuple[Section, ...]:
    sections = []
    for title, header, span in doc.user_data.get(STORE, {}).get("sections", ()):
        head = None if header is None else _span(doc, header)
        sections.append(Section(title, head, _span(doc, span)))
    return tuple(sections)


def set_sections(doc: Doc, sections: Iterable[tuple[str | None, Span | None, Span]]) -> None:
    _store(doc)["sections"] = [
        [title, None if header is None else _chars(header), _chars(span)]
        for title, header, span in sections
    ]


def register() -> None:
    """Register every extension of clinner, and its labels' descriptions for `spacy.explain`.

    Safe to call again; importing this module calls it.
    """
    if Span.has_extension("assertion_evidence"):
        return
    for name in DEFAULTS:
        # Not closures: with the start method "spawn", nlp.pipe pickles the extensions.
        getter, setter = partial(get_plain, name=name), partial(set_plain, name=name)
        Span.set_extension(name, getter=getter, setter=setter, force=True)
    Span.set_extension("negation_cue", getter=get_negation_cue, setter=set_negation_cue, force=True)
    Span.set_extension("assertion_evidence", getter=get_evidence, setter=set_evidence, force=True)
    Span.set_extension("modifiers", getter=get_modifiers, setter=set_modifiers, force=True)
    Span.set_extension("semantic_group", getter=get_semantic_group, force=True)
    for scheme in map(schemes.load, schemes.names()):
        for label in scheme.labels.values():
            GLOSSARY.setdefault(label.name, label.description)
    Doc.set_extension("relations", getter=get_relations, setter=set_relations, force=True)
    Doc.set_extension("sections", getter=get_sections, setter=set_sections, force=True)


register()
