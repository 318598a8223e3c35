import json
import logging

import pytest

from spacy_clinner.corpora.checks import (
    CANCELLED,
    CHOICES_LEFT_OUT,
    COMMENTS_LEFT_OUT,
    DUPLICATE_DOCUMENT,
    LINE_ENDS,
    LINE_ENDS_LOST,
    NO_ANNOTATION,
    OTHER_ANNOTATOR,
    RELATION_LEFT_OUT,
    RESULT_LEFT_OUT,
    SURFACE_DIFFERS,
    UTF16,
)
from spacy_clinner.corpora.jsonl import read_jsonl, write_jsonl
from spacy_clinner.corpora.note import Attribute, Note, NoteSpan, Relation
from spacy_clinner.errors import ClinnerError

TEXT = "No fever. Aspirin 81 mg."
ASPIRIN, DOSE = (10, 17), (18, 23)


@pytest.fixture
def file(tmp_path):
    def put(*records, name="notes.jsonl"):
        lines = (r if isinstance(r, str) else json.dumps(r) for r in records)
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return tmp_path / name

    return put


def only(path) -> Note:
    (note,) = read_jsonl(path)
    return note


def found(note):
    return [(span.start, span.end, span.label) for span in note.spans]


def reasons(note):
    return [problem.reason for problem in note.problems]


def prodigy_span(offsets, label, **more):
    return {"start": offsets[0], "end": offsets[1], "label": label, **more}


def test_prodigy_spans_and_relations_are_read_with_or_without_tokens(file):
    drug, dose = prodigy_span(ASPIRIN, "DRUG", token_start=3), prodigy_span(DOSE, "DOSAGE")
    relation = {"head": 3, "child": 5, "head_span": drug, "child_span": dose, "label": "hasDose"}
    record = {
        "text": TEXT,
        "meta": {"id": 12},
        "tokens": [],
        "spans": [drug, dose],
        "relations": [relation],
        "answer": "accept",
    }
    note = only(file(record))
    assert note.id == "12"
    assert found(note) == [(*ASPIRIN, "DRUG"), (*DOSE, "DOSAGE")]
    assert note.relations == (Relation("R1", "hasDose", "T1", "T2"),)
    assert note.problems == ()


def test_a_prodigy_relation_without_spans_is_reported(file):
    record = {"text": TEXT, "spans": [], "relations": [{"head": 1, "child": 2, "label": "x"}]}
    assert reasons(only(file(record))) == [RELATION_LEFT_OUT]


def test_a_prodigy_example_in_which_nothing_was_marked_is_annotated(file):
    tokens = [{"text": "Seen", "start": 0, "end": 4, "id": 0}]
    record = {"text": TEXT, "tokens": tokens, "_view_id": "ner_manual", "answer": "accept"}
    note = only(file(record))
    assert (note.annotated, note.linked, note.spans, note.problems) == (True, False, (), ())
    assert list(read_jsonl(file({**record, "answer": "ignore"}))) == []


def test_prodigy_examples_not_accepted_are_left_out_and_counted(file, caplog):
    path = file(
        {"text": TEXT, "spans": [], "answer": "reject"},
        {"text": TEXT, "spans": [], "answer": "ignore"},
        {"text": TEXT, "spans": None},
    )
    with caplog.at_level(logging.WARNING):
        assert [note.id for note in read_jsonl(path)] == ["notes-3"]
    assert "1 'reject', 1 'ignore'" in caplog.text
    assert "Aspirin" not in caplog.text


@pytest.mark.parametrize("text_key", ["text", "data"])
@pytest.mark.parametrize("label_key", ["label", "labels"])
def test_doccano_triples_are_read(file, text_key, label_key):
    note = only(file({"id": 3, text_key: TEXT, label_key: [[*ASPIRIN, "DRUG"]], "Comments": []}))
    assert note.id == "3"
    assert found(note) == [(*ASPIRIN, "DRUG")]
    assert note.problems == ()


