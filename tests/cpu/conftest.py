import pytest
from tiny_pipelines import blank, make_encoder, train, write_corpus


@pytest.fixture(scope="session")
def blank_nlp():
    """A blank pipeline with the clinical tokenizer."""
    return blank()


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory):
    """The folder of a tiny BERT."""
    pytest.importorskip("spacy_transformers")
    pytest.importorskip("openvino")
    return make_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def trained(tiny_encoder, tmp_path_factory):
    """The folder of a trained pipeline with `clinner_ner`."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    train(tiny_encoder).to_disk(folder)
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A .spacy file with gold spans."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "dev.spacy", range(100, 108))


@pytest.fixture(scope="session")
def edition(trained, corpus, tmp_path_factory):
    """The folder of its CPU edition, in float32."""
    from spacy_clinner.cpu.edition import optimize

    folder = tmp_path_factory.mktemp("edition") / "model"
    optimize(trained, folder, precision="fp32", dev=corpus)
    return folder
