"""Between documents and arrays: the tokens of a batch, gold tags, labels and entities."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import filter_spans
from thinc.types import Floats2d

from spacy_clinner.annotation.spans import annotated_labels
from spacy_clinner.architectures.decoding import (
    SpanArrays,
    only_allowed,
    tag_marginals,
    tag_scores,
)
from spacy_clinner.architectures.layered_tagger import score_slices
from spacy_clinner.errors import ClinnerError

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


@dataclass(frozen=True)
class LayerPrediction:
    """What one layer predicts for a batch.

    spans (SpanArrays): Offsets into the batch's tokens.
    confidence (NDArray[float64]): The posterior of each span, shape (spans,).
    """

    spans: SpanArrays
    confidence: NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """What all layers predict for a batch of documents."""

    batch: TokenBatch
    layers: dict[str, LayerPrediction]


class GoldSpan(NamedTuple):
    """A gold span over predicted tokens; `label` is None where the tokens cannot express it."""

    doc: int
    start: int
    end: int
    label: str | None


@dataclass(frozen=True)
class GoldTags:
    """What is known of the tags of one layer in a batch.

    tags (Ints): Of each kept token: 0 is O, then B-1 .. B-n, I-1 .. I-n; MISSING where the label is
        unknown, or the span's ends fall inside a token. Shape (kept tokens,).
    open (Bools): Which labels a token may also have whose tag is O, as its document does not
        annotate them; shape (kept tokens, labels).
    annotated (Bools): Which tokens are of documents that annotate the layer; shape (kept tokens,).
    """

    tags: Ints
    open: Bools
    annotated: Bools

    def allowed(self) -> Bools:
        """The tags that agree with what is known, shape (kept tokens, 2 * labels + 1)."""
        n_tokens, n_labels = self.open.shape
        allowed = np.zeros((n_tokens, 2 * n_labels + 1), dtype=bool)
        known = self.tags != MISSING
        allowed[known, self.tags[known]] = True
        outside = self.tags == 0
        allowed[outside, 1:] = np.tile(self.open[outside], 2)
        allowed[~known] = True
        # A span whose label is known ends where it does, also before what is unknown.
        before = np.zeros_like(self.tags)
        before[1:] = self.tags[:-1]
        behind = np.flatnonzero(~known & (before > 0))
        allowed[behind, 1 + n_labels + (before[behind] - 1) % n_labels] = False
        return allowed


def gold_tags(
    examples: Sequence[Example], batch: TokenBatch, labels: dict[str, list[str]]
) -> dict[str, GoldTags]:
    """The gold tags of a batch.

    examples (Sequence[Example]): The examples; a layer is annotated if `layer in reference.spans`,
        and only some labels of it where the group says so (see `annotated_labels`).
    batch (TokenBatch): Their predicted documents.
    labels (Dict[str, List[str]]): The labels of each layer.
    RETURNS (Dict[str, GoldTags]): For each layer that some reference annotates.
    """
    gold = {}
    for layer, names in labels.items():
        annotated = np.array([layer in example.reference.spans for example in examples], dtype=bool)
        if not annotated.any():
            continue
        tags = np.zeros(len(batch), dtype=np.int64)
        spans = [span for doc in np.flatnonzero(annotated).tolist()
                 for span in _gold_spans(doc, examples[doc], layer)]  # fmt: skip
        _fill(tags, spans, batch, names)
        known = [annotated_labels(example.reference, layer) for example in examples]
        unknown = np.array(
            [[k is not None and name not in k for name in names] for k in known], dtype=bool
        )
        gold[layer] = GoldTags(tags, unknown[batch.doc], annotated[batch.doc])
    return gold


def tagging_loss(
    logits: NDArray[np.float32], gold: GoldTags, batch: TokenBatch
) -> tuple[float, NDArray[np.float64]]:
    """The loss of one layer: how improbable the gold tagging is among the legal ones, or, where
    not all is known, all taggings together that agree with what is.

    Normalised over whole taggings (Lafferty et al., 2001), not token by token, so that what is
    learned is what decoding maximises: where a span may begin in two places, the model need not
    tell both from its inside.

    logits (NDArray[float32]): The scores of the kept tokens, shape (tokens, 2 * labels + 1).
    gold (GoldTags): What is known.
    batch (TokenBatch): The tokens.
    RETURNS (Tuple[float, NDArray]): The sum over the tokens, and its gradient, of logits' shape.
    """
    used = gold.annotated
    d_logits = np.zeros(logits.shape)
    if not used.any():
        return 0.0, d_logits
    scores = tag_scores(logits[used], batch.starts[used])
    marginals, log_norm = tag_marginals(scores)
    # What agrees with the gold: one tagging of most documents, many of some.
    allowed, doc = gold.allowed()[used], batch.doc[used]
    many = np.isin(doc, doc[allowed.sum(axis=1) > 1])
    loss = log_norm.sum() - scores.by_tag.T[~many][allowed[~many]].sum()
    agreeing = allowed.astype(np.float64)
    if many.any():
        agreeing[many], log_agreeing = tag_marginals(only_allowed(scores, allowed, many))
        loss -= log_agreeing.sum()
    d_logits[used] = marginals - agreeing
    return float(loss), d_logits


def layer_losses(
    examples: Sequence[Example], scores: list[Floats2d], labels: dict[str, list[str]], ops: Any
) -> tuple[dict[str, float], list[Floats2d]]:
    """The loss of each layer, and the gradient of all.

    examples (Sequence[Example]): The batch.
    scores (List[Floats2d]): The model's output for the predicted documents.
    labels (Dict[str, List[str]]): The labels of each layer.
    ops (Ops): The model's.
    RETURNS (Tuple[Dict[str, float], List[Floats2d]]): Losses of the layers that the batch
        annotates, and the gradient, of scores' shapes.
    """
    batch = TokenBatch.of([example.predicted for example in examples])
    flat = ops.flatten(scores)
    logits = ops.to_numpy(flat)[batch.kept]
    gradient = np.zeros(flat.shape, dtype="f")
    rows = np.flatnonzero(batch.kept)
    slices = score_slices(labels)
    losses = {}
    for layer, gold in gold_tags(examples, batch, labels).items():
        loss, d_logits = tagging_loss(logits[:, slices[layer]], gold, batch)
        # Over all tokens of the batch, not over those that annotate the layer: each annotated
        # token has the same weight, whatever else the batch happens to hold.
        losses[layer] = loss / max(1, len(batch))
        gradient[rows, slices[layer]] = d_logits / max(1, len(batch))
    lengths = ops.asarray1i([len(doc) for doc in scores])
    return losses, ops.unflatten(ops.asarray2f(gradient), lengths)


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
    if any(left.end > right.start for left, right in pairwise(spans)):
        return filter_spans(spans)
    return spans


def set_ents(doc: Doc, candidates: Iterable[Span], overwrite: bool) -> None:
    """Set the entities of a document.

    doc (Doc): The document; whatever is no entity is set to be none, blocked tokens stay so.
    candidates (Iterable[Span]): The entities; of those that overlap, the first is taken.
    overwrite (bool): Whether entities that are set already give way.
    """
    ents = [] if overwrite else list(doc.ents)
    taken = np.zeros(len(doc), dtype=bool)
    blocked: list[Span] = []
    if not overwrite and doc.has_annotation("ENT_IOB"):
        iob, label = doc.to_array(["ENT_IOB", "ENT_TYPE"]).T
        taken = (label != 0) | (iob == 3)
        blocked = [doc[at : at + 1] for at in np.flatnonzero((label == 0) & (iob == 3)).tolist()]
    for span in candidates:
        if not taken[span.start : span.end].any():
            taken[span.start : span.end] = True
            ents.append(span)
    doc.set_ents(ents, blocked=blocked, default="outside")


def labels_in(
    examples: Iterable[Example], layers: Sequence[str] | None
) -> tuple[dict[str, list[str]], set[str]]:
    """Collect labels from references.

    examples (Iterable[Example]): The examples.
    layers (Sequence[str] | None): The layers to look for; None for all that have a span.
    RETURNS (Tuple[Dict[str, List[str]], Set[str]]): The labels of each layer, sorted, and all
        keys that occur in `doc.spans`.
    """
    labels: dict[str, set[str]] = {layer: set() for layer in layers or ()}
    seen: set[str] = set()
    for example in examples:
        seen.update(example.reference.spans)
        for layer, group in example.reference.spans.items():
            if layer in labels or (layers is None and len(group)):
                labels.setdefault(layer, set()).update(span.label_ for span in group)
    return {layer: sorted(names) for layer, names in labels.items()}, seen


def check_labels(name: str, labels: Mapping[str, Sequence[str]], seen: Collection[str]) -> None:
    """Check that there is something to learn.

    name (str): The component's name, for messages.
    labels (Mapping[str, Sequence[str]]): The labels of each layer.
    seen (Collection[str]): All keys that occur in `doc.spans` of the training documents.
    RAISES (ClinnerError): There is no layer, or one has no label.
    """
    empty = next((layer for layer, names in labels.items() if not names), None)
    if labels and empty is None:
        return
    where = "any group of doc.spans" if empty is None else f"doc.spans[{empty!r}]"
    hint = (
        "Remove the layer from the component's `layers`, add data that annotates it, or give "
        "`labels`."
        if seen and empty is not None
        else "doc.ents is not learned from: set a group, as by "
        'doc.spans["clinical"] = list(doc.ents), or make the files by `clinner convert`.'
    )
    raise ClinnerError(
        f"{name}: no labels{'' if empty is None else f' for layer {empty!r}'}: no training "
        f"document has a span in {where}. Annotated in the data: "
        f"{', '.join(sorted(seen)) or 'nothing'}. {hint}"
    )


def threshold_of(setting: float | Mapping[str, float], layer: str) -> float:
    """The confidence below which spans of a layer are dropped."""
    return setting.get(layer, 0.0) if isinstance(setting, Mapping) else setting


def check_settings(name: str, settings: Mapping[str, Any], known: Sequence[str]) -> None:
    """Check a component's settings.

    name (str): The component's name, for messages.
    settings (Mapping[str, Any]): The settings.
    known (Sequence[str]): The layers that there are.
    RAISES (ClinnerError): No layer, a layer named twice, or a setting that names another.
    """
    layers = settings["layers"]
    if layers is not None and (not layers or len(set(layers)) < len(layers)):
        raise ClinnerError(
            f"{name}: `layers` must name at least one layer, each once, or be null for all that "
            f"the data annotates; got {list(layers)}."
        )
    for option, among in (("layers", known), ("ents_from", layers), ("threshold", layers)):
        named = settings[option]
        if isinstance(named, float | int | None):
            continue
        if isinstance(named, Mapping):
            # 0 only says that there is no threshold, also to a layer that is not to be set.
            named = [layer for layer, value in named.items() if value]
        among = known if among is None else among
        unknown = [layer for layer in named if layer not in among]
        if unknown:
            raise ClinnerError(
                f"{name}: `{option}` names {', '.join(unknown)}, which is none of the layers; "
                f"they are {', '.join(among) or 'none'}."
            )
