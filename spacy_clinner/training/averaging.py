"""Weights between those of two pipelines, one of which went on from the other: what the first knew
is kept better, and most of what the second learned, too (Wortsman et al., 2022)."""

from typing import Any

from spacy.language import Language
from spacy.pipeline import TrainablePipe

from spacy_clinner.architectures.layered_tagger import tags
from spacy_clinner.compat import torch_module
from spacy_clinner.pipeline.ner.learned import LearnedLayers


def average(nlp: Language, before: Language, share: float) -> None:
    """Move a pipeline's weights towards those of the pipeline that it went on from.

    Weights of labels that only the later one knows stay as they were learned.

    nlp (Language): The later pipeline, which is changed.
    before (Language): The earlier one.
    share (float): What of the later one's weights is kept, from 0 to 1.
    """
    for name, component in nlp.pipeline:
        if before.has_pipe(name) and isinstance(component, TrainablePipe):
            average_component(component, before.get_pipe(name), share)


def average_component(component: Any, before: Any, share: float) -> None:
    """Move one component's weights towards those of the same component in the earlier pipeline.

    component (TrainablePipe), before (TrainablePipe), share (float): As in `average`.
    """
    heads, here, there = None, slice(None), slice(None)
    if isinstance(component, LearnedLayers):
        heads = component.model.get_ref("output_layer")
        here, there = _known_rows(component, before)
    for node, old in zip(component.model.walk(), before.model.walk(), strict=True):
        for shim, old_shim in zip(node.shims, old.shims, strict=True):
            _average_torch(shim, old_shim, share)
        for name in filter(node.has_param, node.param_names):
            weights, theirs = node.get_param(name), old.get_param(name)
            if node is heads:
                weights[here] = share * weights[here] + (1 - share) * theirs[there]
            else:
                node.set_param(name, share * weights + (1 - share) * theirs)


def _known_rows(component: Any, before: Any) -> tuple[Any, Any]:
    """The rows of the same tags in both components' heads."""
    position = {tag: at for at, tag in enumerate(tags(before.layer_labels))}
    found = enumerate(tags(component.layer_labels))
    rows = [(at, position[tag]) for at, tag in found if tag in position]
    as_rows = component.model.ops.asarray1i
    return as_rows([here for here, _ in rows]), as_rows([there for _, there in rows])


def _average_torch(shim: Any, before: Any, share: float) -> None:
    import torch

    module, theirs = torch_module(shim), torch_module(before).state_dict()
    with torch.no_grad():
        for name, weights in module.state_dict().items():
            if weights.is_floating_point():
                weights.mul_(share).add_(theirs[name].to(weights.device), alpha=1 - share)
