import pytest

from clinner import schemes
from clinner.corpora import alignment
from clinner.corpora.alignment import Aligner, drop_duplicates
from clinner.corpora.note import Attribute, Event, Note, NoteSpan, Problem, Relation
from clinner.errors import ClinnerError

TEXT = "No fever or chest pain. Aspirin 81mg daily"


def span(id, label, words, text=TEXT, fragments=None):
    start = text.index(words)
    return NoteSpan(id, label, fragments or ((start, start + len(words)),))


def note(*spans, text=TEXT, **kwargs):
    return Note("n1", text, tuple(spans), source="n1.ann", **kwargs)


@pytest.fixture
def aligner(nlp):
    return Aligner(nlp, tuple(schemes.load(name) for name in ("clinical", "modifiers")))


def reasons(losses):
    return [loss.reason for loss in losses]


def test_spans_go_to_their_layers_and_the_first_layer_becomes_the_entities(aligner):
    doc, losses = aligner.align(
        note(
            span("T1", "NEGATION", "No"),
            span("T2", "problem", "fever"),
            span("T3", "DRUG", "Aspirin"),
        )
    )
    assert losses == []
    assert [(s.text, s.label_) for s in doc.spans["clinical"]] == [
        ("fever", "PROBLEM"),
        ("Aspirin", "DRUG"),
    ]
    assert [s.text for s in doc.spans["modifiers"]] == ["No"]
    assert [e.text for e in doc.ents] == ["fever", "Aspirin"]
    assert doc.spans["clinical"][0]._.layer == "clinical"


def test_an_annotated_layer_without_mentions_is_an_empty_group_and_entities_are_set(aligner):
    doc, _ = aligner.align(note())
    assert len(doc.spans["clinical"]) == 0
    assert doc.has_annotation("ENT_IOB")


def test_a_span_inside_a_token_is_snapped_and_reported(aligner):
    doc, losses = aligner.align(note(span("T1", "PROBLEM", "feve")))
    assert [e.text for e in doc.ents] == ["fever"]
    assert reasons(losses) == [alignment.SNAPPED]
    assert (losses[0].start, losses[0].end, losses[0].text) == (3, 7, "feve")


def test_a_span_with_white_space_at_its_end_is_trimmed_and_reported(nlp, aligner):
    text = "fever  \n\nchills"
    doc, losses = aligner.align(note(span("T1", "PROBLEM", "fever  \n\n", text), text=text))
    assert [e.text for e in doc.ents] == ["fever"]
    assert reasons(losses) == [alignment.TRIMMED]


def test_a_span_of_white_space_only_is_dropped_and_reported(aligner):
    text = "fever  \n\nchills"
    doc, losses = aligner.align(note(NoteSpan("T1", "PROBLEM", ((7, 8),)), text=text))
    assert doc.ents == ()
    assert reasons(losses) == [alignment.EMPTY]


def test_of_overlapping_spans_in_a_layer_the_longest_stays_and_the_other_is_reported(aligner):
    doc, losses = aligner.align(
        note(
            span("T1", "PROBLEM", "pain"),
            span("T2", "PROBLEM", "chest pain"),
            span("T3", "BODYLOC", "chest"),
        )
    )
    assert [s.text for s in doc.spans["clinical"]] == ["chest pain"]
    assert [s.text for s in doc.spans["modifiers"]] == ["chest"]
    assert reasons(losses) == [alignment.OVERLAP]


def test_the_same_span_twice_is_called_a_duplicate(aligner):
    _, losses = aligner.align(note(span("T1", "PROBLEM", "fever"), span("T2", "PROBLEM", "fever")))
    assert reasons(losses) == [alignment.DUPLICATE]


def test_a_discontinuous_span_is_flattened_and_reported(aligner):
    fragments = ((3, 8), (18, 22))
    doc, losses = aligner.align(note(span("T1", "PROBLEM", "fever", fragments=fragments)))
    assert [e.text for e in doc.ents] == ["fever or chest pain"]
    assert reasons(losses) == [alignment.FLATTENED]


