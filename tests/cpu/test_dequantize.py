import numpy as np
import pytest
import spacy
from tiny_pipelines import make_text

from spacy_clinner.cpu.dequantize import dequantize
from spacy_clinner.cpu.edition import optimize

TEXTS = [make_text(seed, 40) for seed in range(400, 404)]


@pytest.fixture(scope="module")
def int8(trained, corpus, tmp_path_factory):
    pytest.importorskip("nncf")
    folder = tmp_path_factory.mktemp("int8") / "model"
    optimize(trained, folder, calibration=corpus, n_batches=8, force=True)
    return folder


def vectors(folder):
    nlp = spacy.load(folder, disable=["drop_vectors", "clinner_drop_vectors"])
    return np.concatenate([doc.tensor for doc in nlp.pipe(TEXTS)])


def distance(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def test_without_int8_instructions_only_the_weights_are_rounded(int8, edition, monkeypatch):
    expected = vectors(edition)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert distance(vectors(int8), expected) < 0.02


def test_a_graph_without_int8_stays_as_it_is(edition):
    openvino = pytest.importorskip("openvino")
    folder = edition / "transformer"
    graph = openvino.Core().read_model(folder / "encoder.xml")
    before = [node.get_friendly_name() for node in graph.get_ordered_ops()]
    dequantize(graph)
    assert [node.get_friendly_name() for node in graph.get_ordered_ops()] == before


def test_no_int8_is_left_in_the_graph(int8):
    openvino = pytest.importorskip("openvino")
    graph = openvino.Core().read_model(int8 / "transformer" / "encoder.xml")
    dequantize(graph)
    kinds = {node.get_type_name() for node in graph.get_ordered_ops()}
    types = {str(node.get_output_element_type(0)) for node in graph.get_ordered_ops()}
    assert "FakeQuantize" not in kinds
    assert not any("int8" in kind or "'u8'" in kind for kind in types)
