import sqlite3
from contextlib import closing

import numpy as np
import pyarrow as pa
import pytest
import spacy
from pyarrow import parquet as pq
from spacy.tokens import Span
from spacy.training import Example
from typer.testing import CliRunner

from spacy_clinner.cli import app
from spacy_clinner.corpora.corrections import compare
from spacy_clinner.corpora.jsonl import read_jsonl
from spacy_clinner.corpora.suggestion_files import SUGGESTED
from spacy_clinner.corpora.suggestions import palette_of
from spacy_clinner.errors import ClinnerError
from spacy_clinner.schemes import load
from spacy_clinner.training.selection import Looks, choose, drawn, expected_errors, look
from spacy_clinner.training.suggesting import suggest

WORDS = ("fever", "cough", "asthma")
TEXTS = [f"Visit {n}. Denies {WORDS[n % 3]} today. Seen at noon." for n in range(12)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A pipeline that knows three problems, without an encoder."""
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    nlp.add_pipe("clinner_ner")
    nlp.add_pipe("clinner_sentences")
    nlp.add_pipe("clinner_context")
    examples = []
    for text in TEXTS:
        gold = nlp.make_doc(text)
        spans = [Span(gold, t.i, t.i + 1, label="PROBLEM") for t in gold if t.text in WORDS]
        gold.spans["clinical"] = spans
        examples.append(Example(nlp.make_doc(text), gold))
    with nlp.select_pipes(enable=["clinner_ner"]):
        sgd = nlp.initialize(lambda: examples)
        for _ in range(25):
            nlp.update(examples, sgd=sgd)
    path = tmp_path_factory.mktemp("model") / "model"
    nlp.to_disk(path)
    return path


def test_a_note_that_is_known_is_expected_to_have_fewer_errors(model):
    odd = "Pt c/o SOB w/ exertion; hx COPD ? CHF."
    errors = look(spacy.load(model), [TEXTS[0], odd, ""], ["clinical"]).errors
    assert errors[2] == 0.0
    assert errors[0] < errors[1]


def test_a_note_is_judged_by_the_spans_that_the_pipeline_gives(model):
    nlp = spacy.load(model)
    first, second = "Denies fever", "cough and asthma"
    ner = nlp.get_pipe("clinner_ner")
    # Nothing is learned: all tags are equally likely, so that spans across the blank line count.
    ner.model.get_ref("output_layer").initialize()
    whole, *parts = (
        expected_errors(ner, nlp.make_doc(text), ["clinical"])
        for text in (f"{first}\n\n{second}", first, second)
    )
    assert whole == pytest.approx(sum(parts))


def test_vectors_are_of_length_one(model):
    vectors = look(spacy.load(model), TEXTS[:3], ["clinical"]).vectors
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0)


def looks(errors, vectors):
    vectors = np.array(vectors, dtype=float)
    return Looks(np.array(errors), vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_of_uncertain_notes_those_unlike_each_other_come_first():
    two_kinds = [(1, 0.01), (1, 0.02), (0.01, 1), (0.02, 1)]
    assert choose(looks([9.0, 8.0, 5.0, 0.1], two_kinds), 2, "uncertainty") == [0, 2]


def test_what_a_model_knows_is_left_for_the_end():
    found = looks([0.0, 3.0, 0.0, 2.0], np.eye(4))
    assert {*choose(found, 4, "uncertainty")[:2]} == {1, 3}


def test_diversity_takes_one_of_each_kind():
    kinds = [(1, 0, 0), (1, 0.1, 0), (0, 1, 0), (0, 1, 0.1), (0, 0, 1)]
    chosen = choose(looks([1.0] * 5, kinds), 3, "diversity")
    assert len({0 if at < 2 else 1 if at < 4 else 2 for at in chosen}) == 3


@pytest.mark.parametrize("by", ["uncertainty", "diversity", "random"])
def test_each_note_is_chosen_once_and_no_more_than_there_are(by):
    rng = np.random.default_rng(0)
    found = looks(rng.random(9), rng.random((9, 4)))
    assert sorted(choose(found, 50, by)) == [*range(9)]
    assert choose(found, 5, by) == choose(found, 5, by)


def test_a_sample_of_a_stream_is_in_its_order_and_of_all_its_parts():
    assert drawn(iter(range(5)), 10) == [*range(5)]
    sample = drawn(iter(range(1000)), 50)
    assert len({*sample}) == 50
    assert sample == sorted(sample)
    assert 300 < np.mean(sample) < 700


def test_suggestions_have_the_models_spans_and_assertions(model, tmp_path):
    notes = [(f"n{n}", text) for n, text in enumerate(TEXTS)]
    found = suggest(str(model), notes, tmp_path / "out", "label-studio", count=3)
    assert len(found) == 3
    assert all(s.expected_errors is not None for s in found)
    back = list(read_jsonl(tmp_path / "out" / SUGGESTED))
    assert [note.id for note in back] == [s.note.id for s in found]
    for note in back:
        (span,) = note.spans
        assert span.surface in WORDS
        assert [(a.label, a.value) for a in note.attributes] == [("assertion", "absent")]


def test_suggestions_are_made_for_the_notes_of_a_database(model, tmp_path):
    pytest.importorskip("sqlalchemy")
    with closing(sqlite3.connect(tmp_path / "ward.db")) as database, database:
        database.execute("CREATE TABLE notes (note_id TEXT, text TEXT)")
        rows = [(f"n{n}", text) for n, text in enumerate(TEXTS)]
        database.executemany("INSERT INTO notes VALUES (?, ?)", rows)
    command = ["suggest", str(model), f"sqlite:///{tmp_path}/ward.db", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--to", "jsonl", "--count", "3", "--table", "notes"])
    assert done.exit_code == 0, done.output
    back = [(note.id, note.text) for note in read_jsonl(tmp_path / "out" / SUGGESTED)]
    assert len(back) == 3
    assert {*back} <= {*rows}


def test_layers_that_a_model_does_not_have_are_refused(model, tmp_path):
    with pytest.raises(ClinnerError, match="no layer 'umls'"):
        suggest(str(model), [("a", "b")], tmp_path, "jsonl", layers=["umls"])
    with pytest.raises(ClinnerError, match="no note with a text"):
        suggest(str(model), [("a", " ")], tmp_path, "jsonl")
    with pytest.raises(ClinnerError, match="not by 'luck'"):
        suggest(str(model), [("a", "b")], tmp_path, "jsonl", by="luck")


def test_what_cannot_be_written_is_told_before_a_model_looks_at_the_notes(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    for out, tool, by, told in (
        (tmp_path / "new", "paper", "random", "no tool"),
        (tmp_path, "brat", "random", "is there already and is not replaced"),
        (tmp_path / "new", "brat", "luck", "not by 'luck'"),
    ):
        with pytest.raises(ClinnerError, match=told):
            suggest("no/such/model", [("a", "b")], out, tool, by=by)


def test_a_pipeline_without_calibrated_confidence_has_nothing_to_suggest(tmp_path):
    nlp = spacy.blank("en")
    nlp.to_disk(tmp_path / "model")
    with pytest.raises(ClinnerError, match="no clinner_ner"):
        suggest(str(tmp_path / "model"), [("a", "b")], tmp_path / "out", "jsonl")


def suggested(model, notes, out):
    done = CliRunner().invoke(app, ["suggest", str(model), str(notes), str(out), "--to", "jsonl"])
    assert done.exit_code == 0, done.output
    return done.output, {note.id: note.text for note in read_jsonl(out / SUGGESTED)}


def test_of_several_recognisers_one_is_to_be_chosen_and_not_taken_by_chance(model, tmp_path):
    nlp = spacy.load(model)
    nlp.add_pipe("clinner_ner", name="wards", source=nlp)
    nlp.to_disk(tmp_path / "model")
    with pytest.raises(ClinnerError, match="several clinner_ner: clinner_ner, wards"):
        suggest(str(tmp_path / "model"), [("1", TEXTS[0])], tmp_path / "out", "jsonl")


def test_suggestions_are_made_for_text_files_as_they_are_written(model, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_bytes("Denies fever.\nNo café.".encode())
    (tmp_path / "notes/b.txt").write_bytes(b"caf\xe9")
    (tmp_path / "notes/c.txt").write_bytes(b" \n")
    told, found = suggested(model, tmp_path / "notes", tmp_path / "out")
    assert found == {"a": "Denies fever.\nNo café."}
    assert "⚠ left out, 1 (not UTF-8), 1 (an empty text): clinner annotate tells which" in told


def test_suggestions_leave_out_and_count_what_cannot_be_read(model, tmp_path):
    texts = pa.array([b"Denies fever.", b"\xff", None, b"cough", b"asthma"], pa.binary())
    ids = pa.array([b"a", b"b", b"c", None, b"a"], pa.binary())
    pq.write_table(pa.table({"note_id": ids, "text": texts}), tmp_path / "n.parquet")
    told, found = suggested(model, tmp_path / "n.parquet", tmp_path / "out")
    assert found == {"a": "Denies fever.", "a-2": "asthma"}
    assert "⚠ left out, 1 (not UTF-8), 1 (no text), 1 (the id is null)" in told


def test_where_no_note_can_be_read_the_error_says_why(model, tmp_path):
    rows = b"note_id,text\na,T 38\xb0C\nb,\nc\n"
    (tmp_path / "n.csv").write_bytes(rows)
    given = ["suggest", str(model), str(tmp_path / "n.csv"), str(tmp_path / "out"), "--to", "jsonl"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 1
    told = "no note is left to suggest anything for: 1 (not UTF-8), 1 (an empty text), 1 (the row"
    assert told in str(done.exception) + done.output


def test_what_was_suggested_before_is_not_suggested_again(model, tmp_path):
    rows = "".join(f"n{n},{text}\n" for n, text in enumerate(TEXTS))
    (tmp_path / "n.csv").write_text(f"note_id,text\n{rows}")
    given = ["suggest", str(model), str(tmp_path / "n.csv")]
    first = [*given, str(tmp_path / "first"), "--to", "jsonl", "--count", "5"]
    assert CliRunner().invoke(app, first).exit_code == 0
    before = tmp_path / "first" / SUGGESTED
    second = [*given, str(tmp_path / "second"), "--to", "jsonl", "--exclude", str(before)]
    done = CliRunner().invoke(app, second)
    assert "⚠ left out, 5 (excluded)" in done.output
    known, found = ({note.text for note in read_jsonl(tmp_path / out / SUGGESTED)}
                    for out in ("first", "second"))  # fmt: skip
    assert found == {*TEXTS} - known


def test_all_notes_of_a_patient_whose_number_is_their_id_are_suggested(model, tmp_path):
    rows = "".join(f"7,{text}\n" for text in TEXTS[:4])
    (tmp_path / "n.csv").write_text(f"mrn,text\n{rows}")
    out = tmp_path / "out"
    given = ["suggest", str(model), str(tmp_path / "n.csv"), str(out), "--id", "mrn"]
    done = CliRunner().invoke(app, [*given, "--to", "jsonl"])
    assert done.exit_code == 0, done.output
    back = {note.id: note.text for note in read_jsonl(out / SUGGESTED)}
    assert back == dict(zip(["7", "7-2", "7-3", "7-4"], TEXTS, strict=False))


def test_ids_that_occur_twice_are_numbered(model, tmp_path):
    notes = [("1", TEXTS[0]), ("1-2", TEXTS[1]), ("1", TEXTS[2]), ("1", TEXTS[3])]
    found = suggest(str(model), notes, tmp_path / "out", "brat")
    assert {s.note.id: s.note.text for s in found} == dict(
        zip(["1", "1-2", "1-3", "1-4"], TEXTS[:4], strict=True)
    )
    assert compare(read_jsonl(tmp_path / "out" / SUGGESTED), [s.note for s in found]).unchanged == 4


def test_what_was_suggested_once_is_left_as_it_is_being_corrected(model, tmp_path):
    (tmp_path / "a.txt").write_text(TEXTS[0])
    given = ["suggest", str(model), str(tmp_path / "a.txt"), str(tmp_path / "out"), "--once"]
    assert CliRunner().invoke(app, [*given, "--to", "jsonl"]).exit_code == 0
    before = (tmp_path / "out" / SUGGESTED).stat().st_mtime_ns
    (tmp_path / "a.txt").write_text(TEXTS[1])
    (tmp_path / "out/corrected.json").write_text("[]")
    done = CliRunner().invoke(app, [*given, "--to", "brat"])
    assert done.exit_code == 0
    assert "was suggested before. Delete it" in done.output
    assert (tmp_path / "out" / SUGGESTED).stat().st_mtime_ns == before


def test_a_note_that_is_too_long_for_a_pipeline_is_left_out_and_counted(model, tmp_path, caplog):
    notes = [("a", TEXTS[0]), ("b", "x " * 600_000)]
    found = suggest(str(model), notes, tmp_path / "out", "jsonl")
    assert [s.note.id for s in found] == ["a"]
    assert "1 notes of more than 1,000,000 characters, left out" in caplog.text
    with pytest.raises(ClinnerError, match="no note with a text"):
        suggest(str(model), notes[1:], tmp_path / "other", "jsonl")


def test_the_labels_of_a_layer_of_modifiers_are_not_judged():
    modifiers = load("modifiers")
    palette = palette_of({"modifiers": modifiers.labels}, {"modifiers": modifiers})
    assert palette.judged == []
