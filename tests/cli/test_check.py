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


def test_a_layer_of_which_nothing_was_annotated_is_told_of(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "No fever.", "label": [[3, 8, "PROBLEM"]]}\n')
    for split in ("dev", "test"):
        record = f'{{"text": "Fever {split}.", "label": [[0, 5, "PROBLEM"]]}}\n'
        (tmp_path / f"{split}.jsonl").write_text(record)
    (tmp_path / "mine.toml").write_text(
        "[mine]\nformat = 'jsonl'\nlayers = ['clinical', 'modifiers']\ntrain = ['a.jsonl']\n"
        "dev = ['dev.jsonl']\ntest = ['test.jsonl']\n"
    )
    said = "⚠ modifiers: annotated in 3 notes, and not one span in them"
    done = clinner(tmp_path, "convert", "mine", "--catalog", "mine.toml", "--out", ".")
    assert said in done.stdout, done.stderr
    (row,) = (line for line in done.stdout.splitlines() if "modifiers spans" in line)
    assert row.count("0") == 3
    assert "clinical: annotated" not in done.stdout
    done = clinner(tmp_path, "check", "mine")
    assert said in done.stdout, done.stderr
