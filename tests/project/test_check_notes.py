import runpy
from dataclasses import replace

import pytest

from spacy_clinner import schemes
from spacy_clinner.corpora.catalog import Corpus
from spacy_clinner.corpora.note import Note, NoteSpan, Problem, Relation
from spacy_clinner.errors import ClinnerError

WORDS = "No fever or chest pain today. "
TEXT = WORDS + "The patient feels well. " * 24
FEVER = NoteSpan("T1", "PROBLEM", ((3, 8),), "fever")
NEGATION = NoteSpan("T2", "NEGATION", ((0, 2),), "No")
LINK = Relation("R1", "hasAttr", "T1", "T2")
GOOD = Note("n1", TEXT, (FEVER, NEGATION), (LINK,))
LAYERS = (schemes.load("clinical"), schemes.load("modifiers"))
CORPUS = Corpus("mine", "brat", LAYERS, {})


@pytest.fixture
def script(root):
    return runpy.run_path(str(root / "scripts/check_notes.py"))


@pytest.mark.parametrize(("corpus", "notes"), [("sample", 90), ("notes", 627)])
def test_our_corpora_have_no_fault(script, root, monkeypatch, capsys, corpus, notes):
    monkeypatch.chdir(root)
    script["main"](corpus, root / "configs/corpora.toml")
    assert f"{notes} notes" in capsys.readouterr().out


def test_a_good_note_has_no_fault(script):
    assert script["faults_of"](GOOD, CORPUS) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"problems": (Problem("n1.ann:1", "odd line"),)}, "odd line"),
        ({"text": WORDS}, "6 words"),
        ({"spans": (FEVER, NEGATION, NoteSpan("T3", "COLOR", ((0, 2),), "No"))}, "in no layer"),
        ({"spans": (replace(FEVER, surface="cough"), NEGATION)}, "do not cover"),
        (
            {"spans": (FEVER, NEGATION, NoteSpan("T3", "DRUG", ((3, 11),), "fever or"))},
            "T1 and T3 overlap in the clinical layer",
        ),
        ({"relations": (LINK, Relation("R2", "hasAttr", "T2", "T1"))}, "NEGATION may not have a"),
        ({"relations": ()}, "T2: the NEGATION is linked to nothing"),
    ],
)
def test_a_fault_inside_a_note_is_named(script, changes, says):
    (fault,) = script["faults_of"](replace(GOOD, **changes), CORPUS)
    assert says in fault


def test_faults_between_notes_are_named(script):
    notes = [("train", GOOD), ("dev", replace(GOOD, text=TEXT.upper()))]
    faults = script["faults_between"](notes, CORPUS)
    assert any("2 notes; at least" in fault for fault in faults)
    assert any("the same id: n1" in fault for fault in faults)
    assert any("the same text" in fault for fault in faults)
    for split in ("train", "dev", "test"):
        assert f"{split}: no DRUG anywhere" in faults
    assert "dev: no PROBLEM anywhere" not in faults
    assert "test: no PROBLEM anywhere" in faults


def test_a_corpus_with_faults_stops_with_their_list(script, tmp_path):
    (tmp_path / "a.txt").write_text("No fever.", encoding="utf8")
    (tmp_path / "a.ann").write_text("T1\tPROBLEM 3 8\tfever\n", encoding="utf8")
    catalog = tmp_path / "corpora.toml"
    catalog.write_text(
        f"[mine]\nformat = 'brat'\nlayers = ['clinical']\ntrain = ['{tmp_path}']\n", encoding="utf8"
    )
    with pytest.raises(ClinnerError, match=r"a\.ann: 2 words"):
        script["main"]("mine", catalog)


@pytest.mark.parametrize(
    ("words", "layer", "says"),
    [
        ("a fall", "clinical", "an article"),
        ("1. fall", "clinical", "the mark of a list"),
        ("fall\n\nPlan", "clinical", "empty line"),
        ("fall\n- cough", "clinical", "next item"),
        ("today,", "modifiers", "punctuation"),
    ],
)
def test_what_the_guideline_forbids_in_a_span_is_named(script, words, layer, says):
    (fault,) = script["faults_of_span"](words, layer)
    assert says in fault


@pytest.mark.parametrize("words", ["fall", "pain in\nthe knee", "q.i.d."])
def test_what_the_guideline_allows_is_no_fault(script, words):
    assert script["faults_of_span"](words, "clinical") == []


def test_text_that_two_splits_share_is_named(script):
    run = " ".join(f"word{at}" for at in range(script["SHARED"]))
    notes = [("train", Note("a", f"x {run}")), ("test", Note("b", f"{run} y"))]
    assert script["shared_text"](notes) == ["a and b stand in two splits and share text"]
    assert script["shared_text"]([("train", note) for _, note in notes]) == []
