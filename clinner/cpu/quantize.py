from collections.abc import Sequence
from typing import Any

from clinner.cpu.telemetry import without_telemetry
from clinner.cpu.wordpieces import WordpieceBatch
from clinner.errors import ClinnerError


def quantize(graph: Any, calibration: Sequence[WordpieceBatch]) -> Any:
    """Quantise weights (the embeddings' too) and activations to int8, after training.

    graph (openvino.Model): The encoder, in float32.
    calibration (Sequence[WordpieceBatch]): Typical input, from which the activations' ranges are
        estimated.
    RETURNS (openvino.Model): The quantised encoder.
    RAISES (ClinnerError): NNCF is not installed.
    """
    try:
        with without_telemetry():
            import nncf
    except ImportError:
        raise ClinnerError(
            "int8 needs NNCF, which is not installed. "
            'Install it with: pip install "clinner[optimize]"'
        ) from None
    inputs = [{"input_ids": batch.ids, "attention_mask": batch.mask} for batch in calibration]
    return nncf.quantize(
        graph,
        nncf.Dataset(inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(inputs),
    )
