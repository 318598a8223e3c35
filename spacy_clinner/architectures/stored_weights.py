"""How an encoder's weights are stored: as safetensors, which hold numbers and no code, and in half
the size where that is asked for. They are computed with in float32 all the same."""

import io
from functools import partial
from typing import Any, Literal, get_args

import srsly

from spacy_clinner.compat import torch_module
from spacy_clinner.errors import ClinnerError

Stored = Literal["fp32", "fp16"]

# The key of our own weights in what spacy-transformers stores; it has them, pickled, as "state".
SAFETENSORS = "safetensors"


def store_as_safetensors(shim: Any, stored_in: Stored) -> None:
    """Make the shim of an encoder store safetensors.

    It still reads what it stored before, weights that torch pickled.

    shim (HFShim): spacy-transformers' shim, changed in place.
    stored_in (str): "fp32", or "fp16" for half the size.
    RAISES (ClinnerError): It is neither.
    """
    if stored_in not in get_args(Stored):
        raise ClinnerError(f"stored_in is {stored_in!r}; it must be fp32 or fp16.")
    shim.to_bytes = partial(weights_to_bytes, shim, stored_in)
    shim.from_bytes = partial(weights_from_bytes, shim)


def store_as_before(shim: Any) -> None:
    """Undo `store_as_safetensors`.

    shim (HFShim): The shim, changed in place.
    """
    del shim.to_bytes, shim.from_bytes


def weights_to_bytes(shim: Any, stored_in: Stored) -> bytes:
    """Give an encoder as bytes.

    shim (HFShim): Its shim.
    stored_in (str): "fp32" or "fp16".
    RETURNS (bytes): As spacy-transformers gives them, with the weights as safetensors.
    RAISES (ClinnerError): A weight is too large for fp16.
    """
    message = srsly.msgpack_loads(type(shim).to_bytes(shim))
    if message.pop("state"):
        message[SAFETENSORS] = _safetensors(torch_module(shim).state_dict(), stored_in)
    data: bytes = srsly.msgpack_dumps(message)
    return data


def weights_from_bytes(shim: Any, data: bytes) -> Any:
    """Load an encoder, on the device that thinc uses.

    shim (HFShim): Its shim.
    data (bytes): As `weights_to_bytes` or spacy-transformers itself gave it.
    RETURNS (HFShim): The shim.
    """
    message = srsly.msgpack_loads(data)
    weights = message.pop(SAFETENSORS, None)
    if "state" in message:
        return type(shim).from_bytes(shim, data)
    message["state"] = b"" if weights is None else _pickled(weights)
    return type(shim).from_bytes(shim, srsly.msgpack_dumps(message))


def _safetensors(weights: dict[str, Any], stored_in: Stored) -> bytes:
    import torch
    from safetensors.torch import save

    stored = {}
    for name, tensor in weights.items():
        # Weights that share their memory are each stored for themselves.
        own = tensor.detach().cpu().contiguous().clone()
        if stored_in == "fp16" and own.is_floating_point():
            own = own.half()
            if not torch.isfinite(own).all():
                raise ClinnerError(f"The weight {name} is too large for fp16; store it in fp32.")
        stored[name] = own
    data: bytes = save(stored)
    return data


def _pickled(weights: bytes) -> bytes:
    """As spacy-transformers reads them, which copies them into the encoder's float32."""
    import torch
    from safetensors.torch import load

    state = io.BytesIO()
    torch.save(load(weights), state)
    return state.getvalue()
