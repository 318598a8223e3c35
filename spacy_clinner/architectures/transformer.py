"""spaCy's transformer model, with the three traps of its tokenizers closed when weights are loaded.

A tokenizer without a limit lets windows grow past what the encoder takes; one that lower-cases
text for a vocabulary with capitals (or the reverse) wastes the vocabulary; and sentencepiece
counts the space before a word as the word's, so that spaCy adds each word's first piece to the
word before as well.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from spacy.tokens import Doc, Span
from spacy.util import SimpleFrozenDict

from spacy_clinner.architectures.bf16 import When
from spacy_clinner.architectures.encoder_layer import encoder_layer
from spacy_clinner.architectures.stored_weights import Stored, store_as_before, store_as_safetensors
from spacy_clinner.architectures.transformer_batch import cuts_windows, forward
from spacy_clinner.compat import replace_listener_config, set_forward
from spacy_clinner.errors import ClinnerError
from spacy_clinner.tokenization.windows import get_line_windows

if TYPE_CHECKING:
    from spacy_transformers.data_classes import FullTransformerBatch, HFObjects
    from thinc.api import Model

SECTION = "[components.transformer.model.tokenizer_config]"
WINDOWS = "[components.transformer.model.get_spans]"
OWN_SETTINGS = ("bf16_on_cpu", "predict_bf16_on_cpu", "stored_in")
NO_SETTINGS: dict[str, Any] = SimpleFrozenDict()
# Uncased vocabularies have next to no capitals, cased ones in a fifth of their pieces and more.
CASED_FROM = 0.01
CAPITALS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def transformer_model(
    name: str,
    get_spans: Callable[[list[Doc]], list[list[Span]]],
    tokenizer_config: dict[str, Any] = NO_SETTINGS,
    transformer_config: dict[str, Any] = NO_SETTINGS,
    mixed_precision: bool = False,
    grad_scaler_config: dict[str, Any] = NO_SETTINGS,
    bf16_on_cpu: When = "auto",
    predict_bf16_on_cpu: When = "no",
    stored_in: Stored = "fp32",
) -> "Model[list[Doc], FullTransformerBatch]":
    """Create a transformer; registered as `clinner.TransformerModel.v1`.

    The arguments but the last three are those of `spacy-transformers.TransformerModel.v3`, and so
    is the model: what it gives is the same, only faster. What `check_tokenizer` and `align_words`
    do happens when the encoder's weights are loaded.

    name (str): A folder, or a name on the Hugging Face hub.
    get_spans (Callable[[List[Doc]], List[List[Span]]]): The windows of each document.
    tokenizer_config (dict): Settings of the tokenizer.
    transformer_config (dict): Settings of the encoder.
    mixed_precision (bool): Compute in half precision where that is safe, on a GPU.
    grad_scaler_config (dict): Settings of the gradient scaler.
    bf16_on_cpu (str): Train in bfloat16 on a CPU: "auto" where it has instructions for it, "yes"
        to insist, "no" for float32.
    predict_bf16_on_cpu (str): The same for prediction; vectors then differ between machines.
    stored_in (str): In what the weights are stored, "fp32" or, in half the size, "fp16"; they are
        computed with in fp32 either way.
    RETURNS (Model[List[Doc], FullTransformerBatch]): The model.
    """
    from spacy_transformers.layers.transformer_model import TransformerModel

    model: Any = TransformerModel(
        name,
        get_spans,
        dict(tokenizer_config),
        dict(transformer_config),
        mixed_precision,
        dict(grad_scaler_config),
    )
    set_forward(model, forward)
    model.layers[0] = encoder_layer(model.layers[0], bf16_on_cpu, predict_bf16_on_cpu)
    store_as_safetensors(model.layers[0].shims[0], stored_in)
    model.attrs["set_transformer"] = set_checked_transformer
    model.attrs["replace_listener"] = partial(replace_listener, model.attrs["replace_listener"])
    model.attrs["replace_listener_cfg"] = replace_listener_cfg
    return cast("Model[list[Doc], FullTransformerBatch]", model)


def replace_listener(plain: Callable[[Any], Any], model: Any) -> Any:
    """The model of a component that gets a transformer of its own (`nlp.replace_listeners`).

    plain (Callable): spacy-transformers' function for it, whose architecture the component then
        has: its weights are stored as that reads them.
    model (TransformerModel): The transformer's model, a copy.
    RETURNS (Model): The component's.
    """
    store_as_before(model.layers[0].shims[0])
    return plain(model)


def replace_listener_cfg(transformer: dict[str, Any], listener: dict[str, Any]) -> dict[str, Any]:
    """The config of a component that gets a transformer of its own (`nlp.replace_listeners`).

    transformer, listener (dict): The configs of both models.
    RETURNS (dict): That of spacy-transformers' architecture for it.
    """
    plain = {key: value for key, value in transformer.items() if key not in OWN_SETTINGS}
    return replace_listener_config(plain, listener)


def set_checked_transformer(model: Any, hf_model: "HFObjects") -> None:
    """Give a model its weights and tokenizer, checked and aligned.

    model (TransformerModel): The model.
    hf_model (HFObjects): Tokenizer and encoder.
    RAISES (ClinnerError): The tokenizer does not fit the encoder or the windows.
    """
    from spacy_transformers.layers.transformer_model import set_pytorch_transformer

    tokenizer = hf_model.tokenizer
    check_tokenizer(tokenizer, hf_model.transformer, model.attrs["name"])
    align_words(tokenizer)
    check_windows(model.attrs["get_spans"], tokenizer)
    set_pytorch_transformer(model, hf_model)


def most_wordpieces(transformer: Any) -> int | None:
    """How many wordpieces an encoder takes.

    transformer (PreTrainedModel): The encoder.
    RETURNS (Optional[int]): Its positions; for RoBERTa and its kin, which count them from the
        padding's number on, two fewer (514 hold 512). None where it has no such limit.
    """
    positions = getattr(transformer.config, "max_position_embeddings", None)
    table = getattr(getattr(transformer, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return positions and positions - (0 if padding is None else padding + 1)


def check_tokenizer(tokenizer: Any, transformer: Any, name: str) -> None:
    """Stop at a tokenizer without the encoder's limit, or of another case than its vocabulary.

    tokenizer (PreTrainedTokenizerBase): The tokenizer.
    transformer (PreTrainedModel): The encoder.
    name (str): The encoder, for the message.
    RAISES (ClinnerError): It does not fit.
    """
    limit = most_wordpieces(transformer) or 512
    if tokenizer.model_max_length > limit:
        raise ClinnerError(
            f"{name}: the encoder takes {limit} wordpieces, and its tokenizer knows no such limit. "
            f"Set model_max_length = {limit} in {SECTION}."
        )
    share = _share_with_capitals(tokenizer)
    cased, lowers = share >= CASED_FROM, _lower_cases(tokenizer)
    if cased == lowers:
        raise ClinnerError(
            f"{name}: {share:.1%} of its wordpieces have capitals, and its tokenizer "
            f"{'lower-cases' if lowers else 'keeps the case of'} the text. Set do_lower_case = "
            f"{'false' if cased else 'true'} in {SECTION}."
        )


def _share_with_capitals(tokenizer: Any) -> float:
    pieces = tokenizer.get_vocab().keys() - set(tokenizer.all_special_tokens)
    return sum(not CAPITALS.isdisjoint(piece) for piece in pieces) / max(1, len(pieces))


def _lower_cases(tokenizer: Any) -> bool:
    if not tokenizer.is_fast:
        return bool(getattr(tokenizer, "do_lower_case", False))
    normalizer = tokenizer.backend_tokenizer.normalizer
    return normalizer is not None and normalizer.normalize_str("A") == "a"


def marks_spaces(tokenizer: Any) -> bool:
    """Whether a tokenizer writes the space before a word into its first piece (sentencepiece).

    tokenizer (PreTrainedTokenizerBase): The tokenizer.
    RETURNS (bool): True for a fast tokenizer that does.
    """
    return tokenizer.is_fast and "Metaspace" in _pre_tokenizer(tokenizer)


def _pre_tokenizer(tokenizer: Any) -> str:
    state = tokenizer.backend_tokenizer.pre_tokenizer
    return "" if state is None else str(state.__getstate__().decode("utf8"))


def align_words(tokenizer: Any) -> None:
    """Make the first piece of a word begin where the word does, not at the space before it.

    The pieces stay the same: the text is cut at its spaces first, which are then no part of any
    word, and each word gets its mark of a space as before. Saved with the tokenizer.

    tokenizer (PreTrainedTokenizerBase): The tokenizer, changed in place; only a fast one whose
        pieces carry the mark of a space needs it.
    RAISES (ClinnerError): Its marks are not on every word, so that this would change its pieces.
    """
    if not marks_spaces(tokenizer):
        return
    from tokenizers import Regex, pre_tokenizers

    state = json.loads(_pre_tokenizer(tokenizer))
    steps = state.get("pretokenizers", [state])
    if steps[0]["type"] == "Split":
        return
    schemes = {step["prepend_scheme"] for step in steps if step["type"] == "Metaspace"}
    if schemes != {"always"}:
        raise ClinnerError(
            "The tokenizer marks the space before some words only, so its fast version cannot be "
            f"aligned with words. Set use_fast = false in {SECTION}."
        )
    backend = tokenizer.backend_tokenizer
    # Normalising may have made the mark of a space already.
    cut = pre_tokenizers.Split(Regex("[ ▁]"), "removed")
    backend.pre_tokenizer = pre_tokenizers.Sequence([cut, backend.pre_tokenizer])


def check_windows(get_spans: Any, tokenizer: Any) -> None:
    """Stop at windows of which the tokenizer may cut something off.

    get_spans (Callable): The span getter; only `clinner.line_windows.v1` promises a limit.
    tokenizer (PreTrainedTokenizerBase): The tokenizer. With a fast one `forward` makes windows
        fit; the pieces of others are known too late.
    RAISES (ClinnerError): `max_pieces` is too high.
    """
    if not isinstance(get_spans, partial) or get_spans.func is not get_line_windows:
        return
    if cuts_windows(tokenizer):
        return
    window, max_pieces = get_spans.keywords["window"], get_spans.keywords["max_pieces"]
    # A tokenizer that marks spaces may make a piece of each mark: one more per word.
    room = tokenizer.model_max_length - tokenizer.num_special_tokens_to_add() - window
    if max_pieces is None or max_pieces > room:
        raise ClinnerError(
            f"A window may have {max_pieces or 'any number of'} wordpieces, and with this "
            f"tokenizer only {room} are sure to fit. Set max_pieces = {room} in {WINDOWS}."
        )
