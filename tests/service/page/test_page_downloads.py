"""What is downloaded is what is shown, and what our own readers read."""

import csv
import io
import json

import pytest
from toy_layers import MARKUP, NOTE, tag, write

from spacy_clinner.corpora.brat import read_brat
from spacy_clinner.corpora.jsonl import read_jsonl

# Spans of two layers over each other, a line's end within one, and signs beyond 16 bits.
TEXT = f"\ufeff{NOTE}😀 No chest\npain, mild fever = 😀.\nOddity; ألم شديد.\n"


def download(page, name, folder):
    page.click("#download > summary")
    with page.expect_download() as got:
        page.get_by_role("button", name=name).click()
    path = folder / got.value.suggested_filename
    got.value.save_as(path)
    return path


@pytest.fixture
def all_shown(page):
    write(page, TEXT, how="type")
    for layer in ("modifiers", "ncbi", "odd"):
        page.get_by_role("checkbox", name=layer, exact=False).first.check()
    return page


def expected(toy):
    """Layer, label and offsets of each span, as the pipeline finds them."""
    doc = toy(TEXT)
    return sorted(
        (span.start_char, span.end_char, span.label_)
        for key in doc.spans
        for span in doc.spans[key]
    )


def placed(note):
    return sorted((span.start, span.end, span.label) for span in note.spans)


def said_of(note, words):
    """Attributes of the first span with these words."""
    (first, *_) = (span for span in note.spans if note.text[span.start : span.end] == words)
    return {a.label: a.value for a in note.attributes if a.target == first.id}


@pytest.mark.parametrize(
    ("name", "read"), [("JSONL", read_jsonl), ("brat", read_brat), ("Label Studio", read_jsonl)]
)
def test_our_readers_read_it_without_a_problem(all_shown, toy, tmp_path, name, read):
    (note,) = read(download(all_shown, name, tmp_path))
    assert note.problems == ()
    assert note.text == TEXT
    if name == "brat":
        # It has no place for spaces in a label.
        label = MARKUP.replace(" ", "_")
        assert placed(note) == [(s, e, label if x == MARKUP else x) for s, e, x in expected(toy)]
    else:
        assert placed(note) == expected(toy)
    spans = {span.id: span for span in note.spans}
    links = {
        (note.text[slice(*spans[r.head].fragments[0])], r.label, spans[r.tail].label)
        for r in note.relations
    }
    assert ("Aspirin", "hasSTRENGTH", "STRENGTH") in links
    assert ("chest pain", "hasSEVERITY", "SEVERITY") in links


@pytest.mark.parametrize(("name", "read"), [("JSONL", read_jsonl), ("brat", read_brat)])
def test_assertion_confidence_and_corrections_are_attributes(annotated, tmp_path, name, read):
    tag(annotated, "pneumonia").click()
    annotated.get_by_role("checkbox", name="The assertion is wrong").check()
    annotated.get_by_role("combobox", name="Right", exact=True).select_option("absent")
    (note,) = read(download(annotated, name, tmp_path))
    assert said_of(note, "fever") == {
        "Layer": "clinical",
        "Assertion": "absent",
        "Negated": None,
        "Confidence": "0.5500",
    }
    told = said_of(note, "pneumonia")
    assert told == {
        "Layer": "clinical",
        "Assertion": "absent",
        "Negated": None,
        "Confidence": "0.6200",
        "Corrected": None,
        "AssertionWrong": "possible",
    }
    assert said_of(note, "breast cancer")["Experiencer"] == "family"


def test_an_assertion_that_is_wrong_is_not_told_as_gold(annotated, tmp_path):
    tag(annotated, "fever").click()
    annotated.get_by_role("checkbox", name="The assertion is wrong").check()
    tag(annotated, "breast cancer").click()
    annotated.get_by_role("checkbox", name="The assertion is wrong").check()
    annotated.get_by_role("combobox", name="Right", exact=True).select_option("present")
    (note,) = read_jsonl(download(annotated, "JSONL", tmp_path))
    told = said_of(note, "fever")
    assert not told.keys() & {"Assertion", "Negated"}
    assert told["AssertionWrong"] == "absent"
    told = said_of(note, "breast cancer")
    assert told["Assertion"] == "present"
    assert not told.keys() & {"Experiencer"}
    # Nor by a link to what would negate it.
    words = {span.id: note.text[span.start : span.end] for span in note.spans}
    negated = {words[link.head] for link in note.relations if link.label == "hasNEGATION"}
    assert negated == {"pneumonia"}
    content = download(annotated, "CSV", tmp_path).read_text("utf8")
    rows = {row["text"]: row for row in csv.DictReader(io.StringIO(content))}
    keys = ("assertion", "negated", "experiencer", "assertion_wrong", "assertion_right")
    assert [rows["fever"][key] for key in keys] == ["", "", "", "true", ""]
    cancer = ["present", "false", "patient", "true", "present"]
    assert [rows["breast cancer"][key] for key in keys] == cancer


