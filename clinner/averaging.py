"""One pipeline of the mean weights of several (model soups; Wortsman et al., 2022).

Models that were trained from the same start, on other data or in another order, err in other
places. Their mean is better than each of them, and as fast as one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from thinc.api import Model

from clinner.errors import ClinnerError
from clinner.pipeline.loading import load_pipeline

Weights = dict[str, Any]


def average(paths: Sequence[Path]) -> Language:
    """Average the weights of trained pipelines.

    paths (Sequence[Path]): Their folders, at least two. They must have the same components,
        labels and shapes; the first gives its config and rules.
    RETURNS (Language): The pipeline. Its temperatures are those of the first: calibrate it anew.
    RAISES (ClinnerError): There are too few, or two do not fit each other.
    """
    if len(paths) < 2:
        raise ClinnerError("A mean takes two pipelines or more. Name the folders of several.")
    nlp = load_pipeline(paths[0])
    sums = {name: weights(component.model) for name, component in trained(nlp).items()}
    for path in paths[1:]:
        other = load_pipeline(path)
        for name, component in trained(nlp).items():
            if not fits(component, trained(other).get(name)):
                raise ClinnerError(
                    f"{path}: its {name} is not that of {paths[0]} with other weights (its "
                    f"labels, or the shapes). Name pipelines of one config and the same layers."
                )
            found = weights(trained(other)[name].model)
            sums[name] = {key: total + found[key] for key, total in sums[name].items()}
    for name, component in trained(nlp).items():
        set_weights(component.model, {k: v / len(paths) for k, v in sums[name].items()})
    return nlp


def trained(nlp: Language) -> dict[str, Any]:
    """The components that have a model, by name."""
    return {
        name: pipe
        for name, pipe in nlp.components
        if isinstance(getattr(pipe, "model", None), Model)
    }


def fits(component: Any, other: Any) -> bool:
    """Whether two components have the same labels, and weights of the same shapes."""
    if other is None or getattr(component, "labels", ()) != getattr(other, "labels", ()):
        return False
    shapes, theirs = (
        {key: np.shape(value) for key, value in weights(pipe.model).items()}
        for pipe in (component, other)
    )
    return shapes == theirs


def weights(model: Model[Any, Any]) -> Weights:
    """The weights of a model, as float64; those of torch modules in it included.

    model (Model): The model.
    RETURNS (Dict[str, NDArray[float64]]): By the number of the layer and the parameter's name.
    """
    found: Weights = {}
    for at, node in enumerate(model.walk()):
        for name in node.param_names:
            if node.has_param(name):
                found[f"{at} {name}"] = np.asarray(node.get_param(name), dtype=np.float64)
        for key, tensor in _torch_weights(node).items():
            found[f"{at} torch {key}"] = tensor.double().cpu().numpy()
    return found


def set_weights(model: Model[Any, Any], values: Weights) -> None:
    """Give a model the weights that `weights` would return.

    model (Model): The model, changed in place.
    values (Dict[str, NDArray[float64]]): Its weights.
    """
    import torch

    for at, node in enumerate(model.walk()):
        for name in node.param_names:
            if node.has_param(name):
                value: Any = node.ops.asarray(values[f"{at} {name}"].astype(np.float32))
                node.set_param(name, value)
        for key, tensor in _torch_weights(node).items():
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(values[f"{at} torch {key}"]))


def _torch_weights(node: Model[Any, Any]) -> dict[str, Any]:
    """Parameters and buffers with a fraction; others, such as positions, are the same in all."""
    found: dict[str, Any] = {}
    for shim in node.shims:
        module: Any = getattr(shim, "_model", None)
        if hasattr(module, "state_dict"):
            state = module.state_dict()
            found |= {key: value for key, value in state.items() if value.is_floating_point()}
    return found
