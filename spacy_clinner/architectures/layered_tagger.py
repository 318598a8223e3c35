import math
from collections.abc import Callable, Sequence
from typing import Any, cast

from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, chain, with_array
from thinc.types import Floats2d

LayeredTagger = Model[list[Doc], list[Floats2d]]


def layered_tagger(
    tok2vec: Model[list[Doc], list[Floats2d]], head_rate: float = 1.0, nO: int | None = None
) -> LayeredTagger:
    """Build the model of `clinner_ner`; registered as `clinner.LayeredTagger.v1`.

    One linear head per layer over shared token vectors gives the scores of O, B-1 .. B-n and
    I-1 .. I-n; the softmax is taken where they are used. The heads' weights stand side by side
    in one matrix, layer after layer.

    tok2vec (Model[List[Doc], List[Floats2d]]): The token vectors; a listener or inline.
    head_rate (float): Learning rate of the heads as a multiple of the optimizer's (exact for
        optimizers that do not depend on the gradient's scale, such as Adam).
    nO (int | None): Number of scores; the component sets it.
    RETURNS (Model[List[Doc], List[Floats2d]]): The model; per document an array of shape
        (tokens, sum over layers of (2 * labels + 1)), float32.
    """
    width = tok2vec.get_dim("nO") if tok2vec.has_dim("nO") else None
    heads: Model[Floats2d, Floats2d] = Linear(nO, width, init_W=_zeros)
    dropout: Model[Floats2d, Floats2d] = Dropout()
    token_scores: Model[Floats2d, Floats2d] = chain(dropout, heads, scale(head_rate))
    model: LayeredTagger = chain(tok2vec, with_array(token_scores))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("token_scores", token_scores)
    model.set_ref("output_layer", heads)
    model.attrs["temperatures"] = {}
    return model


def scale(factor: float) -> Model[Floats2d, Floats2d]:
    """Multiply by a constant. Behind a linear layer, its steps in the output grow by `factor`."""
    return Model("scale", _scale_forward, attrs={"factor": factor})


def head_scale(model: LayeredTagger) -> float:
    """By what the scores of a model's linear layer are multiplied.

    model (Model): The model.
    RETURNS (float): The product of all constants behind the layer.
    """
    nodes = model.get_ref("token_scores").walk()
    return math.prod(float(node.attrs["factor"]) for node in nodes if node.name == "scale")


def _scale_forward(
    model: Model[Floats2d, Floats2d],
    X: Floats2d,
    is_train: bool,  # noqa: ARG001
) -> tuple[Floats2d, Callable[[Floats2d], Floats2d]]:
    factor = model.attrs["factor"]

    def backprop(dY: Floats2d) -> Floats2d:
        return cast(Floats2d, dY * factor)

    return cast(Floats2d, X * factor), backprop


def _zeros(ops: Any, shape: tuple[int, ...]) -> Any:
    return ops.alloc(shape)


def n_scores(labels: Sequence[str]) -> int:
    """Number of scores that a layer with these labels needs."""
    return 2 * len(labels) + 1


def score_slices(labels: dict[str, list[str]]) -> dict[str, slice]:
    """Where each layer's scores stand in the model's output."""
    slices, start = {}, 0
    for layer, names in labels.items():
        slices[layer] = slice(start, start + n_scores(names))
        start += n_scores(names)
    return slices


def resize_heads(
    model: LayeredTagger,
    old: dict[str, list[str]],
    new: dict[str, list[str]],
    new_scores: float = 0.0,
) -> None:
    """Make room for more labels, keeping what was learned for the others.

    model (Model): The model; not initialized yet, it only learns its number of scores.
    old (Dict[str, List[str]]): The labels per layer that the model has.
    new (Dict[str, List[str]]): The labels per layer that it shall have, in any order.
    new_scores (float): What the scores of labels that are new to a layer begin with.
    """
    heads = model.get_ref("output_layer")
    n_new = sum(map(n_scores, new.values()))
    if not heads.has_dim("nO"):
        heads.set_dim("nO", n_new)
        return
    width = heads.get_dim("nI") if heads.has_dim("nI") else None
    # A new layer, not new arrays in the old one: gradients and optimizer state keep their shape.
    resized: Model[Floats2d, Floats2d] = Linear(n_new, width, init_W=_zeros)
    if heads.has_param("W"):
        resized.initialize()
        position = {tag: at for at, tag in enumerate(tags(old))}
        kept = [(to, position[tag]) for to, tag in enumerate(tags(new)) if tag in position]
        to, origin = (heads.ops.asarray1i([pair[side] for pair in kept]) for side in (0, 1))
        for name in ("W", "b"):
            weights: Any = resized.get_param(name)
            weights[to] = heads.get_param(name)[origin]
        further = [at for at, tag in enumerate(tags(new)) if tag not in position and tag[0] in old]
        bias: Any = resized.get_param("b")
        bias[heads.ops.asarray1i(further)] = new_scores / head_scale(model)
    token_scores = model.get_ref("token_scores")
    token_scores.layers[token_scores.layers.index(heads)] = resized
    model.set_ref("output_layer", resized)
    for node in (model, model.layers[-1], token_scores):
        if node.has_dim("nO"):
            node.set_dim("nO", n_new, force=True)


def tags(labels: dict[str, list[str]]) -> list[tuple[str, str, str]]:
    """What each score of the model is of.

    labels (Dict[str, List[str]]): The labels per layer.
    RETURNS (List[Tuple[str, str, str]]): Layer, "O", "B" or "I", and label; for O, "".
    """
    found = []
    for layer, names in labels.items():
        found += [(layer, "O", "")]
        found += [(layer, "B", name) for name in names]
        found += [(layer, "I", name) for name in names]
    return found
