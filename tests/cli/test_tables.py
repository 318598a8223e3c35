"""What the commands print in tables."""

import json

import pytest
import spacy
from commands import clinner
from spacy.tokens import DocBin, Span

from spacy_clinner.corpora.jsonl import write_jsonl
from spacy_clinner.corpora.note import Note, NoteSpan

NOTES = ["fever and cough", "no fever today", "cough since monday"]
# Of rich's markup: a tag that nothing opens is an error, one that it knows is not shown.
WORDS = {"fever": "LAB [/value]", "cough": "LAB [red]"}


@pytest.fixture
def model(tmp_path):
    nlp = spacy.blank("en")
    patterns = [{"label": label, "pattern": word} for word, label in WORDS.items()]
    nlp.add_pipe("span_ruler", config={"spans_key": "clinical"}).add_patterns(patterns)
    nlp.to_disk(tmp_path / "model [red]")
    return tmp_path / "model [red]"


@pytest.fixture
def corpus(tmp_path):
    """A folder with the three splits."""
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in NOTES]
    for at, doc in enumerate(docs):
        doc.spans["clinical"] = [
            Span(doc, t.i, t.i + 1, WORDS[t.text]) for t in doc if t.text in WORDS
        ]
        doc.user_data["note_id"] = f"n{at}"
    (tmp_path / "corpus").mkdir()
    for split, doc in zip(("train", "dev", "test"), docs, strict=True):
        whole = [doc] if split != "test" else docs
        DocBin(docs=whole, store_user_data=True).to_disk(tmp_path / f"corpus/{split}.spacy")
    return tmp_path / "corpus"


def record(at, label):
    spans = [{"start": 0, "end": 5, "label": label}]
    return json.dumps({"id": f"n{at}", "text": "fever and cough", "spans": spans}) + "\n"


def test_names_in_brackets_stand_in_the_tables_as_they_are(root, tmp_path, model, corpus):
    (tmp_path / "kinds.csv").write_text("note_id,kind\nn0,[/ward]\nn1,[red]\n")
    done = clinner(
        root, "evaluate", model, corpus / "test.spacy", "--out", tmp_path / "out",
        "--kinds", tmp_path / "kinds.csv", "--against", model,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in ("clinical/LAB [/value]", "clinical/LAB [red]", "[/ward]", "model [red]"):
        assert name in done.stdout
    found = NoteSpan("T1", "LAB [/value]", ((0, 5),))
    write_jsonl([Note("n0", "fever and cough", (found,))], tmp_path / "before.jsonl")
    (tmp_path / "after.jsonl").write_text(record(0, "LAB [red]"))
    done = clinner(root, "corrections", tmp_path / "before.jsonl", tmp_path / "after.jsonl")
    assert done.returncode == 0, done.stderr
    assert "│ LAB [/value]" in done.stdout
