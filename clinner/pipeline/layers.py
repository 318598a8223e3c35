"""Layers as arrays: the tokens of a batch laid end to end, and the gold tags over them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import filter_spans

from clinner.architectures.decoding import SpanArrays

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MISSING = -1


@dataclass(frozen=True)
class TokenBatch:
    """The tokens that carry tags, of all documents of a batch laid end to end.

    Whitespace tokens carry none: a span runs across a line break as if it were not there, and
    can neither begin nor end with one.

    kept (Bools): Which of all tokens carry tags; shape (all tokens,).
    doc (Ints): The document of each kept token, shape (kept tokens,).
    token (Ints): Its offset in that document.
    offsets (Ints): Where each document starts among all tokens, shape (documents + 1,).
    """

    kept: Bools
    doc: Ints
    token: Ints
    offsets: Ints

    @classmethod
    def of(cls, docs: Sequence[Doc]) -> "TokenBatch":
        """Lay the documents' tokens end to end."""
        lengths = np.array([len(doc) for doc in docs], dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        spaces = [doc.to_array("IS_SPACE") for doc in docs if len(doc)]
        kept = np.concatenate(spaces) == 0 if spaces else np.zeros(0, dtype=bool)
        doc = np.repeat(np.arange(len(docs)), lengths)
        token = np.arange(len(kept)) - offsets[doc]
        return cls(kept, doc[kept], token[kept], offsets)

    def __len__(self) -> int:
        return len(self.doc)

    @property
    def starts(self) -> Bools:
        """Which kept tokens are the first of their document."""
        starts = np.ones(len(self), dtype=bool)
        starts[1:] = self.doc[1:] != self.doc[:-1]
        return starts

    def to_kept(self, doc: Ints, token: Ints) -> Ints:
        """The number of kept tokens before each of the given tokens."""
        before = np.concatenate([[0], np.cumsum(self.kept)])
        return before[self.offsets[doc] + token]  # type: ignore[no-any-return]

    def locate(self, spans: SpanArrays) -> tuple[Ints, Ints, Ints]:
        """Where spans over kept tokens stand: document, first token, end token (exclusive)."""
        return (
            self.doc[spans.start],
            self.token[spans.start],
            self.token[spans.end - 1] + 1,
        )


class GoldSpan(NamedTuple):
    """A gold span over predicted tokens; `label` is None where the tokens cannot express it."""

    doc: int
    start: int
    end: int
    label: str | None


def gold_tags(
    examples: Sequence[Example], batch: TokenBatch, labels: dict[str, list[str]]
) -> dict[str, Ints]:
    """The gold tags of a batch.

    examples (Sequence[Example]): The examples; a layer is annotated if `layer in reference.spans`.
    batch (TokenBatch): Their predicted documents.
    labels (Dict[str, List[str]]): The labels of each layer.
    RETURNS (Dict[str, Ints]): For each layer that some reference annotates, the tag of each kept
        token: 0 is O, then B-1 .. B-n, I-1 .. I-n; MISSING where the layer is not annotated, the
        label unknown, or the span's ends fall inside a token.
    """
    tags = {}
    for layer, names in labels.items():
        annotated = np.array([layer in example.reference.spans for example in examples], dtype=bool)
        if annotated.any():
            tags[layer] = np.where(annotated[batch.doc], 0, MISSING)
            spans = [span for doc in np.flatnonzero(annotated).tolist()
                     for span in _gold_spans(doc, examples[doc], layer)]  # fmt: skip
            _fill(tags[layer], spans, batch, names)
    return tags


def _fill(tags: Ints, spans: list[GoldSpan], batch: TokenBatch, names: list[str]) -> None:
    if not spans:
        return
    number = {name: at for at, name in enumerate(names)}
    columns = [(s.doc, s.start, s.end, number.get(s.label or "", MISSING)) for s in spans]
    doc, start, end, label = np.array(columns, dtype=np.int64).T
    start, end = batch.to_kept(doc, start), batch.to_kept(doc, end)
    visible = end > start
    start, label, lengths = start[visible], label[visible], (end - start)[visible]
    offsets = np.cumsum(lengths) - lengths
    tokens = np.repeat(start - offsets, lengths) + np.arange(lengths.sum())
    known = label != MISSING
    tags[tokens] = np.repeat(np.where(known, 1 + len(names) + label, MISSING), lengths)
    tags[start] = np.where(known, 1 + label, MISSING)


def _gold_spans(doc: int, example: Example, layer: str) -> Iterable[GoldSpan]:
    spans = without_overlaps(list(example.reference.spans[layer]))
    if same_tokens(example):
        return [GoldSpan(doc, span.start, span.end, span.label_) for span in spans]
    return list(_aligned(doc, example, spans))


def _aligned(doc: int, example: Example, spans: list[Span]) -> Iterable[GoldSpan]:
    to_predicted, to_reference = example.alignment.y2x, example.alignment.x2y
    for span in spans:
        predicted = to_predicted[span.start : span.end]
        if not len(predicted):
            continue
        start, end = int(predicted[0]), int(predicted[-1]) + 1
        reference = to_reference[start:end]
        exact = reference[0] >= span.start and reference[-1] < span.end
        yield GoldSpan(doc, start, end, span.label_ if exact else None)


def same_tokens(example: Example) -> bool:
    """Whether the predicted and the reference document have the same tokens."""
    x, y = example.predicted, example.reference
    return len(x) == len(y) and np.array_equal(x.to_array("ORTH"), y.to_array("ORTH"))


def without_overlaps(spans: list[Span]) -> list[Span]:
    """The spans in order; of spans that overlap (no layer should have any), the longest."""
    spans = sorted(spans)
    if any(left.end > right.start for left, right in zip(spans, spans[1:], strict=False)):
        return filter_spans(spans)
    return spans
