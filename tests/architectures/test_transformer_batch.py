import pickle
from copy import deepcopy

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_clinner.architectures import bf16, encoder_layer
from spacy_clinner.architectures.instructions import Instructions
from spacy_clinner.errors import ClinnerError

pytest.importorskip("spacy_transformers")
pytest.importorskip("sentencepiece")
import torch
from spacy_transformers.layers.transformer_model import TransformerModel
from tiny_encoders import ENCODERS, LIMIT

LINES = {"@span_getters": "clinner.line_windows.v1", "window": 24, "max_pieces": 62}
GETTERS = {
    "lines": LINES,
    "overlapping lines": LINES | {"overlap": 8},
    "strides": {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 9, "stride": 6},
    "documents": {"@span_getters": "spacy-transformers.doc_spans.v1"},
}
NOTES = [
    "HPI: No fever,  denies chest\npain; BP 120/80mmHg (was 130/85).\n\n\tPlan: aspirin 81 mg p.o.",
    "",
    "x",
    " \n",
    "Takes lisinopril 10mg PO daily. " * 6,
    "½ tab q.d.; 5 µg ´as needed´ x\u00a0y " + "a-b" * 40,
]
TEXTS = st.lists(st.text(st.sampled_from("abz019 .,/()\n\té字ﬁ"), max_size=120), max_size=5)


@pytest.fixture(scope="module", autouse=True)
def few_pieces_at_once():
    """Even tiny notes are computed in many batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(encoder_layer.BATCH_PIECES, "cpu", 96)
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    return {name: ENCODERS[name](folder / name) for name in ("biomedbert", "deberta")}


def pipeline(folder, spans=LINES, fast=True, **settings):
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    config = {
        "@architectures": "clinner.TransformerModel.v1",
        "name": str(folder),
        "get_spans": spans,
        "tokenizer_config": {"use_fast": fast, "model_max_length": LIMIT},
        "transformer_config": {"attention_probs_dropout_prob": 0.0},
        "bf16_on_cpu": "no",
    }
    nlp.add_pipe("transformer", config={"model": config | settings})
    nlp.initialize()
    return nlp


@pytest.fixture(scope="module")
def nlp(folders):
    return pipeline(folders["biomedbert"])


def model_of(nlp):
    return nlp.get_pipe("transformer").model


def plain_model(model):
    """spacy-transformers' own model, with the same tokenizer, weights and windows."""
    plain = TransformerModel("", model.attrs["get_spans"])
    plain.layers[0].shims[0] = model.layers[0].shims[0]
    return plain


def assert_same(batch, expected):
    assert batch.wordpieces.strings == expected.wordpieces.strings
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        ours, theirs = getattr(batch.wordpieces, name), getattr(expected.wordpieces, name)
        np.testing.assert_array_equal(ours, theirs)
    assert len(batch.doc_data) == len(expected.doc_data)
    for ours, theirs in zip([batch, *batch.doc_data], [expected, *expected.doc_data], strict=True):
        assert ours.align.lengths.tolist() == theirs.align.lengths.tolist()
        assert ours.align.dataXd.ravel().tolist() == theirs.align.dataXd.ravel().tolist()
        assert ours.model_output.keys() == theirs.model_output.keys()
        if "last_hidden_state" in ours.model_output:
            real = np.asarray(ours.wordpieces.attention_mask) == 1
            vectors = [x.model_output.last_hidden_state for x in (ours, theirs)]
            vectors = [x.detach().numpy() if isinstance(x, torch.Tensor) else x for x in vectors]
            np.testing.assert_allclose(vectors[0][real], vectors[1][real], atol=1e-5)


@pytest.mark.parametrize("spans", GETTERS)
@pytest.mark.parametrize(
    ("encoder", "fast"), [("biomedbert", True), ("deberta", True), ("deberta", False)]
)
def test_predictions_are_those_of_spacy_transformers(folders, encoder, fast, spans):
    nlp = pipeline(folders[encoder], GETTERS[spans], fast)
    docs = [doc for doc in map(nlp.make_doc, NOTES) if len(doc) or spans == "lines"]
    assert_same(model_of(nlp).predict(docs), plain_model(model_of(nlp)).predict(docs))


@settings(max_examples=60)
@given(texts=TEXTS)
def test_they_are_so_whatever_the_text(nlp, texts):
    docs = list(map(nlp.make_doc, texts))
    if any(map(len, docs)):
        assert_same(model_of(nlp).predict(docs), plain_model(model_of(nlp)).predict(docs))


def test_windows_beyond_the_encoders_limit_are_cut_in_two(folders):
    nlp = pipeline(folders["biomedbert"], GETTERS["documents"])
    docs = [nlp.make_doc("a/b " * 400), nlp.make_doc("No fever."), nlp.make_doc("/" * 900)]
    batch = model_of(nlp).predict(docs)
    lengths = np.asarray(batch.wordpieces.attention_mask).sum(axis=1)
    assert len(lengths) == sum(map(len, batch.spans)) > 3
    assert lengths.max() <= LIMIT
    long, short, _ = batch.doc_data
    assert long.align.lengths.tolist() == [1] * 1200
    assert len(set(long.align.dataXd.ravel().tolist())) == 1200
    assert short.align.lengths.tolist() == [1, 1, 1]


