"""Suggest, export and read: what comes back is what was suggested."""

import json
import os
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinner.corpora import suggestion_files
from spacy_clinner.corpora.brat import read_brat
from spacy_clinner.corpora.inception import read_inception
from spacy_clinner.corpora.jsonl import read_jsonl
from spacy_clinner.corpora.note import Attribute, Note, NoteSpan, Relation
from spacy_clinner.corpora.suggestion_files import SUGGESTED, WRITERS, write_suggestions
from spacy_clinner.corpora.suggestions import ASSERTIONS, LINK, Palette, Suggestion
from spacy_clinner.errors import ClinnerError

PALETTE = Palette(
    {"PROBLEM": "#ff9561", "NEGATION": "#aa9cfc", "BODYLOC": "#7aecec"},
    {"PROBLEM": ("NEGATION", "BODYLOC")},
)
TEXT = "No pain in the left 🦵 knee.\nDenies fever & “chills”."
# Where words begin and end.
WORDS = [(0, 2), (3, 7), (8, 10), (11, 14), (15, 19), (20, 21), (22, 26), (26, 27), (28, 34),
         (35, 40), (41, 42), (43, 44), (44, 50), (50, 51), (51, 52)]  # fmt: skip
SENTENCES = ((0, 27), (28, 52))


def suggested(spans, links=(), said=(), name="ward/7 α"):
    spans = sorted(set(spans), key=lambda s: (WORDS[s[0]][0], WORDS[s[1]][1], s[2]))
    note = Note(
        name,
        TEXT,
        tuple(
            NoteSpan(f"T{at}", label, ((WORDS[a][0], WORDS[b][1]),))
            for at, (a, b, label) in enumerate(spans, 1)
        ),
        tuple(Relation(f"R{at}", LINK, h, t) for at, (h, t) in enumerate(links, 1)),
        tuple(Attribute(f"A{at}", "assertion", t, v) for at, (t, v) in enumerate(said, 1)),
    )
    return Suggestion(note, tuple(WORDS), SENTENCES, expected_errors=1.25)


PLAIN = suggested(
    [(0, 0, "NEGATION"), (1, 6, "PROBLEM"), (4, 6, "BODYLOC"), (9, 9, "PROBLEM"),
     (12, 12, "PROBLEM")],
    [("T2", "T1"), ("T2", "T3")],
    [("T2", "absent"), ("T4", "possible")],
)  # fmt: skip


def content(note):
    """A note without what no tool keeps: its own numbers of annotations."""
    at = {span.id: (span.fragments, span.label) for span in note.spans}
    return (
        note.id,
        note.text,
        sorted(at.values()),
        sorted((r.label, at[r.head], at[r.tail]) for r in note.relations),
        sorted((a.label, at[a.target], a.value) for a in note.attributes),
    )


def label_studio(out):
    """What Label Studio exports when the prediction is accepted as it is."""
    files = sorted(out.glob("tasks*.json"))
    tasks = [task for file in files for task in json.loads(file.read_text())]
    for number, task in enumerate(tasks, 1):
        (prediction,) = task.pop("predictions")
        for result in prediction["result"]:
            result["origin"] = "prediction"
        annotation = {"id": number, "completed_by": 1, "result": prediction["result"],
                      "was_cancelled": False, "lead_time": 12.5}  # fmt: skip
        task |= {"id": number, "annotations": [annotation], "predictions": [], "meta": {}}
    (out / "export.json").write_text(json.dumps(tasks))
    return read_jsonl(out / "export.json")


def prodigy(out):
    records = [json.loads(line) for line in (out / "examples.jsonl").read_text().splitlines()]
    lines = (json.dumps({**r, "_task_hash": 1, "answer": "accept"}) + "\n" for r in records)
    (out / "export.jsonl").write_text("".join(lines))
    return read_jsonl(out / "export.jsonl")


def doccano(out):
    """doccano gives every record, span and relation a number of its own."""
    lines = []
    for file in sorted(out.glob("notes*.jsonl")):
        for number, line in enumerate(file.read_text().splitlines(), 1001):
            record = json.loads(line)
            for found in record["entities"]:
                found["id"] += 500
            for link in record["relations"]:
                link |= {key: link[key] + 500 for key in ("id", "from_id", "to_id")}
            lines.append(json.dumps({"id": number, **record, "Comments": []}))
    (out / "export.jsonl").write_text("\n".join(lines))
    return read_jsonl(out / "export.jsonl")