def test_doccano_entities_and_relations_are_read(file):
    record = {
        "id": 3,
        "text": TEXT,
        "entities": [
            {"id": 40, "label": "DRUG", "start_offset": 10, "end_offset": 17},
            {"id": 41, "label": "DOSAGE", "start_offset": 18, "end_offset": 23},
        ],
        "relations": [
            {"id": 7, "from_id": 40, "to_id": 41, "type": "hasDose"},
            {"id": 8, "from_id": 40, "to_id": 99, "type": "hasDose"},
        ],
        "Comments": ["see page 2"],
    }
    note = only(file(record))
    assert found(note) == [(*ASPIRIN, "DRUG"), (*DOSE, "DOSAGE")]
    assert [(r.head, r.tail) for r in note.relations] == [("T1", "T2")]
    assert reasons(note) == [RELATION_LEFT_OUT, COMMENTS_LEFT_OUT]


@pytest.mark.parametrize("key", ["spans", "entities", "label"])
def test_records_without_a_place_for_relations_say_that_nobody_looked_for_them(file, key):
    record = {"text": TEXT, key: []}
    assert not only(file(record)).linked
    if key != "label":
        assert only(file(record | {"relations": []})).linked


def region(id, offsets, label, **more):
    value = {"start": offsets[0], "end": offsets[1], "labels": [label], **more}
    return {"id": id, "from_name": "label", "to_name": "text", "type": "labels", "value": value}


def task(*results, **more):
    return {"id": 5, "data": {"text": TEXT}, "annotations": [{"result": list(results), **more}]}


def test_label_studio_regions_relations_and_properties_are_read(file):
    relation = {"type": "relation", "from_id": "a", "to_id": "b", "labels": ["hasDose"]}
    choice = {
        "id": "a",
        "from_name": "status",
        "type": "choices",
        "value": {"start": 10, "end": 17, "choices": ["active"]},
    }
    note = only(
        file(task(relation, choice, region("a", ASPIRIN, "DRUG"), region("b", DOSE, "DOSAGE")))
    )
    assert note.id == "5"
    assert found(note) == [(*ASPIRIN, "DRUG"), (*DOSE, "DOSAGE")]
    assert note.relations == (Relation("R1", "hasDose", "T1", "T2"),)
    assert note.attributes == (Attribute("A1", "status", "T1", "active"),)
    assert note.problems == ()


@pytest.mark.parametrize(
    ("direction", "ends"),
    [
        ("right", [("T1", "T2")]),
        ("left", [("T2", "T1")]),
        ("bi", [("T1", "T2"), ("T2", "T1")]),
    ],
)
def test_label_studio_relations_follow_their_direction(file, direction, ends):
    relation = {"type": "relation", "from_id": "a", "to_id": "b", "direction": direction}
    note = only(file(task(region("a", ASPIRIN, "DRUG"), region("b", DOSE, "DOSAGE"), relation)))
    assert [(r.head, r.tail) for r in note.relations] == ends


def test_doccanos_annotations_are_read_and_numbers_for_labels_refused(file):
    item = {"id": 4, "label": "DRUG", "start_offset": 10, "end_offset": 17, "user": 1}
    record = {"id": 1, "text": TEXT, "annotations": [item], "meta": {}}
    note = only(file(record))
    assert found(note) == [(*ASPIRIN, "DRUG")]
    assert reasons(note) == []
    record["annotations"] = [{**item, "label": 2}]
    with pytest.raises(ClinnerError, match="the number 2 in place of a label"):
        only(file(record))
    with pytest.raises(ClinnerError, match="span 1 needs"):
        only(file({**record, "annotations": [{"label": "DRUG", "user": 1}]}))


def test_label_studios_text_may_have_another_name(file):
    record = task(region("a", ASPIRIN, "DRUG", text="Aspirin"))
    record["data"] = {"note": TEXT, "page": 3}
    note = only(file(record))
    assert note.text == TEXT
    assert found(note) == [(*ASPIRIN, "DRUG")]
    record["data"]["title"] = "A note"
    assert only(file(record)).text == TEXT
    del record["annotations"][0]["result"][0]["value"]["text"]
    with pytest.raises(ClinnerError, match="several that could be it: note, title"):
        only(file(record))


