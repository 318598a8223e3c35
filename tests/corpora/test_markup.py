from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinner import schemes
from spacy_clinner.corpora.formats import read, reformat
from spacy_clinner.corpora.jsonl import write_jsonl
from spacy_clinner.corpora.markup import (
    ENTITIES,
    MODIFIERS,
    parse_markup,
    render_markup,
    write_markup,
)
from spacy_clinner.corpora.note import Attribute, Comment, Note, NoteSpan, Relation
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
    write_markup([parse(MARKED)], tmp_path / "notes")
    (note,) = read(tmp_path / "notes", "markup")
    assert note == parse(MARKED)


@pytest.mark.parametrize(
    "note",
    [
        Note("a", "⟦ fever"),
        Note("a", "no fever", (NoteSpan("T1", "NEGATION", ((0, 2),)),)),
        Note("a", "no fever", (NoteSpan("T1", "DISEASE", ((3, 8),)),)),
        Note("a", "no fever", (NoteSpan("T1", "PROBLEM", ((0, 2), (3, 8))),)),
        Note("a", "no fever", (NoteSpan("T1", "PROBLEM", ((2, 8),)),)),
    ],
)
def test_what_marks_cannot_say_is_refused(note):
    with pytest.raises(ClinnerError):
        render_markup(note)


@st.composite
def nested_notes(draw):
    """Words, some of which are entities, some of these with modifiers in or beside them."""
    words = draw(st.lists(st.text("abc🫀é-", min_size=1, max_size=4), min_size=1, max_size=12))
    text = " ".join(words)
    spans, relations, at = [], [], 0
    legal = schemes.load("clinical").pairs
    for word in words:
        start, at = at, at + len(word) + 1
        label = draw(st.sampled_from([None, *ENTITIES.values()]))
        if label is None:
            continue
        entity = NoteSpan(f"T{len(spans)}", label, ((start, start + len(word)),))
        spans.append(entity)
        if draw(st.booleans()):
            modifier = draw(st.sampled_from(legal[label]))
            inside = NoteSpan(f"T{len(spans)}", modifier, ((start, start + 1),))
            spans.append(inside)
            relations.append(Relation(f"R{len(relations)}", f"has{modifier}", entity.id, inside.id))
    return Note("a", text, tuple(spans), tuple(relations))


def plain(note):
    places = {span.id: (span.start, span.end, span.label) for span in note.spans}
    links = sorted((r.label, places[r.head], places[r.tail]) for r in note.relations)
    return note.text, sorted(places.values()), links


@given(nested_notes())
def test_what_is_written_comes_back(note):
    assert plain(parse(render_markup(note))) == plain(note)


def test_notes_stay_in_their_folder_whatever_their_ids_are(tmp_path):
    notes = [Note(name, name) for name in ("../victim", "b", "b", "sub/a", "/etc/x", "..")]
    changed = write_markup(notes, tmp_path / "in" / "out")
    back = list(read(tmp_path / "in" / "out", "markup"))
    assert sorted(note.text for note in back) == sorted(note.text for note in notes)
    assert {"b", "b-2", "sub/a"} <= {note.id for note in back}
    assert len(changed) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["in"]
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["out"]


def test_a_folder_that_holds_something_is_not_written_over(tmp_path):
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(ClinnerError, match="is there already"):
        write_markup([Note("a", "text")], tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]


@pytest.mark.parametrize("text", ["\ufefffever", "fever\r\ncough\r", "\ufeff\ufeff"])
def test_texts_come_back_as_they_were(tmp_path, text):
    write_markup([Note("a", text)], tmp_path / "out")
    assert [note.text for note in read(tmp_path / "out", "markup")] == [text]


def test_half_of_a_surrogate_pair_is_refused(tmp_path):
    with pytest.raises(ClinnerError, match="half of a surrogate pair"):
        write_markup([Note("a", "fever\ud83e")], tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_marks_have_no_place_for_is_told(tmp_path):
    spans = (
        NoteSpan("T1", "PROBLEM", ((3, 8),), codes=("C0015967",)),
        NoteSpan("T2", "NEGATION", ((0, 2),)),
        NoteSpan("T3", "PROBLEM", ((12, 17),)),
    )
    relations = (
        Relation("R1", "hasNEGATION", "T1", "T2"),
        Relation("R2", "Negates", "T3", "T2"),
        Relation("R3", "worse", "T1", "T3"),
        Relation("R4", "hasNEGATION", "T2", "T2"),
        Relation("R5", "hasNEGATION", "E9", "T2"),
    )
    note = Note(
        "a",
        "no fever or cough",
        spans,
        relations,
        (Attribute("A1", "Course", "T1", "new"), Attribute("A2", "Sure", "T1")),
        comments=(Comment("#1", "AnnotatorNotes", "T1", "?"),),
        labels=("PROBLEM",),
    )
    write_jsonl([note], tmp_path / "in.jsonl")
    done, left_out = reformat(tmp_path / "in.jsonl", tmp_path / "out", "jsonl", "markup")
    assert done == [note]
    assert Counter(problem.reason.split(":")[0] for problem in left_out) == {
        "attributes": 2,
        "codes": 1,
        "comments": 1,
        "labels": 1,
        "relations": 4,
    }
    assert all("in.jsonl" in problem.where for problem in left_out)
    (back,) = read(tmp_path / "out", "markup")
    assert [(r.head, r.tail) for r in back.relations] == [("T1", "T3"), ("T2", "T3")]


def test_a_link_that_the_scheme_does_not_allow_is_told_and_not_written():
    spans = (
        NoteSpan("T1", "PROBLEM", ((0, 5),)),
        NoteSpan("T2", "TEST", ((6, 10),)),
        NoteSpan("T3", "LABVALUE", ((11, 13),)),
    )
    links = tuple(Relation(f"R{at}", "hasLABVALUE", f"T{at}", "T3") for at in (1, 2))
    marked = render_markup(Note("a", "fever temp 39", spans, links))
    assert marked == "⟦P1|fever⟧ ⟦X2|temp⟧ ⟦VAL>X2|39⟧"


def test_the_marks_stand_for_all_labels_of_the_schemes():
    assert set(ENTITIES.values()) == set(schemes.load("clinical").labels)
    assert set(MODIFIERS.values()) == set(schemes.load("modifiers").labels)