BACK = {
    "label-studio": label_studio,
    "prodigy": prodigy,
    "doccano": doccano,
    "brat": lambda out: read_brat(out / "notes"),
    "inception": lambda out: read_inception(out / "notes"),
    "jsonl": lambda out: read_jsonl(out / SUGGESTED),
}


@pytest.mark.parametrize("tool", WRITERS)
def test_spans_links_and_negation_come_back_as_they_were_suggested(tmp_path, tool):
    second = suggested([(9, 9, "PROBLEM")], name="other")
    write_suggestions([PLAIN, second], PALETTE, tmp_path / "out", tool, "en_toy 1.0")
    back = sorted(BACK[tool](tmp_path / "out"), key=lambda note: note.id)
    assert [content(note) for note in back] == [content(second.note), content(PLAIN.note)]
    assert [note.problems for note in back] == [(), ()]


SPANS = st.tuples(st.integers(0, 14), st.integers(0, 3), st.sampled_from(PALETTE.labels)).map(
    lambda s: (s[0], min(14, s[0] + s[1]), s[2])
)


@st.composite
def suggestions(draw):
    spans = draw(st.lists(SPANS, max_size=5, unique=True))
    ids = [f"T{at}" for at in range(1, len(spans) + 1)]
    if not ids:
        return suggested([])
    pairs = st.tuples(st.sampled_from(ids), st.sampled_from(ids))
    said = st.tuples(st.sampled_from(ids), st.sampled_from(ASSERTIONS))
    return suggested(
        spans,
        draw(st.lists(pairs, max_size=3, unique=True)),
        draw(st.lists(said, max_size=3, unique_by=lambda s: s[0])),
    )


@pytest.mark.parametrize("tool", WRITERS)
@settings(max_examples=15)
@given(found=suggestions())
def test_whatever_is_suggested_comes_back(tmp_path_factory, tool, found):
    out = tmp_path_factory.mktemp("round") / "out"
    write_suggestions([found], PALETTE, out, tool, "en_toy 1.0")
    (back,) = BACK[tool](out)
    assert content(back) == content(found.note)


def test_files_are_no_larger_than_the_tools_can_import(tmp_path, monkeypatch):
    monkeypatch.setattr(suggestion_files, "FILE_SIZE", 1500)
    many = [replace(PLAIN, note=replace(PLAIN.note, id=f"{n}")) for n in range(7)]
    for tool, pattern in (("label-studio", "tasks-*.json"), ("doccano", "notes-*.jsonl")):
        write_suggestions(many, PALETTE, tmp_path / tool, tool, "en_toy 1.0")
        assert len(list((tmp_path / tool).glob(pattern))) > 1
        assert sorted(note.id for note in BACK[tool](tmp_path / tool)) == [*"0123456"]


def test_label_studio_gets_its_labels_links_and_choices(tmp_path):
    write_suggestions([PLAIN], PALETTE, tmp_path / "out", "label-studio", "en_toy 1.0")
    view = ET.parse(tmp_path / "out/config.xml").getroot()
    assert [node.get("value") for node in view.iter("Label")] == PALETTE.labels
    assert [node.get("value") for node in view.iter("Relation")] == [LINK]
    (choices,) = view.iter("Choices")
    assert (choices.get("perRegion"), choices.get("whenLabelValue")) == ("true", "PROBLEM")
    (task,) = json.loads((tmp_path / "out/tasks.json").read_text())
    assert 0 < task["predictions"][0]["score"] < 1


def test_prodigys_command_names_labels_and_links(tmp_path):
    write_suggestions([PLAIN], PALETTE, tmp_path / "out", "prodigy", "en_toy 1.0")
    command = (tmp_path / "out/command.txt").read_text()
    assert command.startswith("prodigy rel.manual corrected blank:en examples.jsonl")
    assert "--span-label PROBLEM,NEGATION,BODYLOC" in command
    (example,) = map(json.loads, (tmp_path / "out/examples.jsonl").read_text().splitlines())
    for span in example["spans"]:
        first, last = (example["tokens"][span[f"token_{end}"]] for end in ("start", "end"))
        assert (first["start"], last["end"]) == (span["start"], span["end"])
    unlinked = Palette(PALETTE.colors, {})
    write_suggestions([PLAIN], unlinked, tmp_path / "out", "prodigy", "en_toy 1.0")
    assert "spans.manual" in (tmp_path / "out/command.txt").read_text()


