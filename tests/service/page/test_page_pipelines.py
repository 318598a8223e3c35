"""The page shows what a pipeline finds whose entities are of other components than ours."""

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Span
from toy_layers import tag, write

PATTERNS = [{"label": "PROBLEM", "pattern": word} for word in ("fever", "cough")]


@Language.component("finds_groups_of_its_own")
def finds_groups_of_its_own(doc):
    doc.spans["mine"] = [Span(doc, t.i, t.i + 1, label="SKIN") for t in doc if t.text == "rash"]
    return doc


def pipeline(name, **config):
    made = spacy.blank("en")
    component = made.add_pipe(name, config=config)
    if name != "finds_groups_of_its_own":
        component.add_patterns(PATTERNS)
    for ours in ("clinner_sentences", "clinner_context"):
        made.add_pipe(ours)
    return made


@pytest.mark.parametrize(
    ("name", "config", "layer"),
    [("entity_ruler", {}, "ents"), ("span_ruler", {"spans_key": "found"}, "found")],
)
def test_findings_of_a_ruler_are_shown_and_others_are_added(open_page, serve, name, config, layer):
    page = open_page(serve(pipeline(name, **config)))
    page.wait_for_selector(".example")
    assert page.get_by_role("checkbox", name=layer).is_checked()
    write(page, "Denies fever. Has a cough.")
    tag(page, "fever").click()
    details = page.inner_text("#details")
    assert "Absent" in details
    assert layer in details
    page.evaluate("document.activeElement.blur()")
    page.evaluate(
        """() => {
            const area = document.querySelector("#text");
            area.focus();
            area.setSelectionRange(0, 6);
        }"""
    )
    page.locator("#adding:not([hidden])").wait_for()
    page.get_by_role("button", name="Add finding").press("Enter")
    assert tag(page, "Denies").count() == 1


def test_groups_that_no_component_tells_of_are_shown_once_they_are_found(open_page, serve):
    page = open_page(serve(pipeline("finds_groups_of_its_own")))
    write(page, "Nothing.")
    page.focus("#text")
    page.keyboard.press("Control+a")
    assert page.is_hidden("#adding")
    write(page, "Has a rash.")
    assert tag(page, "rash", "SKIN").count() == 1
    page.get_by_role("checkbox", name="mine").uncheck()
    write(page, "Has a rash again.")
    assert tag(page, "rash", "SKIN").count() == 0
