"""From a trained transformer to an encoder that OpenVINO runs."""

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import srsly

from spacy_clinner.architectures.transformer import most_wordpieces
from spacy_clinner.cpu.batches import WordpieceBatch
from spacy_clinner.cpu.exported import Encoder
from spacy_clinner.cpu.quantize import quantize
from spacy_clinner.cpu.session import Precision, Session, import_openvino, not_forking
from spacy_clinner.cpu.telemetry import without_telemetry
from spacy_clinner.errors import ClinnerError
from spacy_clinner.tokenization.wordpieces import Ints

# Between vectors of torch and OpenVINO, both in float32, whose elements are of the order of 1.
LARGEST_DIFFERENCE = 1e-3


def export_encoder(
    transformer: Any, precision: Precision, calibration: Sequence[WordpieceBatch] = ()
) -> Encoder:
    """Export the encoder of a `transformer` component, for any number and length of windows.

    transformer (Transformer): The component, trained.
    precision (str): "int8" quantises weights and activations; "bf16" stores weights in half
        precision and computes in bfloat16 where the CPU is able to; "fp32" changes nothing.
    calibration (Sequence[WordpieceBatch]): Typical input, for "int8".
    RETURNS (Encoder): The exported encoder.
    RAISES (ClinnerError): The tokenizer is not a fast one, or the exported graph computes
        something else than torch.
    """
    openvino = import_openvino()
    with without_telemetry():
        graph = _convert(openvino, transformer.model.transformer)
    exported = _pack(openvino, graph, transformer.model, "fp32")
    _check(transformer.model.transformer, exported)
    if precision == "fp32":
        return exported
    if precision == "int8":
        graph = quantize(graph, calibration)
    return _pack(openvino, graph, transformer.model, precision)


def tokenizer_json(model: Any) -> str:
    """Take over the wordpiece tokenizer.

    model (TransformerModel): The transformer's model.
    RETURNS (str): As the `tokenizers` library writes it.
    RAISES (ClinnerError): It is not a fast tokenizer.
    """
    if not getattr(model.tokenizer, "is_fast", False):
        raise ClinnerError(
            "The encoder has a slow tokenizer, which runs only with transformers. Train with "
            "`use_fast = true` in [components.transformer.model.tokenizer_config]."
        )
    return str(model.tokenizer.backend_tokenizer.to_str())


def max_length(model: Any) -> int:
    """RETURNS (int): Wordpieces that the encoder takes at once, special tokens included."""
    return int(min(model.tokenizer.model_max_length, most_wordpieces(model.transformer) or np.inf))


def _convert(openvino: Any, transformer: Any) -> Any:
    import torch
    from transformers import AutoModel

    models: Any = AutoModel

    # Attention in single steps rather than in one: these can be quantised as well.
    eager = models.from_config(transformer.config, attn_implementation="eager")
    eager.load_state_dict(transformer.state_dict())

    class LastHiddenState(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = eager

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            output = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
            return output.last_hidden_state  # type: ignore[no-any-return]

    inputs = ("input_ids", "attention_mask")
    shape = openvino.PartialShape([-1, -1])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openvino.convert_model(
            LastHiddenState().eval(),
            example_input={name: torch.ones(2, 8, dtype=torch.int64) for name in inputs},
            input=[(name, shape, openvino.Type.i64) for name in inputs],
        )


def _pack(openvino: Any, graph: Any, model: Any, precision: Precision) -> Encoder:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.xml"
        openvino.save_model(graph, path, compress_to_fp16=precision != "fp32")
        return Encoder(
            xml=path.read_bytes(),
            weights=path.with_suffix(".bin").read_bytes(),
            tokenizer=tokenizer_json(model),
            width=int(model.transformer.config.hidden_size),
            max_length=max_length(model),
            precision=precision,
        )


def _check(transformer: Any, exported: Encoder) -> None:
    """Compare with torch on input of another shape than the one that was traced."""
    import torch

    rng = np.random.default_rng(0)
    ids: Ints = rng.integers(0, transformer.config.vocab_size, size=(3, 24))
    mask: Ints = (np.arange(24) < np.array([[24], [17], [2]])).astype(np.int64)
    with torch.no_grad():
        tensors = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
        expected = transformer.eval()(**tensors).last_hidden_state.cpu().numpy()
    with not_forking:
        session = Session(exported.xml, exported.weights, "fp32", threads=1)
        computed = session.run(ids, mask)
        session.close()
    difference = float(np.abs(computed - expected)[mask == 1].max())
    if not difference < LARGEST_DIFFERENCE:
        raise ClinnerError(
            f"The exported encoder differs from torch by up to {difference:.2g} in float32 "
            f"(architecture {srsly.json_dumps(transformer.config.architectures)}). OpenVINO "
            "cannot be used for this encoder; please report it."
        )