def test_brat_and_doccano_get_their_labels(tmp_path):
    write_suggestions([PLAIN], PALETTE, tmp_path / "brat", "brat", "en_toy 1.0")
    conf = (tmp_path / "brat/notes/annotation.conf").read_text()
    assert "modified_by\tArg1:PROBLEM, Arg2:NEGATION|BODYLOC" in conf
    assert "assertion\tArg:PROBLEM, Value:absent|possible" in conf
    write_suggestions([PLAIN], PALETTE, tmp_path / "doccano", "doccano", "en_toy 1.0")
    labels = json.loads((tmp_path / "doccano/labels.json").read_text())
    assert [label["text"] for label in labels] == PALETTE.labels


def test_inception_gets_layers_whose_features_have_tags(tmp_path):
    write_suggestions([PLAIN], PALETTE, tmp_path / "out", "inception", "en_toy 1.0")
    spans, links = json.loads((tmp_path / "out/layers.json").read_text())
    assert (spans["type"], links["type"]) == ("span", "relation")
    assert links["attach_type"]["name"] == spans["name"]
    tags = [tag["tag_name"] for tag in spans["features"][0]["tag_set"]["tags"]]
    assert tags == PALETTE.labels


def test_what_quotes_notes_is_private_and_nothing_else_is_overwritten(tmp_path):
    write_suggestions([PLAIN], PALETTE, tmp_path / "out", "brat", "en_toy 1.0")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("do not lose")
    with pytest.raises(ClinnerError, match="is there already and is not replaced"):
        write_suggestions([PLAIN], PALETTE, tmp_path / "mine", "brat", "en_toy 1.0")
    with pytest.raises(ClinnerError, match="no tool 'paper'"):
        write_suggestions([PLAIN], PALETTE, tmp_path / "new", "paper", "en_toy 1.0")