@pytest.mark.parametrize(
    "more",
    [
        {"assertion": "absent"},
        {"assertion": [{"start": 0, "end": 7, "choices": ["absent"]}]},
        {"certain": [{"start": 0, "end": 7, "choices": ["no"]}]},
    ],
)
def test_choices_of_label_studios_flat_export_are_told(file, more):
    label = [{"start": 10, "end": 17, "text": "Aspirin", "labels": ["DRUG"]}]
    record = {"id": 1, "text": TEXT, "label": label, "annotation_id": 1, "annotator": 1}
    note = only(file({**record, **more}))
    assert ([span.label for span in note.spans], note.attributes) == (["DRUG"], ())
    assert reasons(note) == [CHOICES_LEFT_OUT]
    assert reasons(only(file(record))) == []


def test_label_studio_exports_one_list(file):
    tasks = [task(region("a", ASPIRIN, "DRUG")), {**task(), "id": 6}]
    note, empty = read_jsonl(file(json.dumps(tasks, indent=2), name="export.json"))
    assert found(note) == [(*ASPIRIN, "DRUG")]
    assert (empty.id, empty.spans, empty.problems) == ("6", (), ())


def test_of_several_annotators_the_ground_truth_counts_and_the_others_are_reported(file):
    record = task(region("a", ASPIRIN, "OLD"))
    record["annotations"] += [
        {"result": [region("a", ASPIRIN, "DRUG")], "ground_truth": True},
        {"result": [], "was_cancelled": True},
    ]
    note = only(file(record))
    assert found(note) == [(*ASPIRIN, "DRUG")]
    assert reasons(note) == [CANCELLED, OTHER_ANNOTATOR]


def test_a_label_studio_task_that_nobody_annotated_is_reported(file):
    assert reasons(only(file({**task(), "annotations": []}))) == [NO_ANNOTATION]


def test_a_label_studio_result_about_the_whole_text_is_reported(file):
    whole = {"id": "z", "from_name": "kind", "type": "choices", "value": {"choices": ["ED note"]}}
    assert reasons(only(file(task(whole)))) == [RESULT_LEFT_OUT]


def test_label_studio_writes_newlines_out_and_squeezes_white_space(file):
    record = task(region("a", (0, 11), "X", text="Chest\\npain"))
    record["data"]["text"] = "Chest\n pain."
    assert only(file(record)).problems == ()


@pytest.mark.parametrize(
    "record",
    [
        task(region("a", ASPIRIN, "DRUG", text="Tylenol")),
        {"text": TEXT, "spans": [prodigy_span(ASPIRIN, "DRUG", text="Tylenol")]},
    ],
)
def test_a_span_whose_text_is_another_is_kept_and_reported(file, record):
    note = only(file(record))
    assert found(note) == [(*ASPIRIN, "DRUG")]
    assert reasons(note) == [SURFACE_DIFFERS]


def test_offsets_that_were_counted_with_other_line_ends_are_repaired_or_dropped(file):
    text = "No fever.\r\n\r\nAspirin."
    spans = [prodigy_span((11, 18), "DRUG", text="Aspirin"), prodigy_span((3, 7), "X", text="flu")]
    note = only(file({"text": text, "spans": spans}))
    assert [text[s.start : s.end] for s in note.spans] == ["Aspirin"]
    assert reasons(note) == [LINE_ENDS, LINE_ENDS_LOST]


def test_a_text_without_any_annotation_key_is_reported(file):
    assert reasons(only(file({"text": TEXT}))) == [NO_ANNOTATION]


@pytest.mark.parametrize("text", ["", None])
@pytest.mark.parametrize(
    "record",
    [
        {"label": []},
        {"spans": []},
        {"data": {}, "annotations": [{"result": []}]},
        {"clinner": 1, "spans": []},
    ],
)
def test_a_record_without_a_text_is_one_that_nobody_annotated(file, record, text):
    if "clinner" in record:
        empty = {**record, "text": text or ""}
    elif "data" in record:
        empty = {**record, "data": {"text": text}}
    else:
        empty = {**record, "text": text}
    first, second = read_jsonl(file({"id": "1", **empty}, {"id": "2", "text": TEXT, "label": []}))
    assert (first.id, first.text, first.annotated, second.annotated) == ("1", "", False, True)
    assert reasons(first) == [NO_ANNOTATION]


