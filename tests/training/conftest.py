import pytest
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab


@pytest.fixture
def texts(tmp_path):
    doc = Doc(Vocab(), words=["No", "fever", "."])
    doc.cats = {"A": 1.0, "B": 0.0}
    path = tmp_path / "texts.spacy"
    DocBin(docs=[doc]).to_disk(path)
    return path