def test_what_the_reader_complained_of_is_in_the_report(aligner):
    bad = span("T1", "PROBLEM", "fever")
    problems = (
        Problem("n1.ann:3", "a line that is no annotation"),
        Problem("n1.ann:4", "odd", bad),
    )
    _, losses = aligner.align(note(bad, problems=problems))
    assert [(loss.source, loss.label) for loss in losses] == [
        ("n1.ann:3", None),
        ("n1.ann:4", "PROBLEM"),
    ]
    assert all(loss.reason.startswith("source: ") for loss in losses)


def test_an_unknown_label_stops_with_file_id_and_the_known_labels(aligner):
    with pytest.raises(ClinnerError, match=r"n1\.ann: T1 at 3-8 .*'SYMPTOM'.*PROBLEM"):
        aligner.align(note(span("T1", "SYMPTOM", "fever")))


def test_linked_negation_becomes_gold_relations_modifiers_and_the_negated_flag(aligner):
    doc, _ = aligner.align(
        note(
            span("T1", "NEGATION", "No"),
            span("T2", "PROBLEM", "fever"),
            span("T3", "PROBLEM", "chest pain"),
            span("T4", "DRUG", "Aspirin"),
            relations=(
                Relation("R1", "hasAttr", "T2", "T1"),
                Relation("R2", "hasAttr", "T3", "T1"),
                Relation("R3", "illegal", "T1", "T4"),
            ),
        )
    )
    assert [(r.head.text, r.tail.text) for r in doc._.relations] == [
        ("fever", "No"),
        ("chest pain", "No"),
    ]
    assert [(e.text, e._.negated) for e in doc.ents] == [
        ("fever", True),
        ("chest pain", True),
        ("Aspirin", False),
    ]
    assert [m.span.text for m in doc.ents[0]._.modifiers] == ["No"]


def test_a_polarity_attribute_on_an_event_reaches_the_span_of_its_trigger(nlp):
    aligner = Aligner(nlp, (schemes.load("maccrobat"),))
    doc, _ = aligner.align(
        note(
            span("T1", "Sign_symptom", "fever"),
            events=(Event("E1", "Sign_symptom", "T1"),),
            attributes=(Attribute("A1", "POLARITY", "E1", "NEG"),),
        )
    )
    assert doc.ents[0]._.negated


def test_a_view_renames_labels_and_leaves_out_the_rest(nlp):
    aligner = Aligner(nlp, (schemes.load("maccrobat"),), view="simple")
    doc, losses = aligner.align(
        note(span("T1", "Sign_symptom", "fever"), span("T2", "Dosage", "81mg"))
    )
    assert [(e.text, e.label_) for e in doc.ents] == [("fever", "SYMPTOM")]
    assert losses == []


def test_an_unknown_view_is_refused_with_the_known_ones(nlp):
    with pytest.raises(ClinnerError, match="simple"):
        Aligner(nlp, (schemes.load("maccrobat"),), view="simpel")


def test_a_text_that_occurs_twice_is_kept_once_and_stays_in_what_is_scored():
    losses = []
    notes = [
        ("train", Note("a", "No  fever .\n")),
        ("train", Note("b", "Cough")),
        ("train", Note("c", "cough ")),
        ("test", Note("d", "no fever.")),
    ]
    assert [n.id for _, n in drop_duplicates(notes, losses)] == ["b", "d"]
    assert [(loss.note, loss.text, loss.reason) for loss in losses] == [
        ("a", "d", "duplicate note: left out of train, same text as one in test"),
        ("c", "b", "duplicate note: left out of train, same text as one in train"),
    ]


def test_fragments_with_only_white_space_between_them_are_one_span(aligner):
    text = "chest\n  pain"
    doc, losses = aligner.align(note(NoteSpan("T1", "PROBLEM", ((0, 5), (8, 12))), text=text))
    assert [e.text for e in doc.ents] == [text]
    assert losses == []
