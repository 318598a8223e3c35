from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_clinner.corpora.note import Attribute, Event, Note, NoteSpan, Relation
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.assertion import (
    assertion_scores,
    class_scores,
    flag_scores,
    negated_end_to_end,
    wrong_assertions,
)
from spacy_clinner.evaluation.negation import (
    judge,
    judge_with_relations,
    linked_negation,
    polarity_negation,
    read_negex,
    without_annotation,
)
from spacy_clinner.evaluation.note_counts import note_counts
from spacy_clinner.pipeline.context.scorer import score_assertion


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


def test_an_entity_with_another_assertion_than_gold_is_told_with_the_evidence():
    gold = make_doc(negated=True, uncertain=False, experiencer="patient")
    guess = make_doc(uncertain=True, experiencer="family", assertion_evidence=["rule:fam"])
    captions = [wrong.caption for wrong in wrong_assertions(Example(guess, gold), "ents")]
    assert captions == [
        "negation: 'fever' gold absent, predicted not judged (rule:fam)",
        "uncertainty: 'fever' gold certain, predicted uncertain (rule:fam)",
        "experiencer: 'fever' gold patient, predicted family (rule:fam)",
    ]


def test_an_attribute_that_gold_does_not_store_is_no_error():
    assert wrong_assertions(Example(make_doc(negated=True), make_doc()), "ents") == []


def linked_doc(nlp: Language, text: str, negated: tuple[str, ...]) -> Doc:
    doc = nlp.make_doc(text)
    spans = [doc[i : i + 1] for i, token in enumerate(doc) if token.text in {"fever", "cough"}]
    doc.spans["clinical"] = [
        Span(doc, span.start, span.end, "PROBLEM", span_id="clinical") for span in spans
    ]
    doc.spans["modifiers"] = [
        Span(doc, token.i, token.i + 1, "NEGATION", span_id="modifiers")
        for token in doc
        if token.lower_ == "no"
    ]
    (modifier,) = doc.spans["modifiers"]
    linked = [span for span in doc.spans["clinical"] if span.text in negated]
    doc._.relations = [(span, modifier, None) for span in linked]
    for span in linked:
        span._.negated = True
    return doc


def test_nothing_but_the_spans_of_gold_reaches_the_pipeline():
    gold = linked_doc(spacy.blank("en"), "No fever \n but cough.", ("fever",))
    given = without_annotation(gold, "clinical")
    assert given.text == gold.text
    assert given.user_data.get("clinner") is None
    assert [span.text for span in given.ents] == ["fever", "cough"]
    assert [span.text for span in given.spans["modifiers"]] == ["No"]
    assert gold._.relations


def test_gold_spans_are_judged_by_each_way_to_combine_rules_and_relations():
    nlp = spacy.blank("en")
    texts = ["No fever but cough.", "Cough today, no fever."] * 4
    golds = [linked_doc(nlp, text, ("fever",)) for text in texts]
    nlp.add_pipe("clinner_relations")
    nlp.add_pipe("clinner_sentences")
    context = nlp.add_pipe("clinner_context", config={"combine": "either"})
    nlp.initialize(lambda: [Example(nlp.make_doc(gold.text), gold) for gold in golds])
    judged = judge_with_relations(nlp, golds)
    assert list(judged) == ["rules", "relations", "either", "relations_first"]
    rules = [(item.mention.negated, item.predicted) for item in judged["rules"]]
    assert flag_scores(rules)["f"] == 1.0
    evidence = {name for item in judged["relations"] for name in item.evidence}
    assert evidence <= {"modifier:NEGATION"}
    assert context.combine == "either"


def test_a_pipeline_without_relations_is_told_what_it_lacks():
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_context")
    with pytest.raises(ClinnerError, match="clinner_relations"):
        judge_with_relations(nlp, [])


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


def negated_doc(nlp: Language, *found: tuple[int, int, bool | None]) -> Doc:
    doc = nlp("no fever , no chest pain , cough")
    spans = [Span(doc, start, end, "PROBLEM") for start, end, _ in found]
    doc.spans["clinical"] = spans
    for item, (_, _, negated) in zip(spans, found, strict=True):
        if negated is not None:
            item._.negated = negated
    return doc


def test_end_to_end_a_negated_entity_must_be_found_exactly_and_negated():
    nlp = spacy.blank("en")

    def doc_of(*found: tuple[int, int, bool]) -> Doc:
        return negated_doc(nlp, *found)

    gold = doc_of((1, 2, True), (4, 6, True), (7, 8, False))
    predicted = doc_of((1, 2, True), (5, 6, True), (7, 8, True))
    scores = negated_end_to_end([(gold, predicted)], "clinical")
    assert scores == {"PROBLEM": {"p": 1 / 3, "r": 0.5, "f": 0.4, "gold": 2}}


def test_negation_that_gold_does_not_judge_is_neither_right_nor_wrong():
    nlp = spacy.blank("en")
    gold = negated_doc(nlp, (1, 2, True), (4, 6, None))
    predicted = negated_doc(nlp, (1, 2, True), (4, 6, True))
    assert negated_end_to_end([(gold, predicted)], "clinical")["PROBLEM"]["f"] == 1.0
    counts = note_counts([Example(predicted, gold)], ["clinical"])
    assert counts["negated_end_to_end", "clinical", "PROBLEM"].tolist() == [[1, 1, 1]]
    scores = score_assertion([Example(predicted, gold)], span_keys=["clinical"])
    assert scores["negated_end_to_end_f"] == pytest.approx(1.0)


def test_a_note_in_which_gold_judges_no_negation_has_no_false_alarms():
    nlp = spacy.blank("en")
    right = negated_doc(nlp, (1, 2, True)), negated_doc(nlp, (1, 2, True))
    silent = negated_doc(nlp, (1, 2, None)), negated_doc(nlp, (4, 6, True))
    assert negated_end_to_end([right, silent], "clinical")["PROBLEM"]["f"] == 1.0
    examples = [Example(predicted, gold) for gold, predicted in (right, silent)]
    counts = note_counts(examples, ["clinical"])["negated_end_to_end", "clinical", "PROBLEM"]
    assert counts.sum(axis=0).tolist() == [1, 1, 1]
    scores = score_assertion(examples, span_keys=["clinical"])
    assert scores["negated_end_to_end_f"] == pytest.approx(1.0)


def test_a_label_of_which_all_negation_is_wrong_has_a_score():
    nlp = spacy.blank("en")
    docs = [(negated_doc(nlp, (1, 2, False)), negated_doc(nlp, (1, 2, True)))]
    assert negated_end_to_end(docs, "clinical") == {
        "PROBLEM": {"p": 0.0, "r": 0.0, "f": 0.0, "gold": 0}
    }
    assert assertion_scores(docs, "clinical")["negated"]["True"]["f"] == 0.0


def test_negation_that_gold_judges_nowhere_has_no_score():
    nlp = spacy.blank("en")
    docs = [(negated_doc(nlp, (1, 2, None)), negated_doc(nlp, (4, 6, True)))]
    assert negated_end_to_end(docs, "clinical") == {}


def test_classes_that_neither_gold_nor_the_pipeline_names_have_no_score():
    docs = [(make_doc(assertion="absent"), make_doc(assertion="possible"))]
    assert list(assertion_scores(docs)["assertion"]) == ["absent", "possible"]
