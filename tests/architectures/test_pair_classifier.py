import numpy as np
import pytest
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Model

from spacy_clinner.architectures.pair_classifier import CandidatePairs, pair_classifier

WIDTH = 6
VOCAB = Vocab()
DOCS = [Doc(VOCAB, words=["a"] * n) for n in (12, 0, 8)]
PAIRS = CandidatePairs(
    heads=np.array([[0, 2], [4, 5], [13, 15]]),
    tails=np.array([[7, 8], [3, 4], [17, 19], [0, 1]]),
    head=np.array([0, 1, 1, 2, 0]),
    tail=np.array([0, 0, 1, 2, 3]),
    features=np.random.default_rng(1).random((5, 7)).astype("f"),
)
NO_PAIRS = CandidatePairs(
    PAIRS.heads, PAIRS.tails, PAIRS.head[:0], PAIRS.tail[:0], PAIRS.features[:0]
)


class Vectors:
    """Token vectors that a test can change, and the gradient that arrived at them."""

    def __init__(self):
        self.values = np.random.default_rng(0).normal(size=(20, WIDTH)).astype("f")
        self.gradient = None

    def layer(self):
        def forward(model, docs, is_train):
            ends = np.cumsum([len(doc) for doc in docs])

            def backprop(gradients):
                self.gradient = np.concatenate(gradients)
                return docs

            return np.split(self.values, ends[:-1]), backprop

        return Model("vectors", forward, dims={"nO": WIDTH})


@pytest.fixture
def vectors():
    return Vectors()


def make(vectors, **config):
    model = pair_classifier(vectors.layer(), hidden_width=8, between_width=4, **config)
    model.initialize(X=(DOCS, PAIRS))
    rng = np.random.default_rng(2)
    for node in model.walk():
        for name in node.param_names:
            values = rng.normal(size=node.get_param(name).shape) * 0.3
            node.set_param(name, values.astype("f"))
    return model


def test_there_is_one_score_per_pair(vectors):
    scores = make(vectors).predict((DOCS, PAIRS))
    assert (scores.shape, scores.dtype) == ((5, 1), np.float32)


def test_documents_without_pairs_have_no_scores_and_a_gradient_of_zeros(vectors):
    scores, backprop = make(vectors).begin_update((DOCS, NO_PAIRS))
    assert scores.shape == (0, 1)
    backprop(scores)
    assert vectors.gradient.shape == (20, WIDTH)
    assert not vectors.gradient.any()


@pytest.mark.parametrize("head_rate", [1.0, 3.0])
def test_the_gradient_is_that_of_the_scores(vectors, head_rate):
    model = make(vectors, head_rate=head_rate, feature_weight=2.0, vector_weight=0.5)
    weights = np.random.default_rng(3).normal(size=(5, 1))

    def total():
        return float((model.predict((DOCS, PAIRS)) * weights).sum())

    def slope(array, at):
        kept, results = array[at], []
        for step in (1e-2, -1e-2):
            array[at] = kept + step
            results.append(total())
        array[at] = kept
        return (results[0] - results[1]) / 2e-2

    _, backprop = model.begin_update((DOCS, PAIRS))
    backprop(weights.astype("f"))
    # A first, a last and an inner token, tokens between, one that belongs to nothing.
    for at in [(0, 0), (1, 2), (4, 3), (3, 3), (5, 1), (14, 2), (16, 1), (18, 0), (19, 5)]:
        close = pytest.approx(slope(vectors.values, at), rel=0.03, abs=0.02)
        assert float(vectors.gradient[at]) == close
    for name in ("head", "tail", "token", "between", "features", "output_layer"):
        layer = model.get_ref(name)
        close = pytest.approx(slope(layer.get_param("W"), (0, 2)), rel=0.05, abs=0.02)
        assert float(layer.get_grad("W")[0, 2]) == close


def test_a_score_does_not_depend_on_the_documents_before(vectors):
    model = make(vectors)
    together = model.predict((DOCS, PAIRS))
    vectors.values = vectors.values[12:]
    alone = CandidatePairs(
        PAIRS.heads[2:] - 12,
        PAIRS.tails[2:3] - 12,
        np.array([0]),
        np.array([0]),
        PAIRS.features[3:4],
    )
    assert model.predict((DOCS[2:], alone)) == pytest.approx(together[3:4], abs=1e-6)


def test_tokens_outside_and_not_between_the_spans_do_not_matter(vectors):
    model = make(vectors)
    before = model.predict((DOCS, PAIRS))
    vectors.values[8:12] = 99.0
    vectors.values[19] = 99.0
    assert np.array_equal(before, model.predict((DOCS, PAIRS)))
    vectors.values[16] = 99.0
    assert not np.allclose(before[3], model.predict((DOCS, PAIRS))[3])


def test_the_head_rate_does_not_change_what_a_new_model_computes_by_scale(vectors):
    spreads = []
    for head_rate in (1.0, 10.0):
        model = pair_classifier(vectors.layer(), hidden_width=64, head_rate=head_rate)
        model.initialize(X=(DOCS, PAIRS))
        spreads.append(float(np.abs(model.predict((DOCS, PAIRS))).mean()))
    assert 0.1 < spreads[0] / spreads[1] < 10.0


def test_the_model_survives_bytes(vectors):
    model = make(vectors)
    copy = pair_classifier(vectors.layer(), hidden_width=8, between_width=4)
    copy.from_bytes(model.to_bytes())
    assert np.array_equal(copy.predict((DOCS, PAIRS)), model.predict((DOCS, PAIRS)))