def test_the_second_of_two_records_with_one_id_is_reported(file):
    record = {"id": 1, "text": TEXT, "label": []}
    other = {**record, "text": "Another text."}
    assert [reasons(note) for note in read_jsonl(file(record, other))] == [[], [DUPLICATE_DOCUMENT]]


def session(who, *spans):
    """An example of Prodigy."""
    given = [prodigy_span(place, label) for place, label in spans]
    return {"text": TEXT, "meta": {"note_id": "1"}, "spans": given, "_session_id": f"notes-{who}"}


def test_of_what_one_annotator_made_twice_the_last_counts_and_the_first_is_reported(file):
    made = [session("anna", (ASPIRIN, "TEST")), {"id": 2, "text": "Fine.", "label": []}]
    again = session("anna", (ASPIRIN, "DRUG"))
    note, other = read_jsonl(file(*made, again))
    assert (found(note), note.id, other.id) == ([(*ASPIRIN, "DRUG")], "1", "2")
    assert reasons(note) == [OTHER_ANNOTATOR]
    assert len([*read_jsonl(file(*made, session("bert")))]) == 3


def test_our_own_lines_hold_one_note_each_whatever_its_text(tmp_path):
    notes = [Note("a", "one\u2028two\r\n"), Note("b", "\ufeffthree")]
    write_jsonl(notes, tmp_path / "out.jsonl")
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2
    assert list(read_jsonl(tmp_path / "out.jsonl")) == notes


OWN = {"clinner": 1, "id": "a", "text": TEXT}
SPAN = {"id": "T1", "label": "DRUG", "fragments": [[10, 17]]}


def test_our_own_line_may_be_written_by_hand(file):
    assert only(file({**OWN, "spans": [SPAN]})).spans == (NoteSpan("T1", "DRUG", (ASPIRIN,)),)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{", r":1: not JSON"),
        ('"text"', r":1: expected a JSON object, found str"),
        ("[1]", r"\[0\]: expected a JSON object, found int"),
        ("[]", r": an empty list"),
        ("", r": the file is empty"),
        ("[" * 100_000, r":1: not JSON"),
        ({"sentence": "x"}, r":1: no text"),
        ({"data": {"text": 3}, "annotations": []}, r":1: no text"),
        ({"data": {}, "annotations": []}, r":1: no text"),
        ('{"text": "\\ud83d", "label": []}', r":1: character 0 of the text is half"),
        ({"text": TEXT, "label": "DRUG"}, r":1: expected a list, found str"),
        ({"text": TEXT, "label": [[0, 5]]}, r":1: expected a JSON object, found list"),
        ({"text": TEXT, "label": [["0", "5", "X"]]}, r":1: span 1 needs a label"),
        ({"text": TEXT, "label": [[0, 5, ""]]}, r":1: span 1 needs a label"),
        ({"text": TEXT, "label": [[5, 5, "X"]]}, r":1: a span starts at 5 and ends at 5"),
        ({"text": TEXT, "label": [[-2, 5, "X"]]}, r":1: a span at -2-5 is outside"),
        ({"text": TEXT, "label": [[0, 25, "X"]]}, r":1: a span at 0-25 is outside the text of 24"),
        ({"text": TEXT, "spans": [{"start": True, "end": 5, "label": "X"}]}, r":1: span 1 needs"),
        ({"data": {"text": TEXT}, "annotations": {}}, r":1: expected a list, found dict"),
        ({"data": {"text": TEXT}, "annotations": {"a": 1}}, r":1: expected a list, found dict"),
        ({"data": {"text": TEXT}, "annotations": [1]}, r":1: expected a JSON object, found int"),
        ({**OWN, "clinner": 2}, r":1: layout 2 of clinner's JSON; 1 is known"),
        ({"clinner": 1, "id": "a"}, r":1: .*note lacks 'text'"),
        ({**OWN, "ents": []}, r":1: .*unknown field 'ents'"),
        ({**OWN, "spans": [{**SPAN, "label": 3}]}, r":1: .*'label' has a value of the wrong type"),
        ({**OWN, "spans": [{**SPAN, "fragments": [[1]]}]}, r":1: .*'fragments' has a value"),
        ({**OWN, "spans": [{**SPAN, "fragments": []}]}, r":1: a span without offsets"),
        ({**OWN, "spans": [SPAN, SPAN]}, r":1: a span .* with the id of another"),
        (
            {**OWN, "spans": [{**SPAN, "fragments": [[10, 15], [0, 5]]}]},
            r":1: the fragments of T1 are not in reading order",
        ),
        ({**OWN, "spans": [{**SPAN, "fragments": [[10, 99]]}]}, r":1: a span at 10-99 is outside"),
    ],
)
def test_what_cannot_be_read_stops_with_file_and_line(file, record, message):
    with pytest.raises(ClinnerError, match=r"notes\.jsonl" + message):
        list(read_jsonl(file(record)))


