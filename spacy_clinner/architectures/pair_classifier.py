from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, Ops, glorot_uniform_init
from thinc.types import Floats2d

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class CandidatePairs:
    """The pairs of a batch of documents, whose tokens are laid end to end.

    heads (Ints): First token and end token (exclusive) of each head, shape (heads, 2).
    tails (Ints): The same for each tail, shape (tails, 2).
    head (Ints): The row in `heads` of each pair, shape (pairs,).
    tail (Ints): The row in `tails` of each pair, shape (pairs,).
    features (NDArray[float32]): What else is known of each pair, shape (pairs, features).
    """

    heads: Ints
    tails: Ints
    head: Ints
    tail: Ints
    features: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.head)


RelationInput = tuple[list[Doc], CandidatePairs]
PairClassifier = Model[RelationInput, Floats2d]
Backprop = Callable[[Any], Any]


def pair_classifier(
    tok2vec: Model[list[Doc], list[Floats2d]],
    hidden_width: int = 128,
    between_width: int = 64,
    head_rate: float = 1.0,
    feature_weight: float = 6.0,
    vector_weight: float = 0.3,
) -> PairClassifier:
    """Build the model of `clinner_relations`; registered as `clinner.PairClassifier.v1`.

    One hidden layer (Mish) and one logit per pair. The hidden layer reads the first, last and mean
    token vector of both spans, the mean of the tokens between them (in a narrower projection) and
    the pair's features. Being linear in its inputs, it is computed once per span and token, not
    once per pair; a pair only adds up.

    tok2vec (Model[List[Doc], List[Floats2d]]): The token vectors; a listener or inline.
    hidden_width (int): Width of the hidden layer.
    between_width (int): Width to which the vectors of tokens between are projected.
    head_rate (float): Learning rate of this model (without `tok2vec`) as a multiple of the
        optimizer's; exact for optimizers that do not depend on the gradient's scale, such as Adam.
    feature_weight (float), vector_weight (float): What features and token vectors are multiplied
        by. The features are few and say most; at equal weight, the many components of the vectors
        fit the training notes before the features are learned.
    RETURNS (Model[Tuple[List[Doc], CandidatePairs], Floats2d]): The model; unnormalised scores of
        shape (pairs, 1), float32. The sigmoid of a score is the probability of the link.
    """

    def linear(width: int) -> Model[Floats2d, Floats2d]:
        return Linear(width, init_W=partial(_scaled_glorot, head_rate=head_rate))

    refs: dict[str, Model[Any, Any]] = {
        "tok2vec": tok2vec,
        "dropout": Dropout(),
        "head": linear(hidden_width),
        "tail": linear(hidden_width),
        "token": linear(between_width),
        "between": linear(hidden_width),
        "features": linear(hidden_width),
        "hidden_dropout": Dropout(),
        "output_layer": linear(1),
    }
    return Model(
        "pair_classifier",
        _forward,
        init=_init,
        layers=list(refs.values()),
        refs={**refs},
        attrs={
            "head_rate": head_rate,
            "feature_weight": feature_weight,
            "vector_weight": vector_weight,
        },
    )


def place_pairs(model: PairClassifier, before: Sequence[int | None]) -> None:
    """Give a trained model's first features, which say of which labels a pair is, other places.

    model (Model): The model, which is changed.
    before (Sequence[int | None]): For each kind of pair the place that it had, all of which stay;
        None for one that is new, which begins with the mean of the others.
    """
    layer = model.get_ref("features")
    weights: Any = layer.get_param("W")
    known = sum(at is not None for at in before)
    usual = weights[:, :known].mean(axis=1)
    kinds = [usual if at is None else weights[:, at] for at in before]
    weights = model.ops.xp.hstack([model.ops.xp.stack(kinds, axis=1), weights[:, known:]])
    # A new layer, not a new array in the old one: gradients and optimizer state keep their shape.
    wider: Model[Floats2d, Floats2d] = Linear(layer.get_dim("nO"), weights.shape[1])
    wider.set_param("W", model.ops.as_contig(weights))
    wider.set_param("b", layer.get_param("b"))
    model.replace_node(layer, wider)


def _scaled_glorot(ops: Ops, shape: tuple[int, ...], head_rate: float) -> Any:
    return glorot_uniform_init(ops, shape) / head_rate


def _init(
    model: PairClassifier,
    X: RelationInput | None = None,
    Y: Floats2d | None = None,  # noqa: ARG001
) -> None:
    if X is None:
        return
    docs, pairs = X
    tok2vec = model.get_ref("tok2vec")
    tok2vec.initialize(X=docs)
    width = tok2vec.predict(docs)[0].shape[1]
    hidden = model.get_ref("head").get_dim("nO")
    widths = {
        "head": 3 * width,
        "tail": 3 * width,
        "token": width,
        "between": model.get_ref("token").get_dim("nO"),
        "features": pairs.features.shape[1],
        "output_layer": hidden,
    }
    for name, n_in in widths.items():
        model.get_ref(name).set_dim("nI", n_in)
        model.get_ref(name).initialize()


