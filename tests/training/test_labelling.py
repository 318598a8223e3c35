"""Several teachers, one of them a language model behind a real server."""

import json
import re

import pytest
import spacy
from chat_servers import serving, text_asked
from commands import clinner
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from spacy_clinner.errors import ClinnerError
from spacy_clinner.training.labelling import label

TEXTS = ["Denies fever.", "Has a rash and cough.", "Fever again, rash gone.", "Unreadable cough."]


def write_teacher(folder, layer, words, confidence):
    """A pipeline that is as sure of each of its words as is said."""
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("span_ruler", config={"spans_key": layer})
    ruler.add_patterns([{"label": "PROBLEM", "pattern": [{"LOWER": word}]} for word in words])
    nlp.add_pipe("sure_of_its_words", config={"layer": layer, "confidence": confidence})
    nlp.to_disk(folder)


@spacy.Language.factory("sure_of_its_words")
class Sure:
    def __init__(self, nlp, name, layer, confidence):  # noqa: ARG002
        self.layer = layer
        self.confidence = confidence

    def __call__(self, doc):
        for span in doc.spans[self.layer]:
            span._.confidence = self.confidence
        return doc


def answer(body, _):
    """Finds fever and cough, and fails on one note."""
    text = text_asked(body)
    if "Unreadable" in text:
        return 400, b""
    words = re.findall("(?i)fever|cough", text)
    return json.dumps({"entities": [{"text": word, "label": "PROBLEM"} for word in words]})


@pytest.fixture
def teachers(tmp_path):
    """A trained teacher, a language model, and the texts as a file."""
    write_teacher(tmp_path / "sure", "clinical", ["fever", "rash", "cough"], 0.7)
    rows = "\n".join(f'"{text}"' for text in TEXTS)
    (tmp_path / "notes.csv").write_text(f"transcription\n{rows}\n", encoding="utf8")
    with serving(answer) as (url, _):
        nlp = spacy.blank("en")
        settings = {"layers": ["clinical"], "constrained": False, "tries": 1}
        nlp.add_pipe("clinner_llm", config={"base_url": url, "model": "m", **settings})
        nlp.to_disk(tmp_path / "llm")
        yield tmp_path


def test_a_language_model_agrees_or_not_and_on_what_it_failed_the_others_decide(teachers):
    done = label(
        [teachers / "notes.csv"],
        teachers / "out.spacy",
        [teachers / "sure", teachers / "llm"],
        ["clinical"],
        keep=1.0,
    )
    kept = {doc.text: [span.text for span in doc.spans["clinical"]] for doc in done.docs}
    # Rash: 0.7 and nothing are a mean of 0.35. In the note that the model could not read, 0.7.
    assert kept == {
        "Denies fever.": ["fever"],
        "Has a rash and cough.": ["cough"],
        "Fever again, rash gone.": ["Fever"],
        "Unreadable cough.": ["cough"],
    }
    sure = done.agreement[str(teachers / "sure"), "clinical"]
    model = done.agreement[str(teachers / "llm"), "clinical"]
    assert (sure.notes, sure.found, sure.kept, sure.elected) == (4, 6, 4, 4)
    assert (model.notes, model.found, model.kept, model.elected) == (3, 3, 3, 3)


def test_the_command_prints_how_far_the_teachers_agree(teachers):
    (teachers / "test.csv").write_text("transcription\nWell today.\n", encoding="utf8")
    arguments = ["--teacher", "sure", "--teacher", "llm", "--layer", "clinical", "--keep", "1"]
    arguments += ["--exclude", "test.csv"]
    done = clinner(teachers, "label", "notes.csv", "--out", "out.spacy", *arguments)
    assert done.returncode == 0, done.stderr
    rows = [row.split("│")[1:-1] for row in done.stdout.splitlines() if "│" in row]
    found = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    assert found["sure"] == ["clinical", "4", "6", "66.7%", "100.0%"]
    assert found["llm"] == ["clinical", "3", "3", "100.0%", "100.0%"]
    docs = list(DocBin().from_disk(teachers / "out.spacy").get_docs(Vocab()))
    assert len(docs) == 4


def test_a_language_model_alone_labels_what_it_could_read(teachers):
    done = label(
        [teachers / "notes.csv"], teachers / "out.spacy", [teachers / "llm"], ["clinical"], keep=1.0
    )
    assert done.notes == 3
    assert sorted(span.text for doc in done.docs for span in doc.spans["clinical"]) == [
        "Fever",
        "cough",
        "fever",
    ]


@pytest.mark.parametrize("wrong", [{"keep": -1.0}, {"keep": 2.0}, {"keep": 0.0}, {"notes": 0}])
def test_how_many_to_label_and_which_part_to_keep_are_checked_before_anything_is_read(
    tmp_path, wrong
):
    with pytest.raises(ClinnerError, match=f"--{next(iter(wrong))}"):
        label([tmp_path / "none.csv"], tmp_path / "out.spacy", [tmp_path], ["clinical"], **wrong)
