import pytest

from spacy_clinner import schemes
from spacy_clinner.corpora.formats import read
from spacy_clinner.corpora.markup import ENTITIES, MODIFIERS, parse_markup
from spacy_clinner.errors import ClinnerError

MARKED = (
    "⟦NEG>P1,P2|No⟧ ⟦P1|fever⟧ or ⟦P2|⟦SEV>P2|severe⟧ ⟦LOC>P2|chest⟧ pain⟧.\n⟦X1|K⟧ ⟦VAL>X1|5.9⟧"
)


def parse(marked):
    return parse_markup(marked, "a", "a.txt")


def test_marks_become_spans_and_links():
    note = parse(MARKED)
    assert note.text == "No fever or severe chest pain.\nK 5.9"
    words = {span.id: note.text[span.start : span.end] for span in note.spans}
    assert [(s.label, words[s.id]) for s in note.spans] == [
        ("PROBLEM", "fever"),
        ("PROBLEM", "severe chest pain"),
        ("TEST", "K"),
        ("NEGATION", "No"),
        ("SEVERITY", "severe"),
        ("BODYLOC", "chest"),
        ("LABVALUE", "5.9"),
    ]
    assert {(r.label, words[r.head], words[r.tail]) for r in note.relations} == {
        ("hasNEGATION", "fever", "No"),
        ("hasNEGATION", "severe chest pain", "No"),
        ("hasSEVERITY", "severe chest pain", "severe"),
        ("hasBODYLOC", "severe chest pain", "chest"),
        ("hasLABVALUE", "K", "5.9"),
    }


@pytest.mark.parametrize(
    ("marked", "message"),
    [
        ("a\n⟦P1|fever", "a.txt:2: a mark that is not closed"),
        ("fever⟧", "a.txt:1: a ⟧ that closes nothing"),
        ("⟦Q1|fever⟧", "without a known code|closes nothing"),
        ("⟦P1|fever⟧ ⟦P1|cough⟧", "P1 is there twice"),
        ("⟦P1|fever ⟧", "P1 is blank, or begins or ends with a blank"),
        ("⟦P1|⟧", "P1 is blank"),
        ("⟦NEG>P2|no⟧ ⟦P1|fever⟧", "NEGATION is linked to P2, which is not there"),
        ("⟦XXX>P1|no⟧ ⟦P1|fever⟧", "unknown code XXX"),
        ("⟦VAL>P1|39⟧ ⟦P1|fever⟧", "a LABVALUE may not modify a PROBLEM"),
    ],
)
def test_what_is_broken_is_refused_with_its_line(marked, message):
    with pytest.raises(ClinnerError, match=message):
        parse(marked)


def test_a_folder_of_marked_notes_is_a_corpus(tmp_path):
    (tmp_path / "a.txt").write_text(MARKED, encoding="utf8")
    (note,) = read(tmp_path, "markup")
    assert note == parse(MARKED)


def test_the_marks_stand_for_all_labels_of_the_schemes():
    assert set(ENTITIES.values()) == set(schemes.load("clinical").labels)
    assert set(MODIFIERS.values()) == set(schemes.load("modifiers").labels)
