from commands import clinner
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab


def corpus(folder, texts):
    folder.mkdir()
    for split, label in texts.items():
        doc = Doc(Vocab(), words=["No", "fever", "in", split])
        doc.spans["clinical"] = [Span(doc, 1, 2, label)]
        DocBin(docs=[doc, Doc(Vocab(), words=[split])]).to_disk(folder / f"{split}.spacy")
    return folder


def test_labels_are_counted_and_what_is_worth_a_look_is_said(tmp_path):
    folder = corpus(tmp_path / "mine", {"train": "PROBLEM", "dev": "PROBLEM", "test": "DRUG"})
    done = clinner(tmp_path, "check", folder)
    assert done.returncode == 0, done.stderr
    for said in (
        "clinical/PROBLEM", "DRUG is in dev or test but never in train",
        "PROBLEM has only 1 examples in train", "train: 1 of 2 notes hold no span",
        "no note stands in two splits",
    ):  # fmt: skip
        assert said in done.stdout


def test_a_note_of_two_splits_stops_the_check(tmp_path):
    folder = corpus(tmp_path / "mine", {"train": "PROBLEM", "dev": "PROBLEM", "test": "DRUG"})
    (folder / "test.spacy").write_bytes((folder / "train.spacy").read_bytes())
    done = clinner(tmp_path, "check", folder)
    assert done.returncode == 1
    assert "a note of train stands in test too" in done.stderr
