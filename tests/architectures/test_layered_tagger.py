import numpy as np
import pytest
from spacy.lang.en import English
from thinc.api import Adam

from spacy_clinner.architectures.layered_tagger import (
    layered_tagger,
    resize_heads,
    scale,
    score_slices,
)

LABELS = {"a": ["X"], "b": ["Y", "Z"]}


def make_model(labels=LABELS, **settings):
    from spacy.ml.models import build_hash_embed_cnn_tok2vec

    tok2vec = build_hash_embed_cnn_tok2vec(
        width=8, depth=1, embed_size=50, window_size=1, maxout_pieces=2, subword_features=True,
        pretrained_vectors=None,
    )  # fmt: skip
    model = layered_tagger(tok2vec, **settings)
    if labels:
        resize_heads(model, {}, labels)
    return model


@pytest.fixture
def docs():
    return [English().make_doc(text) for text in ("No fever .", "", "Chest pain")]


def randomize(model):
    rng = np.random.default_rng(0)
    heads = model.get_ref("output_layer")
    for name in ("W", "b"):
        heads.set_param(name, rng.normal(size=heads.get_param(name).shape).astype("f"))


def test_each_document_gets_the_scores_of_all_layers_for_each_token(docs):
    model = make_model()
    model.initialize(X=docs)
    assert [scores.shape for scores in model.predict(docs)] == [(3, 8), (0, 8), (2, 8)]


def test_the_scores_of_the_layers_stand_side_by_side():
    assert score_slices(LABELS) == {"a": slice(0, 3), "b": slice(3, 8)}


def test_new_labels_leave_the_scores_of_the_others_as_they_are(docs):
    model = make_model()
    model.initialize(X=docs)
    randomize(model)
    before = model.predict(docs)[0]
    resize_heads(model, LABELS, {"a": ["X", "N"], "b": ["Y", "Z"]})
    after = model.predict(docs)[0]
    assert after.shape == (3, 10)
    # O, B-X, B-N, I-X, I-N of layer a; then layer b as before
    np.testing.assert_allclose(after[:, [0, 1, 3]], before[:, :3], rtol=1e-6)
    np.testing.assert_allclose(after[:, 5:], before[:, 3:], rtol=1e-6)
    np.testing.assert_allclose(after[:, [2, 4]], 0.0)
    reloaded = make_model(labels=None)
    reloaded.from_bytes(model.to_bytes())
    np.testing.assert_allclose(reloaded.predict(docs)[0], after, rtol=1e-6)


def test_new_labels_begin_with_the_score_that_is_given(docs):
    model = make_model(head_rate=10.0)
    model.initialize(X=docs)
    resize_heads(model, LABELS, {"a": ["X", "N"], "b": ["Y", "Z"], "c": ["X"]}, -10.0)
    scores = model.predict(docs)[0]
    np.testing.assert_allclose(scores[:, [2, 4]], -10.0, rtol=1e-6)
    # A layer that is new has nothing that its labels could disturb.
    assert (np.delete(scores, [2, 4], axis=1) == 0.0).all()


def test_labels_of_other_layers_alone_begin_anew(docs):
    model = make_model()
    model.initialize(X=docs)
    randomize(model)
    resize_heads(model, LABELS, {"c": ["X"]})
    assert model.predict(docs)[0].shape == (3, 3)
    assert (model.predict(docs)[0] == 0.0).all()


def test_the_head_rate_multiplies_the_steps_of_the_heads(docs):
    moved = {}
    for rate in (1.0, 10.0):
        model = make_model(head_rate=rate)
        model.initialize(X=docs)
        scores, backprop = model.begin_update(docs)
        backprop([np.ones_like(array) for array in scores])
        optimizer = Adam(0.001, L2=0.0)
        bias_before = model.get_ref("output_layer").get_param("b").copy()
        model.get_ref("output_layer").finish_update(optimizer)
        bias = model.get_ref("output_layer").get_param("b")
        moved[rate] = np.abs(bias - bias_before).max() * rate
    assert moved[10.0] == pytest.approx(10 * moved[1.0], rel=1e-2)


def test_scaling_scales_the_gradient_too():
    model = scale(3.0)
    Y, backprop = model.begin_update(np.ones((2, 2), dtype="f"))
    assert (Y == 3.0).all()
    assert (backprop(np.ones((2, 2), dtype="f")) == 3.0).all()


def test_before_training_all_tags_are_equally_likely(docs):
    model = make_model()
    model.initialize(X=docs)
    assert all((scores == 0).all() for scores in model.predict(docs))


def test_temperatures_are_saved_with_the_model(docs):
    model = make_model()
    model.initialize(X=docs)
    model.attrs["temperatures"]["a"] = 1.5
    assert make_model().from_bytes(model.to_bytes()).attrs["temperatures"] == {"a": 1.5}
