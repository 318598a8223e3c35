"""Private interfaces of other libraries that we cannot do without, all of them.

`setup.cfg` bounds the versions of what is named here.
"""

from collections.abc import Callable
from typing import Any


def parse_config_overrides(arguments: list[str]) -> dict[str, Any]:
    """Read options such as --paths.train X as spaCy's commands do.

    arguments (list[str]): The options that a command does not know.
    RETURNS (dict[str, Any]): Values of a config by dotted key.
    """
    from spacy.cli._util import parse_config_overrides

    overrides: dict[str, Any] = parse_config_overrides(arguments)
    return overrides


def replace_listener_config(
    transformer: dict[str, Any], listener: dict[str, Any]
) -> dict[str, Any]:
    """The config of a component that gets a transformer of its own, by spacy-transformers.

    transformer, listener (dict[str, Any]): The configs of both models.
    RETURNS (dict[str, Any]): The config.
    """
    from spacy_transformers.layers import _util

    replace: Any = _util.replace_listener_cfg
    replaced: dict[str, Any] = replace(transformer, listener)
    return replaced


def set_forward(model: Any, forward: Callable[..., Any]) -> None:
    """Give a Thinc model another forward function.

    model (Model): The model.
    forward (Callable): The function.
    """
    model._func = forward


def huggingface_model(shim: Any) -> Any:
    """Encoder and tokenizer of spacy-transformers' shim.

    shim (HFShim): The shim.
    RETURNS (HFObjects): What it wraps.
    """
    return shim._hfmodel


def torch_module(shim: Any) -> Any:
    """The torch module of one of Thinc's shims.

    shim (Shim): The shim.
    RETURNS (torch.nn.Module | None): The module; None for shims of other libraries.
    """
    return getattr(shim, "_model", None)
