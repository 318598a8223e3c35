"""Whoever cannot see well or uses no mouse can use it: axe-core finds nothing serious."""

import pytest
from toy_layers import NOTE, tag, write

SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
SERIOUS = {"serious", "critical"}


def faults(page):
    reason = "axe-playwright-python is missing: pip install .[test]"
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=reason)
    found = axe.Axe().run(page).response["violations"]
    return [
        (fault["id"], [node["target"] for node in fault["nodes"]][:3])
        for fault in found
        if fault["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_serious_in_any_view(open_page, screenshots, scheme, size):
    page = open_page(viewport=SIZES[size], color_scheme=scheme, reduced_motion="reduce")

    def check(view):
        page.screenshot(path=screenshots / f"{view}-{size}-{scheme}.png")
        assert (view, faults(page)) == (view, [])

    page.wait_for_selector(".example")
    check("empty")
    write(page, NOTE)
    if page.evaluate("!document.querySelector('#filters').open"):
        page.click("#filters > summary")
    for layer in ("modifiers", "ncbi"):
        page.get_by_role("checkbox", name=layer).check()
    check("note")
    tag(page, "fever").click()
    page.get_by_role("checkbox", name="The assertion is wrong").check()
    check("details")
    page.get_by_role("button", name="Close the details").click()
    page.get_by_role("tab", name="Table").click()
    check("table")
    page.get_by_role("tab", name="By section").click()
    page.click("#download > summary")
    check("sections")


def test_all_that_can_be_clicked_has_a_name_and_can_be_reached(annotated):
    tag(annotated, "fever").click()
    annotated.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(60):
        annotated.keyboard.press("Tab")
        reached.append(
            annotated.evaluate("document.activeElement.id || document.activeElement.innerText")
        )
    for name in ("text", "file", "tab-note", "least", "layer-0", "previous", "close"):
        assert name in reached
    assert "Delete this finding" in reached


def test_the_first_key_leads_to_the_findings(annotated):
    annotated.keyboard.press("Tab")
    assert annotated.evaluate("document.activeElement.className") == "skip"
    annotated.keyboard.press("Enter")
    assert annotated.evaluate("document.activeElement.id") == "results"


def test_what_happens_is_said(annotated):
    status = annotated.get_by_role("status").first
    assert "8 findings shown" in status.inner_text()
    annotated.get_by_label("Confidence at least").fill("0.6")
    assert status.inner_text() == "6 findings shown"
    annotated.get_by_role("checkbox", name="modifiers").check()
    assert status.inner_text() == f"{annotated.locator('#note .tag').count()} findings shown"
    annotated.get_by_label("Confidence at least").fill("0")
    tag(annotated, "fever").click()
    annotated.get_by_role("button", name="Delete this finding").click()
    assert status.inner_text() == "Deleted."