def test_all_outputs_that_are_asked_for_come_whole(folders):
    settings = {"output_hidden_states": True, "output_attentions": True}
    nlp = pipeline(folders["biomedbert"], transformer_config=settings)
    docs = list(map(nlp.make_doc, NOTES[3:]))
    batch, expected = model_of(nlp).predict(docs), plain_model(model_of(nlp)).predict(docs)
    assert_same(batch, expected)
    for ours, theirs in zip(batch.doc_data, expected.doc_data, strict=True):
        for key in ("hidden_states", "attentions"):
            shapes = [[x.shape for x in data.model_output[key]] for data in (ours, theirs)]
            assert shapes[0] == shapes[1]


def test_documents_without_windows_get_no_vectors(nlp):
    model = deepcopy(model_of(nlp))
    docs = [nlp.make_doc("No fever."), nlp.make_doc("Not read."), nlp.make_doc("Cough.")]
    model.attrs["get_spans"] = lambda docs: [
        [doc[:]] if doc[0].text != "Not" else [] for doc in docs
    ]
    first, none, last = model.predict(docs).doc_data
    assert "last_hidden_state" not in none.model_output
    assert first.align.lengths.tolist() == [1, 1, 1]
    assert last.align.dataXd.max() < last.wordpieces.input_ids.size
    model.attrs["get_spans"] = lambda docs: [[] for _ in docs]
    assert len(model.predict(docs).doc_data) == 3


def gradients(model, docs, steps=1):
    encoder = model.layers[0].shims[0]._model
    encoder.zero_grad()
    for _ in range(steps):
        batch, backprop = model.begin_update(docs)
        rng = np.random.default_rng(0)
        d_tensors = [
            [rng.normal(size=data.model_output.last_hidden_state.shape).astype("f")
             * np.asarray(data.wordpieces.attention_mask)[..., None]]
            for data in batch.doc_data
        ]  # fmt: skip
        backprop(batch.unsplit_by_doc(d_tensors))
    found = {n: p.grad.clone().numpy() for n, p in encoder.named_parameters() if p.grad is not None}
    encoder.zero_grad()
    return batch, found


def test_gradients_are_those_of_spacy_transformers(nlp):
    docs = [doc for doc in map(nlp.make_doc, NOTES) if len(doc)]
    batch, found = gradients(model_of(nlp), docs)
    expected_batch, expected = gradients(plain_model(model_of(nlp)), docs)
    assert_same(batch, expected_batch)
    assert found.keys() == expected.keys() != set()
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, atol=1e-4, err_msg=name)


# bf16


@pytest.fixture
def able(monkeypatch):
    """As on a CPU with instructions for bf16; others compute the same, only slower."""
    monkeypatch.setattr(bf16, "instructions", lambda: Instructions(int8=True, bf16=True))


def test_training_in_bf16_gives_float32_near_that_of_float32(able, folders, nlp):
    fast = pipeline(folders["biomedbert"], bf16_on_cpu="yes")
    docs = [doc for doc in map(fast.make_doc, NOTES) if len(doc)]
    switch = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed
    before = switch()
    batch, found = gradients(model_of(fast), docs)
    assert switch() == before
    assert torch.backends.cuda.flash_sdp_enabled()
    _, expected = gradients(model_of(nlp), docs)
    assert batch.model_output.last_hidden_state.dtype == torch.float32
    for name, gradient in expected.items():
        assert found[name].dtype == np.float32
        scale = np.abs(gradient).max() + 1e-3
        assert np.abs(found[name] - gradient).max() < 0.1 * scale, name


def test_prediction_is_in_float32_unless_asked_for(able, folders, nlp):
    doc = nlp.make_doc(NOTES[0])
    expected = model_of(nlp).predict([doc]).doc_data[0].model_output.last_hidden_state
    trains = model_of(pipeline(folders["biomedbert"], bf16_on_cpu="yes"))
    same = trains.predict([doc]).doc_data[0].model_output.last_hidden_state
    np.testing.assert_array_equal(same, expected)
    predicts = model_of(pipeline(folders["biomedbert"], predict_bf16_on_cpu="yes"))
    rounded = predicts.predict([doc]).doc_data[0].model_output.last_hidden_state
    assert rounded.dtype == np.float32
    assert 0 < np.abs(rounded - expected).max() < 0.1


