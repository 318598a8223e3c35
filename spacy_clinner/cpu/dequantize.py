"""An int8 graph computed in float: for CPUs that have no instructions for int8."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacy_clinner.cpu.telemetry import without_telemetry


def dequantize(graph: Any) -> None:
    """Replace a graph's int8 weights by the floats that they stand for, in place.

    Its activations are no longer rounded to int8 either, so the vectors are nearer to those of the
    encoder before quantisation than what int8 instructions compute.

    graph (openvino.Model): The encoder, as NNCF quantised it.
    """
    with without_telemetry():
        from openvino import opset13
    for node in list(graph.get_ops()):
        kind = node.get_type_name()
        if kind == "FakeQuantize":
            _replace(node, node.input_value(0))
        elif kind == "Multiply" and (weights := _weights(node)) is not None:
            _replace(node, opset13.constant(np.ascontiguousarray(weights)).output(0))


def _replace(node: Any, source: Any) -> None:
    for target in list(node.output(0).get_target_inputs()):
        target.replace_source_output(source)


def _weights(node: Any) -> NDArray[np.float32] | None:
    """What a chain from an int8 constant to its scale amounts to; None for any other product."""
    found = node
    while found.get_type_name() in ("Multiply", "Subtract", "Convert"):
        found = found.input_value(0).get_node()
    if found.get_type_name() != "Constant" or found.data.dtype not in (np.int8, np.uint8):
        return None
    return _value(node)


def _value(node: Any) -> NDArray[np.float32]:
    inputs = [node.input_value(at).get_node() for at in range(node.get_input_size())]
    match node.get_type_name():
        case "Constant":
            return np.asarray(node.data, dtype=np.float32)
        case "Convert":
            return _value(inputs[0])
        case "Subtract":
            return _value(inputs[0]) - _value(inputs[1])
        case _:
            return _value(inputs[0]) * _value(inputs[1])
