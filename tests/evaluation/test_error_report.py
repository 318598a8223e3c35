import base64
import hashlib
import shutil

import pytest
import srsly
from spacy.tokens import Span
from spacy.training import Example

from spacy_clinner.evaluation import error_report

TEXT = "chest pain and fever <b> treated with aspirin today"


def doc(nlp, *places):
    made = nlp.make_doc(TEXT)
    made.spans["clinical"] = [made.char_span(s, e, label=label) for s, e, label in places]
    assert all(isinstance(span, Span) for span in made.spans["clinical"])
    return made


def example(nlp):
    gold = doc(nlp, (0, 10, "PROBLEM"), (15, 20, "PROBLEM"), (38, 45, "DRUG"))
    guess = doc(nlp, (6, 10, "PROBLEM"), (38, 45, "TREATMENT"), (46, 51, "TEST"))
    gold.user_data["note_id"] = "note-7"
    return Example(guess, gold)


def test_each_kind_of_error_is_told_apart(nlp):
    kinds = [(o.kind, o.caption) for o in error_report.compare(example(nlp), "clinical")]
    assert kinds == [
        ("wrong boundaries", "PROBLEM"),
        ("miss", "PROBLEM → –"),
        ("wrong label", "DRUG → TREATMENT"),
        ("false alarm", "– → TEST"),
    ]


def test_a_gold_span_that_stands_twice_is_found_by_one(nlp):
    gold = doc(nlp, (0, 10, "PROBLEM"), (0, 10, "PROBLEM"))
    (found,) = error_report.compare(Example(doc(nlp, (0, 10, "PROBLEM")), gold), "clinical")
    assert found.kind == "correct"


def test_labels_with_blanks_are_told_apart_as_a_whole(nlp):
    gold = doc(nlp, (0, 10, "Adverse event"))
    compared = error_report.compare(
        Example(doc(nlp, (0, 10, "Adverse reaction")), gold), "clinical"
    )
    assert [(o.kind, o.caption) for o in compared] == [
        ("wrong label", "Adverse event → Adverse reaction")
    ]


def test_the_error_list_has_a_line_a_note_with_offsets(nlp, tmp_path):
    error_report.write_errors([example(nlp)], ["clinical"], tmp_path)
    (line,) = srsly.read_jsonl(tmp_path / "errors.jsonl")
    assert line["note"] == "note-7"
    assert line["errors"][1]["gold"] == ["PROBLEM 15-20"]


def test_the_page_shows_every_note_with_its_text_escaped(nlp, tmp_path):
    error_report.write_errors([example(nlp)], ["clinical"], tmp_path)
    html = (tmp_path / "errors.html").read_text(encoding="utf8")
    assert "note-7" in html
    assert "DRUG → TREATMENT · wrong label" in html
    assert "<b> treated" not in html
    assert "&lt;b&gt; treated" in html
    assert "4 errors in 4 places" in html


def test_labels_are_escaped_and_the_page_runs_nothing_but_its_own_script(nlp, tmp_path):
    gold, guess = doc(nlp, (0, 10, "<script>X</script>")), doc(nlp)
    error_report.write_errors([Example(guess, gold)], ["clinical"], tmp_path)
    html = (tmp_path / "errors.html").read_text(encoding="utf8")
    assert html.lower().count("<script") == 1
    digest = base64.b64encode(hashlib.sha256(error_report.SCRIPT.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline';\n script-src 'sha256-{digest}'" in html
    for name in ("errors.html", "errors.jsonl"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def linked_example(nlp):
    """Gold denies the fever; the pipeline denies the pain, and calls the fever a relative's."""
    gold = doc(nlp, (0, 10, "PROBLEM"), (15, 20, "PROBLEM"))
    guess = doc(nlp, (0, 10, "PROBLEM"), (15, 20, "PROBLEM"))
    for made, negated in ((gold, 1), (guess, 0)):
        made.spans["modifiers"] = [made.char_span(21, 24, label="NEGATION")]
        problems, (modifier,) = made.spans["clinical"], made.spans["modifiers"]
        made._.relations = [(problems[negated], modifier, None)]
        for at, problem in enumerate(problems):
            problem._.negated = at == negated
    gold.spans["clinical"][1]._.experiencer = "patient"
    guess.spans["clinical"][1]._.experiencer = "family"
    guess.spans["clinical"][0]._.assertion_evidence = ["rule:neg_no"]
    return Example(guess, gold)


def test_links_that_differ_from_gold_are_told_with_their_words(nlp):
    assert [link.caption for link in error_report.wrong_links(linked_example(nlp))] == [
        "link false: NEGATION '<b>' -> PROBLEM 'chest pain'",
        "link missed: NEGATION '<b>' -> PROBLEM 'fever'",
    ]


def test_without_relations_no_link_is_an_error(nlp):
    assert error_report.wrong_links(example(nlp)) == []


def test_the_words_of_an_error_are_cut_at_80_characters(nlp):
    text = "fever " * 40
    gold, guess = nlp.make_doc(text), nlp.make_doc(text)
    for made in (gold, guess):
        made.spans["clinical"] = [made[0:30]]
        made.spans["modifiers"] = [made[30:31]]
    gold._.relations = [(gold[0:30], gold[30:31], None)]
    guess._.relations = []
    (link,) = error_report.wrong_links(Example(guess, gold))
    assert len(link.entity_text) == 80


def test_the_error_list_and_the_page_hold_links_and_assertions(nlp, tmp_path):
    error_report.write_errors([linked_example(nlp)], ["clinical"], tmp_path)
    (line,) = srsly.read_jsonl(tmp_path / "errors.jsonl")
    assert line["errors"] == []
    assert [(a["attribute"], a["start"]) for a in line["assertions"]] == [
        ("negated", 0),
        ("negated", 15),
        ("experiencer", 15),
    ]
    assert [link["kind"] for link in line["links"]] == ["false alarm", "miss"]
    html = (tmp_path / "errors.html").read_text(encoding="utf8")
    assert "assertion and links: 5 errors" in html
    assert "NEGATION &#x27;&lt;b&gt;&#x27; -&gt; PROBLEM" in html
    assert "<b>" not in html.replace(" <b>PROBLEM</b>", "")


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs the browser chromium")
def test_the_page_can_be_searched_and_shows_what_is_chosen(nlp, tmp_path):
    browsers = pytest.importorskip("playwright.sync_api")
    missed = Example(doc(nlp), doc(nlp, (0, 10, "Adverse event,  any")))
    false = Example(doc(nlp, (0, 10, "TEST")), doc(nlp))
    missed.reference.user_data["note_id"], false.reference.user_data["note_id"] = "first", "second"
    error_report.write_errors([missed, false], ["clinical"], tmp_path)

    with browsers.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page()
        page.goto((tmp_path / "errors.html").as_uri())

        def shown():
            return [h.inner_text() for h in page.locator("h2").all() if h.is_visible()]

        assert shown() == ["first", "second"]
        page.locator("select").select_option("TEST")
        assert shown() == ["second"]
        page.locator("select").select_option("Adverse event,  any")
        assert shown() == ["first"]
        page.locator("select").select_option("")
        page.get_by_label("false alarm").uncheck()
        assert shown() == ["first"]
        page.get_by_label("false alarm").check()
        page.get_by_label("Search the notes").fill("SECOND")
        assert shown() == ["second"]
        assert page.locator("output").inner_text() == "1 of 2 notes"
        browser.close()