def test_bf16_is_refused_where_it_would_be_slower_if_insisted_on(monkeypatch, folders):
    monkeypatch.setattr(bf16, "instructions", lambda: Instructions(int8=True, bf16=False))
    docs = [spacy.blank("en")("No fever.")]
    model = model_of(pipeline(folders["biomedbert"], bf16_on_cpu="yes"))
    model.predict(docs)
    with pytest.raises(ClinnerError, match="neither AVX512-BF16 nor AMX"):
        model.begin_update(docs)
    model_of(pipeline(folders["biomedbert"], bf16_on_cpu="auto")).begin_update(docs)


def test_the_callback_trains_spacys_own_model_in_bf16(able, folders):
    nlp = spacy.blank("en")
    config = {"@architectures": "spacy-transformers.TransformerModel.v3", "get_spans": LINES,
              "name": str(folders["biomedbert"])}  # fmt: skip
    nlp.add_pipe("transformer", config={"model": config})
    nlp.initialize()
    expected = model_of(nlp).predict([nlp.make_doc(NOTES[0])])
    encoder_layer.create_bf16_on_cpu("yes")(nlp)
    encoder_layer.create_bf16_on_cpu("auto")(nlp)
    assert_same(model_of(nlp).predict([nlp.make_doc(NOTES[0])]), expected)
    batch, _ = gradients(model_of(nlp), [nlp.make_doc(NOTES[0])])
    assert batch.model_output.last_hidden_state.dtype == torch.float32
    loaded = spacy.blank("en")
    loaded.add_pipe("transformer", config={"model": config})
    loaded.from_bytes(nlp.to_bytes())
    assert_same(model_of(loaded).predict([nlp.make_doc(NOTES[0])]), expected)


# Saving and loading


def vectors(nlp, doc):
    return model_of(nlp).predict([doc]).doc_data[0].model_output.last_hidden_state


def test_a_loaded_model_predicts_the_same_and_takes_its_settings_from_the_config(nlp, tmp_path):
    nlp.to_disk(tmp_path / "model")
    doc = nlp.make_doc(NOTES[0])
    loaded = spacy.load(tmp_path / "model")
    np.testing.assert_array_equal(vectors(loaded, doc), vectors(nlp, doc))
    again = spacy.blank(
        "en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}}
    )
    again.add_pipe(
        "transformer", config={"model": nlp.config["components"]["transformer"]["model"]}
    )
    np.testing.assert_array_equal(vectors(again.from_bytes(nlp.to_bytes()), doc), vectors(nlp, doc))
    key = "components.transformer.model.bf16_on_cpu"
    changed = spacy.load(tmp_path / "model", config={key: "auto"})
    assert model_of(changed).layers[0]._func.keywords["training"] == "auto"


def test_a_model_saved_by_spacy_transformers_loads_into_this_one(folders, nlp, tmp_path):
    plain = spacy.blank("en")
    config = {"@architectures": "spacy-transformers.TransformerModel.v3", "get_spans": LINES,
              "name": str(folders["biomedbert"])}  # fmt: skip
    plain.add_pipe("transformer", config={"model": config})
    plain.initialize()
    plain.to_disk(tmp_path / "model")
    key = "components.transformer.model.@architectures"
    loaded = spacy.load(tmp_path / "model", config={key: "clinner.TransformerModel.v1"})
    doc = nlp.make_doc(NOTES[0])
    np.testing.assert_allclose(vectors(loaded, doc), vectors(plain, doc), atol=1e-5)


def test_copies_of_the_model_have_weights_of_their_own(nlp):
    doc = nlp.make_doc(NOTES[0])
    for copied in (deepcopy(model_of(nlp)), pickle.loads(pickle.dumps(model_of(nlp)))):
        before = copied.predict([doc]).doc_data[0].model_output.last_hidden_state.copy()
        np.testing.assert_array_equal(before, vectors(nlp, doc))
        with torch.no_grad():
            next(copied.layers[0].shims[0]._model.parameters()).zero_()
        after = copied.predict([doc]).doc_data[0].model_output.last_hidden_state
        assert np.abs(after - before).max() > 0.01
        np.testing.assert_array_equal(before, vectors(nlp, doc))


def test_a_component_can_be_given_a_transformer_of_its_own(folders, tmp_path):
    nlp = pipeline(folders["biomedbert"])
    listener = {"@architectures": "spacy-transformers.TransformerListener.v1", "grad_factor": 1.0,
                "pooling": {"@layers": "reduce_mean.v1"}}  # fmt: skip
    tagger = {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}
    nlp.add_pipe("tagger", config={"model": tagger}).add_label("A")
    nlp.initialize()
    doc = nlp.make_doc(NOTES[0])
    nlp.get_pipe("transformer")(doc)
    expected = np.concatenate(nlp.get_pipe("tagger").model.predict([doc]))
    nlp.replace_listeners("transformer", "tagger", ["model.tok2vec"])
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model").get_pipe("tagger")
    found = loaded.model.predict([Doc(nlp.vocab, words=[t.text for t in doc],
                                      spaces=[bool(t.whitespace_) for t in doc])])  # fmt: skip
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5)
