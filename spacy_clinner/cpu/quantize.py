from collections.abc import Sequence
from typing import Any

from spacy_clinner.cpu.batches import WordpieceBatch
from spacy_clinner.cpu.telemetry import without_telemetry
from spacy_clinner.errors import ClinnerError

# How much of the activations' range smoothing moves into the weights: 0.95 by default, which loses
# a fifth more of MiniLM's vectors than this does.
SMOOTHING = 0.8


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
            'Install it with: pip install "spacy-clinner[optimize]"'
        ) from None
    inputs = [{"input_ids": batch.ids, "attention_mask": batch.mask} for batch in calibration]
    return nncf.quantize(
        graph,
        nncf.Dataset(inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(inputs),
        ignored_scope=nncf.IgnoredScope(names=attention_products(graph)),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=SMOOTHING)
        ),
    )


def attention_products(graph: Any) -> list[str]:
    """The products of attention, which int8 makes less exact and, so small, no faster.

    graph (openvino.Model): The encoder.
    RETURNS (List[str]): Names of the matrix products that have no weights.
    """
    products = [node for node in graph.get_ops() if node.get_type_name() == "MatMul"]
    return [
        node.get_friendly_name()
        for node in products
        if all(
            node.input_value(at).get_node().get_type_name() != "Constant"
            for at in range(node.get_input_size())
        )
    ]
