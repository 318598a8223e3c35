"""The page with the released model."""

import pytest
from toy_layers import tag, write

pytestmark = pytest.mark.long


def test_each_example_is_marked_and_everything_of_it_can_be_opened(full, open_page, screenshots):
    page = open_page(f"{full.url}/", viewport={"width": 1280, "height": 900})
    page.wait_for_selector(".example")
    for name in page.locator(".example").all_inner_texts():
        with page.expect_response("**/v1/annotate") as answered:
            page.get_by_role("button", name=name).click()
        assert answered.value.ok
        page.wait_for_function("() => document.querySelector('#note').ariaBusy === 'false'")
        page.locator("#note .tag").nth(5).wait_for()
        page.locator("#note .tag").first.click()
        for _ in range(page.locator("#note .tag").count()):
            page.get_by_role("button", name="Next finding").click()
            assert page.is_visible("#details dl")
        page.get_by_role("button", name="Close the details").click()
        page.screenshot(path=screenshots / f"{name.split(',')[0].lower()}.png", full_page=True)


def test_what_is_negated_in_a_note_is_struck_through_with_its_cue(full, open_page):
    page = open_page(f"{full.url}/")
    write(page, "Denies chest pain. Severe right knee pain for 2 weeks.")
    assert page.locator("#note mark.absent").inner_text().startswith("chest pain")
    tag(page, "chest pain").click()
    assert page.locator("#lines .frame.cue").count() == 1
    tag(page, "knee pain").or_(tag(page, "Severe right knee pain")).first.click()
    assert page.locator("#lines .frame.link").count() >= 2
