"""The two commands that learn from notes without labels."""

import csv
import random

import pytest
import spacy
from commands import clinner
from spacy.tokens import DocBin
from spacy.training import Example
from thinc.api import fix_random_seed
from tiny_encoders import biomedbert

FIRST = "patient has chest pain today and takes aspirin every morning with some food ."
WORDS = FIRST.split()
# No two share eight words in a row, or they would be copies of one another.
TEXTS = [FIRST, *(" ".join(random.Random(n).sample(WORDS, len(WORDS))) for n in range(8))]


@pytest.fixture
def notes(tmp_path):
    path = tmp_path / "notes.csv"
    with path.open("w", encoding="utf8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["transcription"])
        writer.writerows([text] for text in TEXTS)
    return path


def teacher(path, layer, *entities):
    """A model that has learned to find these entities, and nothing else, in FIRST."""
    fix_random_seed(1)
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_ner", config={"layers": [layer], "ents_from": [layer]}).add_label(
        "PROBLEM", layer
    )
    doc = nlp.make_doc(FIRST)
    doc.spans[layer] = [doc.char_span(*entity, label="PROBLEM") for entity in entities]
    examples = [Example(nlp.make_doc(doc.text), doc)]
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    for _ in range(30):
        nlp.update(examples, sgd=optimizer)
    nlp.to_disk(path)
    return path


@pytest.fixture
def model(tmp_path):
    return teacher(tmp_path / "model", "clinical", (12, 22))


def labelled(path):
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def test_the_notes_that_a_model_is_surest_of_are_kept_with_its_labels(root, tmp_path, model, notes):
    DocBin(docs=[spacy.blank("en")(FIRST)]).to_disk(tmp_path / "test.spacy")
    out = tmp_path / "labelled.spacy"
    done = clinner(root, "label", notes, "--out", out, "--teacher", model, "--layer",
                "clinical", "--keep", 0.5, "--exclude", tmp_path / "test.spacy")  # fmt: skip
    assert done.returncode == 0, done.stderr
    docs = labelled(out)
    assert len(docs) == 4
    assert {doc.text for doc in docs} <= set(TEXTS[1:])
    assert all(list(doc.spans) == ["clinical"] for doc in docs)
    assert any(doc.spans["clinical"] for doc in docs)


def test_of_several_teachers_two_outvote_one_and_who_lacks_a_layer_has_no_vote(
    root, tmp_path, model, notes
):
    blind = teacher(tmp_path / "blind", "clinical")
    other = teacher(tmp_path / "other", "ncbi", (12, 22))
    DocBin(docs=[spacy.blank("en")("Another text .")]).to_disk(tmp_path / "test.spacy")
    found = {}
    for name, teachers in {"with": [model, other], "against": [model, blind, blind, other]}.items():
        out = tmp_path / f"{name}.spacy"
        given = [option for path in teachers for option in ("--teacher", path)]
        done = clinner(root, "label", notes, "--out", out, *given, "--layer", "clinical",
                    "--layer", "ncbi", "--keep", 1,
                    "--exclude", tmp_path / "test.spacy")  # fmt: skip
        assert done.returncode == 0, done.stderr
        found[name] = [{layer: [span.text for span in group] for layer, group in doc.spans.items()}
                       for doc in labelled(out) if doc.text == FIRST]  # fmt: skip
    assert found == {"with": [{"clinical": [FIRST[12:22]], "ncbi": [FIRST[12:22]]}],
                     "against": [{"clinical": [], "ncbi": [FIRST[12:22]]}]}  # fmt: skip


@pytest.mark.parametrize(("layer", "says"), [("clinical", "no text is left"), ("x", "layers x")])
def test_labelling_nothing_is_one_message(root, tmp_path, model, notes, layer, says):
    out = tmp_path / "labelled.spacy"
    DocBin(docs=[spacy.blank("en")("Another text .")]).to_disk(tmp_path / "test.spacy")
    left_out = notes if layer == "clinical" else tmp_path / "test.spacy"
    done = clinner(root, "label", notes, "--out", out, "--teacher", model, "--layer", layer,
                "--exclude", left_out)  # fmt: skip
    assert done.returncode == 1
    assert says in done.stderr
    assert not out.exists()


def test_an_encoder_is_adapted_to_notes(root, tmp_path, notes):
    encoder = biomedbert(tmp_path / "encoder")
    notes.write_text("transcription\n" + "\n".join(f"{text} {n}" * 9 for n, text in
                     enumerate(TEXTS * 70)) + "\n", encoding="utf8")  # fmt: skip
    DocBin(docs=[spacy.blank("en")("Another text .")]).to_disk(tmp_path / "test.spacy")
    done = clinner(root, "adapt", encoder, tmp_path / "adapted", "--train", notes,
                "--exclude", tmp_path / "test.spacy", "--epochs", 1)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "adapted" / "config.json").is_file()
    assert "chest" not in done.stdout + done.stderr
