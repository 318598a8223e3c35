from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, Span

from clinner.corpora.note import Attribute, Event, Note, NoteSpan, Relation
from clinner.evaluation.assertion import assertion_scores, class_scores, flag_scores
from clinner.evaluation.negation import judge, linked_negation, polarity_negation, read_negex


def span(span_id: str, label: str, start: int, end: int) -> NoteSpan:
    return NoteSpan(span_id, label, ((start, end),))


def test_a_flag_is_scored_by_its_yes_cases():
    score = flag_scores([(True, True), (True, False), (False, True), (False, False)])
    assert score == {"p": 0.5, "r": 0.5, "f": 0.5, "gold": 2}


def test_no_pairs_score_nothing():
    assert flag_scores([])["f"] == 0.0


def test_classes_are_scored_one_by_one():
    scores = class_scores([("a", "a"), ("b", "a")], ("a", "b", "c"))
    assert scores["a"] == {"p": 0.5, "r": 1.0, "f": 2 / 3, "gold": 1}
    assert scores["b"]["r"] == 0.0
    assert scores["c"]["gold"] == 0


def make_doc(**values: object) -> Doc:
    nlp = spacy.blank("en")
    doc = nlp("no fever")
    doc.set_ents([Span(doc, 1, 2, "PROBLEM")])
    for name, value in values.items():
        setattr(doc.ents[0]._, name, value)
    return doc


def test_docs_are_scored_on_the_attributes_that_gold_has():
    gold, predicted = make_doc(negated=True), make_doc(negated=True, assertion="absent")
    scores = assertion_scores([(gold, predicted)])
    assert list(scores) == ["negated"]
    assert scores["negated"]["True"]["f"] == 1.0


def test_a_problem_linked_to_a_negation_is_negated():
    spans = (
        span("T1", "negation", 0, 2),
        span("T2", "problem", 3, 8),
        span("T3", "PROBLEM", 9, 14),
    )
    note = Note("a", "no fever cough", spans, (Relation("R1", "hasAttr", "T2", "T1"),))
    assert [mention.negated for mention in linked_negation(note)] == [True, False]


def test_an_event_with_negative_polarity_is_negated():
    note = Note(
        "a",
        "no fever cough",
        (span("T1", "Sign_symptom", 3, 8), span("T2", "Sign_symptom", 9, 14)),
        attributes=(Attribute("A1", "POLARITY", "E1", "NEG"),),
        events=(Event("E1", "Sign_symptom", "T1"), Event("E2", "Sign_symptom", "T2")),
    )
    assert [mention.negated for mention in polarity_negation(note)] == [True, False]


def test_negex_rows_are_read_with_the_concept_in_small_letters(tmp_path: Path):
    path = tmp_path / "negex.tsv"
    path.write_text("concept\tsentence\tnegation\nrash\tNo RASH here.\tNegated\n", encoding="utf8")
    assert [text for text, _ in read_negex(path)] == ["No rash here."]
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_context", config={"span_keys": ["gold"]})
    (judged,) = judge(nlp, read_negex(path), "clinical")
    assert judged.predicted
    assert judged.mention.negated


@pytest.mark.corpora
def test_the_rules_alone_reach_their_figure_on_negex(assets: Path):
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_sentences")
    nlp.add_pipe("clinner_context", config={"span_keys": ["gold"]})
    judged = judge(nlp, read_negex(assets / "negex" / "negex_dev.tsv"), "clinical")
    score = flag_scores([(item.mention.negated, item.predicted) for item in judged])
    assert score["gold"] == 240
    assert score["f"] >= 0.97