def _forward(
    model: PairClassifier, X: RelationInput, is_train: bool
) -> tuple[Floats2d, Callable[[Floats2d], list[Doc]]]:
    docs, pairs = X
    ops: Any = model.ops
    vectors, bp_vectors = model.get_ref("tok2vec")(docs, is_train)
    lengths = ops.asarray1i([len(vector) for vector in vectors])
    if not len(pairs):
        # The other listeners wait for this one's gradient, even when it has none to give.
        empty = [ops.alloc(vector.shape) for vector in vectors]
        return ops.alloc2f(0, 1), lambda _: bp_vectors(empty)
    tokens, bp_tokens = model.get_ref("dropout")(ops.flatten(vectors), is_train)
    hidden, bp_hidden = _hidden(model, tokens, pairs, is_train)
    active, bp_active = model.get_ref("hidden_dropout")(ops.mish(hidden), is_train)
    scores, bp_scores = model.get_ref("output_layer")(active, is_train)
    rate = model.attrs["head_rate"]

    def backprop(d_scores: Floats2d) -> list[Doc]:
        d_active = bp_active(bp_scores(d_scores * rate))
        d_tokens = bp_tokens(bp_hidden(ops.backprop_mish(d_active, hidden)))
        return bp_vectors(ops.unflatten(d_tokens, lengths))  # type: ignore[no-any-return]

    return scores * rate, backprop


def _hidden(
    model: PairClassifier, tokens: Floats2d, pairs: CandidatePairs, is_train: bool
) -> tuple[Floats2d, Backprop]:
    """The hidden layer before its activation: the sum of what four inputs contribute."""
    ops: Any = model.ops
    rate, weight = model.attrs["head_rate"], model.attrs["vector_weight"]
    features = ops.asarray2f(pairs.features * np.float32(model.attrs["feature_weight"]))
    hidden, bp_features = model.get_ref("features")(features, is_train)
    sides = []
    for name, spans, row in (
        ("head", pairs.heads, pairs.head),
        ("tail", pairs.tails, pairs.tail),
    ):
        pooled, bp_pooled = _pool(ops, tokens, spans)
        part, bp_part = model.get_ref(name)(pooled * weight, is_train)
        at = ops.asarray1i(row)
        hidden += part[at]
        sides.append((bp_pooled, bp_part, at, part.shape))
    inside, start, end = _between(pairs, len(tokens))
    inside = ops.asarray1i(inside)
    projected, bp_projected = model.get_ref("token")(tokens[inside] * weight, is_train)
    means, bp_means = _means(ops, projected * rate, start, end)
    part, bp_between = model.get_ref("between")(means, is_train)
    hidden += part

    def backprop(d_hidden: Floats2d) -> Floats2d:
        d_hidden = d_hidden * rate
        bp_features(d_hidden)
        d_tokens = ops.alloc(tokens.shape)
        d_tokens[inside] = bp_projected(bp_means(bp_between(d_hidden)) * rate) * weight
        for bp_pooled, bp_part, at, shape in sides:
            d_part = ops.alloc(shape)
            ops.scatter_add(d_part, at, d_hidden)
            bp_pooled(bp_part(d_part) * weight, d_tokens)
        return d_tokens  # type: ignore[no-any-return]

    return hidden * rate, backprop


def _pool(ops: Any, tokens: Floats2d, spans: Ints) -> tuple[Floats2d, Callable[[Any, Any], None]]:
    """First, last and mean vector of each span side by side, shape (spans, 3 * width)."""
    lengths = spans[:, 1] - spans[:, 0]
    offsets = np.cumsum(lengths) - lengths
    inside = np.repeat(spans[:, 0] - offsets, lengths) + np.arange(lengths.sum())
    rows = [ops.asarray1i(array) for array in (spans[:, 0], spans[:, 1] - 1, inside)]
    lengths = ops.asarray1i(lengths)
    first, last, within = rows
    mean = ops.reduce_mean(tokens[within], lengths)
    width = tokens.shape[1]

    def backprop(d_pooled: Any, d_tokens: Any) -> None:
        parts = [ops.as_contig(d_pooled[:, i * width : (i + 1) * width]) for i in range(3)]
        parts[2] = ops.backprop_reduce_mean(parts[2], lengths)
        for at, part in zip(rows, parts, strict=True):
            ops.scatter_add(d_tokens, at, part)

    return ops.xp.hstack((tokens[first], tokens[last], mean)), backprop


def _between(pairs: CandidatePairs, n_tokens: int) -> tuple[Ints, Ints, Ints]:
    """The tokens between the spans of any pair, ascending; and per pair the first and the end
    (exclusive) of its own among these."""
    head, tail = pairs.heads[pairs.head], pairs.tails[pairs.tail]
    start = np.minimum(head[:, 1], tail[:, 1])
    end = np.maximum(start, np.maximum(head[:, 0], tail[:, 0]))
    edges = np.bincount(start, minlength=n_tokens + 1) - np.bincount(end, minlength=n_tokens + 1)
    used = np.cumsum(edges[:-1]) > 0
    place = np.concatenate(([0], np.cumsum(used)))
    return np.flatnonzero(used), place[start], place[end]


def _means(ops: Any, tokens: Floats2d, start: Ints, end: Ints) -> tuple[Floats2d, Backprop]:
    """The mean of the tokens from each start to its end; zeros where there are none."""
    share = ops.asarray2f((1.0 / np.maximum(end - start, 1))[:, None])
    start, end = ops.asarray1i(start), ops.asarray1i(end)
    # Differences of running sums; in double precision, so that a pair's score does not depend on
    # how many tokens of other documents stand before it.
    sums = ops.xp.zeros((len(tokens) + 1, tokens.shape[1]), dtype="float64")
    ops.xp.cumsum(tokens, axis=0, dtype="float64", out=sums[1:])
    means = (sums[end] - sums[start]).astype("float32") * share

    def backprop(d_means: Floats2d) -> Floats2d:
        steps = ops.alloc2f(len(tokens) + 1, tokens.shape[1])
        ops.scatter_add(steps, start, d_means * share)
        ops.scatter_add(steps, end, -d_means * share)
        return ops.xp.cumsum(steps, axis=0)[:-1]  # type: ignore[no-any-return]

    return means, backprop
