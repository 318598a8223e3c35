"""Which notes `clinner evaluate` scores on."""

import pytest
import spacy
from commands import clinner, refused
from spacy.tokens import DocBin, Span


@pytest.fixture
def folder(tmp_path):
    """A model, a converted corpus under its name, and a catalog that knows another one."""
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "PROBLEM", "pattern": "fever"}])
    nlp.to_disk(tmp_path / "model")
    doc = nlp.make_doc("no fever today")
    doc.spans["clinical"] = [Span(doc, 1, 2, "PROBLEM")]
    (tmp_path / "corpus/mine").mkdir(parents=True)
    (tmp_path / "corpus/train-only").mkdir()
    DocBin(docs=[doc]).to_disk(tmp_path / "corpus/mine/test.spacy")
    entry = 'format = "brat"\nlayers = ["clinical"]\ntrain = ["raw"]\n'
    (tmp_path / "theirs.toml").write_text(f"[theirs]\n{entry}")
    (tmp_path / "own.toml").write_text(f"[mine]\n{entry}")
    return tmp_path


def test_a_name_must_be_in_the_catalog_that_is_named(folder):
    done = clinner(folder, "evaluate", "model", "mine", "--catalog", "theirs.toml")
    assert refused(done, "theirs.toml: no corpus 'mine'. Known: theirs")
    done = clinner(folder, "evaluate", "model", "mine", "--catalog", "nosuch.toml")
    assert refused(done, "nosuch.toml: no such catalog")
    done = clinner(folder, "evaluate", "model", "mine", "--catalog", "own.toml")
    assert done.returncode == 0, done.stderr


def test_a_folder_stands_for_its_test_split(folder):
    done = clinner(folder, "evaluate", "model", "corpus/mine")
    assert done.returncode == 0, done.stderr
    assert "Strict scores on 1 notes" in done.stdout
    done = clinner(folder, "evaluate", "model", "corpus/train-only")
    assert refused(done, "corpus/train-only: holds no test.spacy")


def test_a_file_in_place_of_the_folder_of_reports_is_told_before_anything_is_read(folder):
    done = clinner(folder, "evaluate", "no-model", "corpus/mine", "--out", "own.toml")
    assert refused(done, "own.toml: is a file. --out names the folder of the reports")
