import io

import numpy as np
import pytest
import spacy
import srsly

pytest.importorskip("spacy_transformers")
import torch
from tiny_encoders import biomedbert

from spacy_clinner.architectures.stored_weights import SAFETENSORS, store_as_safetensors
from spacy_clinner.compat import torch_module
from spacy_clinner.errors import ClinnerError

TEXT = "No fever today.\nTakes aspirin 5 mg daily."


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return biomedbert(tmp_path_factory.mktemp("hub") / "encoder")


def pipeline(encoder, **settings):
    nlp = spacy.blank("en")
    model = {
        "@architectures": "clinner.TransformerModel.v1",
        "name": str(encoder),
        "get_spans": {"@span_getters": "clinner.line_windows.v1"},
        "tokenizer_config": {"model_max_length": 512},
        **settings,
    }
    nlp.add_pipe("transformer", config={"model": model})
    nlp.initialize()
    return nlp


def shim(nlp):
    return nlp.get_pipe("transformer").model.layers[0].shims[0]


def vectors(nlp):
    return nlp(TEXT)._.trf_data.model_output.last_hidden_state


def stored(nlp):
    """The name and bytes of the weights, as the file of the component has them."""
    return srsly.msgpack_loads(shim(nlp).to_bytes())


def test_weights_are_stored_without_code(encoder):
    message = stored(pipeline(encoder))
    assert "state" not in message
    assert b"pickle" not in message[SAFETENSORS]
    # The header is JSON behind its length.
    assert message[SAFETENSORS][8:9] == b"{"


@pytest.mark.parametrize(("kind", "tolerance"), [("fp32", 0.0), ("fp16", 5e-3)])
def test_a_pipeline_finds_the_same_after_it_was_stored(encoder, tmp_path, kind, tolerance):
    nlp = pipeline(encoder, stored_in=kind)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert np.abs(vectors(nlp) - vectors(loaded)).max() <= tolerance
    assert {w.dtype for w in torch_module(shim(loaded)).parameters()} == {torch.float32}


def test_half_precision_takes_half_the_size(encoder):
    whole, half = (
        len(stored(pipeline(encoder, stored_in=kind))[SAFETENSORS]) for kind in ("fp32", "fp16")
    )
    assert half < 0.6 * whole


def test_weights_that_torch_pickled_are_still_read(encoder):
    nlp = pipeline(encoder)
    before = vectors(nlp)
    as_before = type(shim(nlp)).to_bytes(shim(nlp))
    assert "state" in srsly.msgpack_loads(as_before)
    other = pipeline(encoder)
    for weight in torch_module(shim(other)).parameters():
        weight.data.zero_()
    shim(other).from_bytes(as_before)
    assert np.array_equal(vectors(other), before)


def test_a_copy_stores_its_own_weights(encoder):
    nlp = pipeline(encoder)
    copied = nlp.get_pipe("transformer").model.copy()
    for weight in torch_module(copied.layers[0].shims[0]).parameters():
        weight.data.zero_()
    assert copied.layers[0].shims[0].to_bytes() != shim(nlp).to_bytes()


def test_a_weight_too_large_for_half_precision_is_refused(encoder):
    nlp = pipeline(encoder, stored_in="fp16")
    next(iter(torch_module(shim(nlp)).parameters())).data[0] = 1e6
    with pytest.raises(ClinnerError, match="too large for fp16"):
        shim(nlp).to_bytes()


def test_an_unknown_precision_is_refused(encoder):
    with pytest.raises(ClinnerError, match="must be fp32 or fp16"):
        store_as_safetensors(io.BytesIO(), "int8")