def test_spans_may_be_lists_and_a_type_is_the_one_label_that_was_looked_for(file, caplog):
    spans = [[*ASPIRIN, "DRUG"]]
    path = file(
        {"text": TEXT, "spans": spans, "type": "DRUG"},
        {"text": TEXT, "spans": spans},
        {"text": TEXT, "spans": [], "type": None},
    )
    first, second = read_jsonl(path)
    assert found(first) == found(second) == [(*ASPIRIN, "DRUG")]
    assert (first.labels, second.labels) == (("DRUG",), None)
    assert "1 'without a type'" in caplog.text


def test_a_link_to_a_region_that_is_no_span_is_reported_and_not_another_link(file):
    unlabelled = region("T2", DOSE, "DOSAGE")
    unlabelled["value"]["labels"] = []
    results = [region("T1", ASPIRIN, "DRUG"), unlabelled, region("T3", (0, 2), "NEGATION")]
    link = {"type": "relation", "from_id": "T1", "to_id": "T2", "direction": "right"}
    note = only(file(task(*results, link)))
    assert found(note) == [(*ASPIRIN, "DRUG"), (0, 2, "NEGATION")]
    assert note.relations == ()
    assert RELATION_LEFT_OUT in reasons(note)


def test_a_prodigy_relation_is_between_spans_with_its_labels(file):
    spans = [prodigy_span(ASPIRIN, "DRUG"), prodigy_span(ASPIRIN, "Chemical")]
    ends = {"head_span": spans[1], "child_span": prodigy_span((0, 2), "NEGATION")}
    relation = {"head": 0, "child": 1, **ends, "label": "x"}
    cue = prodigy_span((0, 2), "CUE")
    note = only(file({"text": TEXT, "spans": [*spans, cue], "relations": [relation]}))
    # The cue had another label when it was linked, and no other span is there.
    assert note.relations == (Relation("R1", "x", "T2", "T3"),)


def body_task(number, body, *results, **data):
    found = {"completed_by": 1, "result": list(results)}
    return {"id": number, "data": {"body": body, **data}, "annotations": [found]}


def test_which_value_is_label_studios_text_is_decided_by_all_tasks_with_spans(file):
    pain = region("a", (7, 17), "PROBLEM", text="chest\\npain")
    tasks = [
        body_task(1, "All well today.", note_id="n1", title="A note about it"),
        body_task(2, "Denies chest\npain.", pain, note_id="n2", title="Another of these notes"),
    ]
    first, second = read_jsonl(file(json.dumps(tasks), name="export.json"))
    assert (first.id, first.text, second.text) == ("n1", "All well today.", "Denies chest\npain.")
    assert found(second) == [(7, 17, "PROBLEM")]
    assert (first.problems, second.problems) == ((), ())


def test_a_text_that_holds_no_span_is_not_what_was_annotated(file):
    pain = region("a", (7, 17), "PROBLEM", text="chest pain")
    task = body_task(1, "Denies chest pain.", pain, text="Summary of a visit, which is longer")
    note = only(file(task))
    assert note.text == "Denies chest pain."
    assert note.problems == ()


def test_the_id_of_a_note_is_not_its_text(file):
    assert only(file(body_task(1, "All well today.", note_id="n1"))).text == "All well today."


def test_offsets_that_count_utf16_are_repaired(file):
    record = task(region("a", (7, 17), "PROBLEM", text="chest pain"))
    record["data"]["text"] = "🦵🦵 - chest pain 🦵 chest pain"
    note = only(file(record))
    assert found(note) == [(5, 15, "PROBLEM")]
    assert reasons(note) == [UTF16]