def test_links_follow_a_modifier_that_is_corrected(page, tmp_path):
    def linked():
        (note,) = read_jsonl(download(page, "JSONL", tmp_path))
        words = {s.id: f"{note.text[s.start : s.end]} {s.label}" for s in note.spans}
        return {(words[r.head], r.label, words[r.tail]) for r in note.relations}, words.values()

    write(page, "Severe chest pain.")
    page.get_by_role("checkbox", name="modifiers").check()
    tag(page, "chest", "BODYLOC").click()
    page.get_by_role("button", name="Delete this finding").click()
    assert linked()[0] == {("chest pain PROBLEM", "hasSEVERITY", "Severe SEVERITY")}
    assert "chest BODYLOC" not in linked()[1]
    # Of a finding that is corrected itself, too.
    tag(page, "chest pain").click()
    page.get_by_role("button", name="End a word later").click()
    tag(page, "Severe", "SEVERITY").click()
    page.get_by_role("button", name="End a word later").click()
    assert linked()[0] == {("chest pain. PROBLEM", "hasSEVERITY", "Severe chest SEVERITY")}
    page.get_by_role("tab", name="By section").click()
    assert "Severe chest" in page.get_by_role("table", name="Problems").inner_text()
    page.get_by_role("tab", name="Marked note").click()
    # What may not be linked is not.
    tag(page, "chest pain.").click()
    page.get_by_role("combobox", name="Label", exact=True).select_option("DRUG")
    assert linked()[0] == set()
    for _ in range(4):
        page.get_by_role("button", name="Undo").click()
    assert {tail for _, _, tail in linked()[0]} == {"chest BODYLOC", "Severe SEVERITY"}


def test_only_what_is_shown_is_downloaded_and_the_modifiers_linked_to_it(annotated, tmp_path):
    annotated.get_by_role("checkbox", name="PROBLEM").uncheck()
    annotated.get_by_role("checkbox", name="TEST").uncheck()
    tag(annotated, "Lisinopril", "DRUG").click()
    annotated.get_by_role("button", name="Delete this finding").click()
    (note,) = read_jsonl(download(annotated, "JSONL", tmp_path))
    words = [note.text[span.start : span.end] for span in note.spans]
    assert words == ["Aspirin", "81 mg", "PO", "daily"]


def test_a_csv_has_the_columns_of_the_table_of_entities(all_shown, toy, tmp_path):
    content = download(all_shown, "CSV", tmp_path).read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(content, newline="")))
    keys = ("start", "end", "label")
    assert sorted((int(r["start"]), int(r["end"]), r["label"]) for r in rows) == expected(toy)
    assert set(keys) <= set(rows[0])
    (fever, *_) = (row for row in rows if row["text"] == "fever")
    assert fever["assertion"] == "absent"
    assert fever["cue_text"] == "Denies"
    assert TEXT[int(fever["cue_start"]) : int(fever["cue_end"])] == "Denies"
    assert fever["links"].startswith("NEGATION: Denies; ")


def test_a_spreadsheet_computes_nothing_of_a_csv(page, tmp_path):
    write(page, "fever =cmd|' /C calc'!A0")
    page.evaluate("""() => {
        const walker = document.createTreeWalker(document.querySelector("#note"), 4);
        let last;
        for (let node; (node = walker.nextNode());) last = node;
        const range = document.createRange();
        range.setStart(last, 1);
        range.setEnd(last, last.length);
        getSelection().addRange(range);
    }""")
    page.get_by_role("button", name="Add finding").click()
    (_, row) = csv.DictReader(io.StringIO(download(page, "CSV", tmp_path).read_text("utf8")))
    assert row["text"] == "'=cmd|' /C calc'!A0"


def test_label_studio_gets_a_list_of_one_task(annotated, tmp_path):
    (task,) = json.loads(download(annotated, "Label Studio", tmp_path).read_text("utf8"))
    assert task["data"] == {"text": NOTE}
    kinds = {result["type"] for result in task["annotations"][0]["result"]}
    assert kinds == {"labels", "choices", "relation"}
