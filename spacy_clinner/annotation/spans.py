"""Which spans of a document are meant, and what makes a span the same in another document."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from spacy.tokens import Doc, Span

ENTS = "ents"
ALL = "*"
# Among the attributes of a span group: the labels that are annotated, where not all are. There
# they follow the group into DocBin and copies.
LABELS = "labels"


class SpanKey(NamedTuple):
    """What makes a span the same in another document of the text: start and end in characters,
    and its label."""

    start: int
    end: int
    label: str


def span_key(span: Span) -> SpanKey:
    """The key of a span."""
    return SpanKey(span.start_char, span.end_char, span.label_)


def group_of(doc: Doc, key: str) -> Iterable[Span]:
    """The spans that a key names.

    doc (Doc): The document.
    key (str): "ents" for `doc.ents`, any other name for `doc.spans[name]`.
    RETURNS (Iterable[Span]): The spans; none where the document lacks the group.
    """
    found: Iterable[Span] = doc.ents if key == ENTS else doc.spans.get(key, ())
    return found


def annotated_labels(doc: Doc, layer: str) -> frozenset[str] | None:
    """The labels that a document annotates in a layer, where these are not all of them.

    doc (Doc): The document.
    layer (str): The key of a group of `doc.spans`.
    RETURNS (frozenset[str] | None): The labels. What is in no span of the group may be of any
        other label of the layer. None where all are annotated, or the document lacks the group.
    """
    given = doc.spans[layer].attrs.get(LABELS) if layer in doc.spans else None
    return None if given is None else frozenset(given)


def judged(spans: Iterable[Span], reference: Doc, layer: str) -> list[Span]:
    """The spans of which a reference can say whether they are right.

    spans (Iterable[Span]): Spans of a layer, predicted or of the reference.
    reference (Doc): The gold document.
    layer (str): The layer.
    RETURNS (list[Span]): Those with a label that the reference annotates.
    """
    labels = annotated_labels(reference, layer)
    return [span for span in spans if labels is None or span.label_ in labels]


def keys_in(doc: Doc, keys: Iterable[str], without: Iterable[str] = ()) -> list[str]:
    """The keys that a component's setting means in a document.

    doc (Doc): The document.
    keys (Iterable[str]): "ents", names of groups, or "*" for "ents" and every group.
    without (Iterable[str]): Groups that "*" does not stand for.
    RETURNS (list[str]): Each key once; groups that the document lacks are left out.
    """
    wanted = list(keys)
    if ALL in wanted:
        left_out = set(without)
        every = [ENTS, *(name for name in doc.spans if name not in left_out)]
        wanted = [key for name in wanted for key in (every if name == ALL else [name])]
    return [key for key in dict.fromkeys(wanted) if key == ENTS or key in doc.spans]


def select(doc: Doc, keys: Iterable[str], without: Iterable[str] = ()) -> list[Span]:
    """The spans that a component's setting means.

    doc (Doc): The document.
    keys (Iterable[str]), without (Iterable[str]): As `keys_in` takes them.
    RETURNS (list[Span]): Each span once, though several groups hold it.
    """
    spans: dict[tuple[int, int, int, int], Span] = {}
    for key in keys_in(doc, keys, without):
        for span in group_of(doc, key):
            spans[span.start, span.end, span.label, span.id] = span
    return list(spans.values())


def all_spans(doc: Doc) -> Iterator[Span]:
    """The entities of a document and the spans of all its groups."""
    yield from doc.ents
    for group in doc.spans.values():
        yield from group
