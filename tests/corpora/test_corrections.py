import json

import pytest

from spacy_clinner.corpora.corrections import compare
from spacy_clinner.corpora.duplicates import drop_duplicates
from spacy_clinner.corpora.jsonl import read_jsonl
from spacy_clinner.corpora.note import Attribute, Note, NoteSpan, Relation
from spacy_clinner.corpora.votes import vote
from spacy_clinner.errors import ClinnerError

TEXT = "No chest pain. Takes aspirin 5 mg."


def note(*spans, links=(), said=(), name="n1"):
    return Note(
        name,
        TEXT,
        tuple(NoteSpan(f"T{at}", label, ((a, b),)) for at, (a, b, label) in enumerate(spans, 1)),
        tuple(Relation(f"R{at}", "modified_by", h, t) for at, (h, t) in enumerate(links, 1)),
        tuple(Attribute(f"A{at}", "assertion", t, v) for at, (t, v) in enumerate(said, 1)),
    )


NO, PAIN, CHEST_PAIN = (0, 2, "NEGATION"), (9, 13, "PROBLEM"), (3, 13, "PROBLEM")
ASPIRIN, MG = (21, 28, "DRUG"), (29, 33, "STRENGTH")


def test_every_span_is_accepted_changed_deleted_or_added():
    before = note(NO, PAIN, ASPIRIN, (14, 20, "TEST"))
    after = note(NO, CHEST_PAIN, (21, 28, "TREATMENT"), MG)
    found = compare([before], [after]).as_json()
    assert found["spans"] == {"accepted": 1, "changed": 2, "deleted": 1, "added": 1}
    assert found["by_label"]["PROBLEM"]["changed"] == 1
    assert found["by_label"]["STRENGTH"]["added"] == 1
    assert found["label_changes"] == {"DRUG -> TREATMENT": 1}
    assert (found["notes"], found["unchanged"], found["missing"]) == (1, 0, 0)


def test_a_link_or_an_assertion_of_a_span_that_was_changed_is_still_its_own():
    before = note(NO, PAIN, ASPIRIN, links=[("T2", "T1")], said=[("T2", "absent")])
    after = note(
        NO, CHEST_PAIN, ASPIRIN, links=[("T2", "T1"), ("T3", "T1")], said=[("T2", "possible")]
    )
    found = compare([before], [after]).as_json()
    assert found["links"] == {"accepted": 1, "changed": 0, "deleted": 0, "added": 1}
    assert found["assertions"] == {"accepted": 0, "changed": 1, "deleted": 0, "added": 0}


def test_a_note_that_nobody_changed_is_told_from_one_that_did_not_come_back():
    kept, gone = note(NO, PAIN), note(NO, name="n2")
    found = compare([kept, gone.__class__("n2", "Other.")], [note(NO, PAIN)])
    assert (found.notes, found.unchanged, found.missing) == (1, 1, 1)


def test_a_note_is_found_by_its_text_where_the_tool_gave_it_another_id():
    assert compare([note(NO)], [note(NO, name="17")]).unchanged == 1
    with pytest.raises(ClinnerError, match="neither ids nor texts"):
        compare([note(NO)], [Note("x", "Something else.")])
    with pytest.raises(ClinnerError, match="another text"):
        compare([note(NO)], [Note("n1", "Something else.")])


def exported(tmp_path, *annotations):
    task = {"id": 1, "data": {"body": TEXT, "title": "Ward 7", "note_id": "n1"}}
    task["annotations"] = list(annotations)
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task]))
    return path


def annotation(by, *spans, seconds=30.0):
    results = [
        {"id": f"r{at}", "type": "labels", "from_name": "label", "to_name": "text",
         "value": {"start": a, "end": b, "text": TEXT[a:b], "labels": [label]}}
        for at, (a, b, label) in enumerate(spans)
    ]  # fmt: skip
    return {"completed_by": by, "result": results, "lead_time": seconds}


def minutes_of(path, annotator=None):
    return compare([note(NO)], [*read_jsonl(path, annotator)]).minutes


def labels(path, annotator):
    (found,) = read_jsonl(path, annotator)
    return [(s.start, s.end, s.label) for s in found.spans]


def test_one_of_several_annotators_is_chosen_or_most_of_them_decide(tmp_path):
    path = exported(
        tmp_path,
        annotation(7, NO, PAIN),
        annotation({"id": 8, "email": "b@example.org"}, NO, CHEST_PAIN),
        annotation(9, NO, CHEST_PAIN, ASPIRIN),
    )
    assert labels(path, None) == [NO, PAIN]
    assert labels(path, "b@example.org") == [NO, CHEST_PAIN]
    assert labels(path, "vote") == [NO, CHEST_PAIN]
    (found,) = read_jsonl(path, "nobody")
    assert [p.reason for p in found.problems][:1] == ["no annotation for the text"]
    assert minutes_of(path, "vote") == 1.5
    assert minutes_of(path, "b@example.org") == 0.5


