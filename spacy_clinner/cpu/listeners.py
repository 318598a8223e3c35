"""Heads of a trained pipeline listen to `doc.tensor` instead of to spacy-transformers."""

from typing import Any

from spacy import util
from spacy.pipeline.tok2vec import Tok2VecListener
from thinc.api import Model

from spacy_clinner.errors import ClinnerError

TRANSFORMER_LISTENER = "spacy-transformers.TransformerListener.v1"
MEAN = "reduce_mean.v1"


def swap_listeners(model: Model[Any, Any], width: int) -> None:
    """Replace a model's transformer listeners, in place; they have no weights.

    model (Model): The model of a component.
    width (int): Length of the encoder's vectors.
    """
    # A TransformerListener architecture is the listener and, behind it, the pooling.
    for node in list(model.walk()):
        first: Any = node.layers[0] if node.layers else node
        if first.name == "transformer-listener" and first is not node:
            util.replace_model_node(model, node, Tok2VecListener(first.upstream_name, width))


def listening_config(config: dict[str, Any], width: int, component: str) -> dict[str, Any]:
    """Replace the transformer listeners in a component's config.

    config (Dict[str, Any]): The component's config.
    width (int): Length of the encoder's vectors.
    component (str): The component's name, for messages.
    RETURNS (Dict[str, Any]): The new config.
    RAISES (ClinnerError): Something else in it needs spacy-transformers.
    """
    if config.get("@architectures") == TRANSFORMER_LISTENER:
        pooling = config.get("pooling", {}).get("@layers")
        if pooling != MEAN:
            raise ClinnerError(
                f"[components.{component}] pools wordpieces with {pooling!r}; the CPU edition "
                f"only takes their mean. Train with {MEAN!r}."
            )
        upstream = config.get("upstream", "*")
        return {
            "@architectures": "spacy.Tok2VecListener.v1",
            "width": width,
            "upstream": upstream,
        }
    swapped = {}
    for key, value in config.items():
        if isinstance(value, str) and value.startswith("spacy-transformers."):
            raise ClinnerError(
                f"[components.{component}] uses {value}, which does not run without "
                "spacy-transformers, so there can be no CPU edition of it."
            )
        if isinstance(value, dict):
            value = listening_config(value, width, component)
        swapped[key] = value
    return swapped
