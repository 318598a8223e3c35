"""The layer that runs the encoder: in which precision, and in which batches."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from spacy.language import Language
from thinc.api import Model

from spacy_clinner.architectures.bf16 import When, in_bf16, wanted
from spacy_clinner.compat import huggingface_model
from spacy_clinner.tokenization.wordpieces import Ints, pack

if TYPE_CHECKING:
    from spacy_transformers.data_classes import WordpieceBatch

# Wordpieces that are computed at once in prediction, padding included: more are not faster.
BATCH_PIECES = {"cpu": 2048, "cuda": 16384}
# What the encoder gives for each window, and can so be computed in batches of windows.
OUTPUTS = {"last_hidden_state", "pooler_output"}


def create_bf16_on_cpu(when: When = "auto") -> Callable[[Language], Language]:
    """Create a callback for [initialize.after_init] that trains the transformer in bf16 on a CPU.

    It is for spaCy's own transformer model; `clinner.TransformerModel.v1` has a setting for it.

    when (str): "yes" to insist, "auto" for where the CPU is able, "no" for float32.
    RETURNS (Callable[[Language], Language]): The callback.
    """

    def callback(nlp: Language) -> Language:
        if when != "no" and "transformer" in nlp.pipe_names:
            transformer: Any = nlp.get_pipe("transformer")
            layers = transformer.model.layers
            layers[0] = encoder_layer(layers[0], bf16_in_training=when)
        return nlp

    return callback


def encoder_layer(
    layer: Model[Any, Any], bf16_in_training: When = "no", bf16_in_prediction: When = "no"
) -> Model[Any, Any]:
    """Make the layer that runs the encoder of a transformer model.

    layer (Model): spacy-transformers' layer for it, of which the encoder is taken over.
    bf16_in_training, bf16_in_prediction (str): Whether to compute in bf16 on a CPU: "yes", "auto"
        (where the CPU is able) or "no".
    RETURNS (Model[WordpieceBatch, ModelOutput]): The layer, saved and loaded like the other.
    """
    # Kept out of `attrs`, which are stored with the weights and would win over the config's.
    forward = partial(encode, training=bf16_in_training, prediction=bf16_in_prediction)
    plain = layer.attrs["convert_outputs"]
    if isinstance(plain, partial):
        plain = plain.keywords["plain"]
    return Model(
        layer.name,
        forward,
        attrs={**layer.attrs, "convert_outputs": partial(convert_outputs, plain=plain)},
        shims=layer.shims,
        dims={name: layer.maybe_get_dim(name) for name in layer.dim_names},
    )


def encode(
    layer: Model[Any, Any],
    wordpieces: "WordpieceBatch",
    is_train: bool,
    *,
    training: When,
    prediction: When,
) -> tuple[Any, Callable[[Any], Any]]:
    """Run the encoder.

    In prediction the windows are sorted by length and computed a few at a time, so that little
    is padded and the memory that they need does not grow with the number of windows.

    layer (Model): The layer.
    wordpieces (WordpieceBatch): The wordpieces of all windows.
    is_train (bool): Whether gradients are to follow.
    training, prediction (str): As for `encoder_layer`.
    RETURNS (tuple[ModelOutput, Callable]): The vectors, of which those of padding have no meaning,
        and the backward pass.
    """
    import torch
    from thinc.layers.pytorchwrapper import forward

    shim: Any = layer.shims[0]
    on_cpu = shim.device.type == "cpu"
    with ExitStack() as settings:
        if on_cpu and wanted(training if is_train else prediction):
            settings.enter_context(in_bf16(is_train))
        if is_train:
            return forward(layer, wordpieces, is_train)
        settings.enter_context(torch.inference_mode())
        return _predict(layer, wordpieces), lambda _: []


def _predict(layer: Model[Any, Any], wordpieces: "WordpieceBatch") -> Any:
    from thinc.layers.pytorchwrapper import forward

    shim: Any = layer.shims[0]
    batches = _batches(wordpieces, BATCH_PIECES.get(shim.device.type, BATCH_PIECES["cuda"]))
    config = huggingface_model(shim).transformer.config
    if len(batches) == 1 or config.output_hidden_states or config.output_attentions:
        return forward(layer, wordpieces, False)[0]
    merged: dict[str, Any] = {}
    for rows, width in batches:
        output = forward(layer, _select(wordpieces, rows, width), False)[0]
        for key in OUTPUTS & output.keys():
            vectors = output[key]
            by_piece = vectors.ndim == 3
            if key not in merged:
                n_windows, longest = wordpieces.input_ids.shape
                shape = (n_windows, longest) if by_piece else (n_windows,)
                merged[key] = vectors.new_zeros((*shape, vectors.shape[-1]))
            merged[key][(rows, slice(width)) if by_piece else rows] = vectors
    return type(output)(**merged)


def _batches(wordpieces: "WordpieceBatch", batch_pieces: int) -> list[tuple[Ints, int]]:
    """The rows and the width of each batch; only one where padding is not at the end."""
    mask = np.asarray(wordpieces.attention_mask)
    lengths = mask.sum(axis=1).astype(np.int64)
    order = np.argsort(-lengths, kind="stable")
    if not mask[:, 0].all():
        return [(order, mask.shape[1])]
    return [(order[a:b], width) for a, b, width in pack(lengths[order], batch_pieces)]


def _select(wordpieces: Any, rows: Ints, width: int) -> Any:
    types = wordpieces.token_type_ids
    return type(wordpieces)(
        strings=[],
        input_ids=wordpieces.input_ids[rows, :width],
        attention_mask=wordpieces.attention_mask[rows, :width],
        lengths=[],
        token_type_ids=None if types is None else types[rows, :width],
    )


def convert_outputs(
    layer: Model[Any, Any],
    inputs_outputs: tuple[Any, Any],
    is_train: bool,
    *,
    plain: Callable[..., Any],
) -> Any:
    """Turn the encoder's output into float32: NumPy, where the heads compute, has no bfloat16.

    plain (Callable): spacy-transformers' function for the same.
    """
    inputs, output = inputs_outputs
    return plain(layer, (inputs, type(output)(**_in_float32(output))), is_train)


def _in_float32(output: Any) -> dict[str, Any]:
    import torch

    return {
        key: value.float()
        if isinstance(value, torch.Tensor)
        else tuple(part.float() for part in value)
        for key, value in output.items()
    }