def test_what_measures_no_time_has_no_minutes(tmp_path):
    lines = tmp_path / "doccano.json"
    lines.write_text("\n".join(json.dumps({"text": t, "label": []}) for t in (TEXT, "Pain.")))
    assert minutes_of(lines) is None
    assert minutes_of(exported(tmp_path, annotation(7, NO, seconds=None))) is None


def test_most_of_the_annotators_decide_on_links_and_attributes_too():
    one = note(NO, PAIN, links=[("T2", "T1")], said=[("T2", "absent")])
    other = note(NO, PAIN, links=[("T2", "T1")])
    agreed = vote([one, other, note(NO, PAIN, said=[("T2", "absent")])])
    assert [(r.head, r.tail) for r in agreed.relations] == [("T2", "T1")]
    assert [a.value for a in agreed.attributes] == ["absent"]
    # Half are not most.
    assert vote([one, other]).attributes == ()
    assert vote([note(NO), note(PAIN)]).spans == ()


def test_a_span_became_the_one_with_its_label_before_the_one_that_comes_first():
    before = note((3, 8, "SEVERITY"), (9, 13, "PROBLEM"))
    found = compare([before], [note(CHEST_PAIN)]).as_json()
    assert found["by_label"]["SEVERITY"]["deleted"] == 1
    assert found["by_label"]["PROBLEM"]["changed"] == 1
    assert found["label_changes"] == {}


def test_notes_with_one_id_are_told_apart_by_their_texts():
    first, second = note(NO, name="1"), Note("1", "Another text.")
    assert compare([first, second], [first, second]).unchanged == 2


def test_a_number_of_the_tools_that_is_the_id_of_another_note_does_not_matter():
    first, second = note(NO, name="00002"), Note("00001", "Another text.")
    back = [note(NO, name="00001"), Note("00002", "Another text.")]
    assert compare([first, second], back).unchanged == 2
    assert (found := compare([first, second], back[:1])).missing == 1
    assert found.unchanged == 1


def test_notes_with_one_text_are_told_apart_by_their_ids():
    first, second = note(NO, name="a"), note(PAIN, name="b")
    assert compare([first, second], [second, first]).unchanged == 2
    numbered = [note(NO, name="7"), note(PAIN, name="8")]
    assert compare([first, second], numbered).unchanged == 2


def test_what_is_told_of_a_note_is_what_is_learned_from_it(tmp_path):
    def session(who, label):
        spans = [{"start": 9, "end": 13, "label": label}]
        meta = {"note_id": "n1"}
        return {"text": TEXT, "meta": meta, "spans": spans, "_session_id": f"notes-{who}"}

    path = tmp_path / "corrected.jsonl"
    for again, told in (("anna", "TEST"), ("bert", "PROBLEM")):
        records = [session("anna", "PROBLEM"), session(again, "TEST")]
        path.write_text("\n".join(map(json.dumps, records)))
        back = list(read_jsonl(path))
        (_, learned), *_ = drop_duplicates([("train", one) for one in back], [])
        assert [span.label for span in learned.spans] == [told]
        changes = compare([note(PAIN)], back).changes
        assert [*changes] == ([] if told == "PROBLEM" else ["PROBLEM -> TEST"])


def test_white_space_that_a_format_does_not_keep_is_no_correction():
    before = Note("n1", "No  pain. Fever.", (NoteSpan("T1", "PROBLEM", ((10, 15),)),))
    after = Note("n1", "No pain.\nFever.", (NoteSpan("T1", "PROBLEM", ((9, 14),)),))
    assert compare([before], [after]).unchanged == 1


def test_minutes_are_of_the_annotations_that_are_compared(tmp_path):
    skipped = {**annotation(9, seconds=600.0), "was_cancelled": True}
    path = exported(tmp_path, skipped, annotation(7, NO), annotation(8, NO, seconds=60.0))
    assert minutes_of(path) == 0.5
    assert minutes_of(path, "vote") == 1.5
    truth = {**annotation(8, NO, seconds=60.0), "ground_truth": True}
    assert minutes_of(exported(tmp_path, annotation(7, NO), truth)) == 1.0


@pytest.mark.parametrize("place", ["export.json", "export.jsonl", "export"])
def test_minutes_are_those_of_notes_that_were_suggested_wherever_they_stand(tmp_path, place):
    (task,) = json.loads(exported(tmp_path, annotation(7, NO, seconds=60.0)).read_text())
    (old,) = json.loads(exported(tmp_path, annotation(7, seconds=600.0)).read_text())
    task["data"], old["data"] = {"text": TEXT, "note_id": "n1"}, {"text": "No pain."}
    path = tmp_path / place
    if place == "export":
        path.mkdir()
        for name, one in (("a.json", task), ("b.json", old)):
            (path / name).write_text(json.dumps([one]))
    else:
        lines = [json.dumps(one) for one in (task, old)]
        path.write_text("\n".join(lines) if path.suffix == ".jsonl" else f"[{','.join(lines)}]")
    assert minutes_of(path) == 1.0