def test_corrections_in_the_folder_are_not_written_over(tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        write_suggestions([PLAIN], PALETTE, out, "brat", "en_toy 1.0")
    (corrected,) = out.glob("notes/*.ann")
    later = (out / SUGGESTED).stat().st_mtime_ns + 1
    os.utime(corrected, ns=(later, later))
    with pytest.raises(ClinnerError, match=r"\.ann: was written since"):
        write_suggestions([PLAIN], PALETTE, out, "brat", "en_toy 1.0")


ODD = Palette(
    dict.fromkeys(["Sign symptom", "x:y", "NEG|ATION", "Größe"], "#7aecec"),
    {"Sign symptom": ("x:y", "NEG|ATION")},
)


def test_a_label_that_was_corrected_in_brat_stays_corrected(tmp_path):
    given = suggested([(0, 0, "NEG|ATION"), (1, 1, "Sign symptom"), (9, 9, "Sign symptom"),
                       (4, 7, "x:y")])  # fmt: skip
    write_suggestions([given], ODD, tmp_path / "out", "brat", "en_toy 1.0")
    (ann,) = (tmp_path / "out").glob("notes/*.ann")
    written = ann.read_text(encoding="utf8")
    first, *lines = written.splitlines()
    assert first.startswith("T1\tNEG_ATION 0 2")
    # One label changed to another, one span narrowed that went over a line break, one span added.
    corrected = "\n".join([first, *lines]).replace("T2\tSign_symptom", "T2\tGröße")
    corrected = corrected.replace("T3\tx_y 15 27\tleft 🦵 knee.", "T3\tx_y 15 19\tleft")
    ann.write_text(f"{corrected}\nT9\tx_y 35 40\tfever\n", encoding="utf8")
    (back,) = read_brat(tmp_path / "out/notes")
    labels = {s.id: (s.label, s.start) for s in back.spans}
    assert labels["T2"] == ("Größe", 3)
    assert labels["T9"] == ("x:y", 35)
    assert {label for label, _ in labels.values()} == {*ODD.labels}
    assert back.problems == ()


def test_a_span_over_a_line_break_may_be_narrowed_in_brat(tmp_path):
    given = suggested([(6, 9, "PROBLEM"), (0, 0, "NEGATION")])
    surfaces = [replace(s, surface=TEXT[s.start : s.end]) for s in given.note.spans]
    given = replace(given, note=replace(given.note, spans=tuple(surfaces)))
    write_suggestions([given], PALETTE, tmp_path / "out", "brat", "en_toy 1.0")
    (ann,) = (tmp_path / "out").glob("notes/*.ann")
    line = "T2\tPROBLEM 22 40\tknee. Denies fever"
    written = ann.read_text(encoding="utf8")
    assert line in written
    ann.write_text(written.replace(line, "T2\tPROBLEM 22 26\tknee"), encoding="utf8")
    (back,) = read_brat(tmp_path / "out/notes")
    assert (back.spans[1].surface, back.problems) == ("knee", ())


def test_brats_configuration_names_labels_as_its_lines_do(tmp_path):
    write_suggestions([suggested([])], ODD, tmp_path / "out", "brat", "en_toy 1.0")
    conf = (tmp_path / "out/notes/annotation.conf").read_text(encoding="utf8")
    assert "\nSign_symptom\nx_y\nNEG_ATION\nGröße\n" in conf
    assert "Arg1:Sign_symptom, Arg2:x_y|NEG_ATION\n" in conf
    visual = (tmp_path / "out/notes/visual.conf").read_text(encoding="utf8")
    assert "Sign_symptom\tbgColor:" in visual


@pytest.mark.parametrize(
    ("tool", "labels", "told"),
    [
        ("brat", ["x y", "x:y"], "'x y' and 'x:y' alike"),
        ("prodigy", ["A, B"], "'A, B' has one"),
        ("label-studio", ["A, B"], "'A, B' has one"),
    ],
)
def test_labels_that_a_tool_cannot_tell_apart_are_refused(tmp_path, tool, labels, told):
    with pytest.raises(ClinnerError, match=told):
        write_suggestions(
            [], Palette(dict.fromkeys(labels, "#fff"), {}), tmp_path / "out", tool, ""
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tool", WRITERS)
def test_a_folder_of_suggestions_with_a_file_of_somebody_else_is_not_written_over(tmp_path, tool):
    out = tmp_path / "out"
    for other in WRITERS:
        write_suggestions([PLAIN], PALETTE, out, other, "en_toy 1.0")
    write_suggestions([PLAIN], PALETTE, out, tool, "en_toy 1.0")
    for name in ("guideline.txt", "notes/other.ann", "corrected/1.ann"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
        os.utime(out / name, (0, 0))
        with pytest.raises(ClinnerError, match=rf"{name}: .*would be lost"):
            write_suggestions([PLAIN], PALETTE, out, "jsonl", "en_toy 1.0")
        (out / name).unlink()


@pytest.mark.parametrize("tool", WRITERS)
def test_a_file_of_ones_own_that_is_named_as_another_tools_is_not_written_over(tmp_path, tool):
    out = tmp_path / "out"
    write_suggestions([PLAIN], PALETTE, out, tool, "en_toy 1.0")
    for name in ("tasks.json", "labels.json", "config.xml", "layers.json", "notes/visual.conf"):
        if not (out / name).exists():
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_text("mine")
            os.utime(out / name, (0, 0))
            with pytest.raises(ClinnerError, match="would be lost"):
                write_suggestions([PLAIN], PALETTE, out, tool, "en_toy 1.0")
            (out / name).unlink()
    write_suggestions([PLAIN], PALETTE, out, tool, "en_toy 1.0")


def test_doccano_gets_longer_spans_first_and_is_told_to_allow_overlaps(tmp_path):
    write_suggestions([PLAIN], PALETTE, tmp_path / "out", "doccano", "en_toy 1.0")
    (line,) = (tmp_path / "out/notes.jsonl").read_text().splitlines()
    entities = json.loads(line)["entities"]
    lengths = [found["end_offset"] - found["start_offset"] for found in entities]
    assert lengths == sorted(lengths, reverse=True)
    assert "Allow overlapping spans" in (tmp_path / "out/import.txt").read_text()


def test_nothing_is_asked_of_labels_that_modify_others(tmp_path):
    palette = Palette({"NEGATION": "#aa9cfc", "SEVERITY": "#7aecec"}, {}, {"NEGATION", "SEVERITY"})
    write_suggestions([suggested([])], palette, tmp_path / "ls", "label-studio", "en_toy 1.0")
    assert "Choices" not in (tmp_path / "ls/config.xml").read_text()
    write_suggestions([suggested([])], palette, tmp_path / "brat", "brat", "en_toy 1.0")
    assert "assertion" not in (tmp_path / "brat/notes/annotation.conf").read_text()
