"""What a person corrects stays as corrected, also while the text is edited."""

import pytest
from toy_layers import NOTE, edit, tag, wait, write


def shown(page):
    """Words and label of each mark."""
    said = page.locator("#note .tag").evaluate_all("all => all.map(t => t.ariaLabel)")
    return [tuple(one.split(", ")[:2]) for one in said]


def details(page):
    return page.inner_text("#details")


def test_a_label_is_changed(annotated):
    tag(annotated, "pneumonia").click()
    label = annotated.get_by_role("combobox", name="Label", exact=True)
    label.focus()
    label.select_option("TREATMENT")
    assert ("pneumonia", "TREATMENT") in shown(annotated)
    assert ("pneumonia", "PROBLEM") not in shown(annotated)
    assert "Changed by you" in details(annotated)
    # Who corrects by keyboard stays where they are.
    assert annotated.evaluate("document.activeElement.name") == "label"


def test_what_a_person_changed_has_no_confidence_of_the_model(annotated):
    tag(annotated, "pneumonia").click()
    assert "0.62" in details(annotated)
    annotated.get_by_role("checkbox", name="The assertion is wrong").check()
    assert "0.62" in details(annotated)
    annotated.get_by_role("combobox", name="Label", exact=True).select_option("TREATMENT")
    assert "not scored" in details(annotated)
    tag(annotated, "fever").click()
    annotated.get_by_role("button", name="Begin a word earlier").click()
    assert "not scored" in details(annotated)
    # It is shown at every confidence.
    annotated.get_by_label("Confidence at least").fill("1")
    assert shown(annotated) == [("Denies fever", "PROBLEM"), ("pneumonia", "TREATMENT")]


def test_an_edge_is_moved_by_a_word(annotated):
    tag(annotated, "chest pain").click()
    annotated.get_by_role("button", name="Begin a word earlier").click()
    assert ("Severe chest pain", "PROBLEM") in shown(annotated)
    annotated.get_by_role("button", name="Begin a word later").click()
    annotated.get_by_role("button", name="Begin a word later").click()
    assert ("pain", "PROBLEM") in shown(annotated)
    annotated.get_by_role("button", name="End a word later").click()
    assert ("pain 😀", "PROBLEM") in shown(annotated)
    annotated.get_by_role("button", name="End a word earlier").click()
    assert ("pain", "PROBLEM") in shown(annotated)
    start = NOTE.index("pain")
    assert f"{start}–{start + 4}" in details(annotated)


def select(page, words):
    """Selects words of the marked note with the mouse."""
    page.evaluate(
        """words => {
            const walker = document.createTreeWalker(document.querySelector("#note"), 4);
            for (let node; (node = walker.nextNode());) {
                const at = node.data.indexOf(words);
                if (at < 0 || node.parentElement.matches(".tag")) continue;
                const range = document.createRange();
                range.setStart(node, at);
                range.setEnd(node, at + words.length);
                getSelection().removeAllRanges();
                getSelection().addRange(range);
                return;
            }
        }""",
        words,
    )


def test_edges_are_set_to_what_is_selected(annotated):
    tag(annotated, "dyspnea").click()
    annotated.evaluate("document.activeElement.blur()")
    select(annotated, " worsens")
    annotated.get_by_role("button", name="As selected").click()
    assert ("worsens", "PROBLEM") in shown(annotated)


def test_a_link_is_removed_and_another_is_made(annotated):
    tag(annotated, "Aspirin", "DRUG").click()
    annotated.get_by_role("button", name="Remove the link to ROUTE PO").click()
    assert "ROUTE" not in annotated.inner_text("#details .links")
    link = annotated.get_by_role("combobox", name="Link", exact=True)
    (option,) = (name for name in link.locator("option").all_inner_texts() if "BID" in name)
    link.select_option(option)
    assert "FREQUENCY\nBID" in annotated.inner_text("#details .links")
    assert annotated.locator("#lines .frame.link").count() == 3


def test_a_finding_is_deleted_and_that_is_undone(annotated):
    before = shown(annotated)
    tag(annotated, "fever").click()
    annotated.get_by_role("button", name="Delete this finding").click()
    assert ("fever", "PROBLEM") not in shown(annotated)
    assert annotated.is_hidden("#details")
    assert annotated.evaluate("document.activeElement.ariaLabel").startswith("pneumonia")
    annotated.get_by_role("button", name="Undo").click()
    assert shown(annotated) == before
    assert annotated.is_disabled("#undo")


def test_a_finding_is_added_by_selecting_with_the_mouse(annotated):
    box = annotated.evaluate(
        """() => {
            const node = [...document.querySelectorAll("#note .block")[0].childNodes]
                .find(one => one.nodeType === 3 && one.data.includes("worsens"));
            const range = document.createRange();
            const at = node.data.indexOf("worsens");
            range.setStart(node, at);
            range.setEnd(node, at + 7);
            const {left, right, top, bottom} = range.getBoundingClientRect();
            return [left, right, (top + bottom) / 2];
        }"""
    )
    annotated.mouse.move(box[0] + 1, box[2])
    annotated.mouse.down()
    annotated.mouse.move(box[1] - 1, box[2], steps=5)
    annotated.mouse.up()
    assert annotated.inner_text("#adding-words") == "worsens"
    first = "one => one.selectedOptions[0].text"
    assert annotated.locator("#adding-label").evaluate(first) == "PROBLEM (clinical)"
    annotated.locator("#adding-label").select_option(label="TEMPORAL (modifiers)")
    annotated.get_by_role("button", name="Add finding").click()
    assert ("worsens", "TEMPORAL") in shown(annotated)
    assert "Added by you" in details(annotated)
    assert "not scored" in details(annotated)
    # What nobody scored is shown at every confidence.
    annotated.get_by_label("Confidence at least").fill("1")
    assert shown(annotated) == [("worsens", "TEMPORAL")]


def test_a_finding_is_added_by_keyboard_from_the_text(annotated):
    annotated.focus("#text")
    annotated.keyboard.press("Control+Home")
    annotated.keyboard.press("ArrowDown")
    for _ in range(len("Severe")):
        annotated.keyboard.press("Shift+ArrowRight")
    annotated.locator("#adding:not([hidden])").wait_for()
    annotated.locator("#adding-label").select_option(label="TREATMENT (clinical)")
    annotated.get_by_role("button", name="Add finding").press("Enter")
    assert ("Severe", "TREATMENT") in shown(annotated)


def test_a_finding_that_the_model_has_is_added_in_its_place(annotated):
    before = shown(annotated)
    start = NOTE.index("fever")
    for _ in range(2):
        annotated.evaluate(
            """([start, end]) => {
                const area = document.querySelector("#text");
                area.focus();
                area.setSelectionRange(start, end);
            }""",
            # The page counts UTF-16 units.
            [start + 1, start + 6],
        )
        annotated.locator("#adding:not([hidden])").wait_for()
        annotated.locator("#adding-label").select_option(label="PROBLEM (clinical)")
        annotated.get_by_role("button", name="Add finding").press("Enter")
        assert "Added by you" in details(annotated)
        assert shown(annotated) == before


def test_a_finding_that_is_changed_to_another_one_stands_once(annotated):
    write(annotated, "Denies fever. Took aspirin.")
    tag(annotated, "fever").click()
    annotated.get_by_role("button", name="End a word later").click()
    annotated.get_by_role("button", name="End a word later").click()
    annotated.get_by_role("button", name="End a word later").click()
    annotated.get_by_role("combobox", name="Label", exact=True).select_option("DRUG")
    for _ in range(3):
        annotated.get_by_role("button", name="Begin a word later").click()
    assert [one for one in shown(annotated) if one[0] == "aspirin"] == [("aspirin", "DRUG")]


def test_an_edge_is_not_moved_between_a_letter_and_its_accent(annotated):
    write(annotated, "Denies fever fie\u0301vre now.")
    tag(annotated, "fever").click()
    annotated.get_by_role("button", name="End a word later").click()
    assert ("fever fie\u0301vre", "PROBLEM") in shown(annotated)


def test_an_assertion_is_marked_as_wrong(annotated):
    tag(annotated, "pneumonia").click()
    annotated.get_by_role("checkbox", name="The assertion is wrong").check()
    annotated.get_by_role("combobox", name="Right", exact=True).select_option("absent")
    assert "marked as wrong: absent would be right" in details(annotated)
    assert annotated.locator("#note mark.wrong").count() == 1
    annotated.get_by_role("checkbox", name="The assertion is wrong").uncheck()
    assert annotated.locator("#note mark.wrong").count() == 0


def test_corrections_move_with_their_words_while_the_text_is_edited(annotated):
    tag(annotated, "pneumonia").click()
    annotated.get_by_role("combobox", name="Label", exact=True).select_option("TREATMENT")
    tag(annotated, "fever").click()
    annotated.get_by_role("button", name="Delete this finding").click()
    tag(annotated, "dyspnea").click()
    annotated.get_by_role("button", name="End a word later").click()
    edit(annotated, 0, 0, "😀 Seen today with dyspnea.\n")
    now = shown(annotated)
    assert ("pneumonia", "TREATMENT") in now
    assert ("fever", "PROBLEM") not in now
    assert ("dyspnea worsens", "PROBLEM") in now
    # The same words elsewhere are another finding.
    assert now[0] == ("dyspnea", "PROBLEM")
    # Where the words themselves are edited, the model's finding counts again.
    before, _, _ = annotated.input_value("#text").partition("pneumonia")
    at = len(before.encode("utf-16-le")) // 2
    edit(annotated, at, at + len("pneumonia. M"), "pneumonia; m")
    assert ("pneumonia", "PROBLEM") in shown(annotated)
    assert ("fever", "PROBLEM") not in shown(annotated)


SMITH, JONES = "Name: Smith. Chest pain. Seen by Dr X.", "Name: Jones. Chest pain. Seen by Dr X."


def test_what_was_corrected_in_a_note_is_not_corrected_in_the_next(page):
    def correct():
        tag(page, "Chest pain").click()
        page.get_by_role("button", name="Delete this finding").click()
        assert shown(page) == []

    write(page, SMITH)
    correct()
    write(page, JONES)
    assert shown(page) == [("Chest pain", "PROBLEM")]
    assert page.is_disabled("#undo")
    # Filled in by a program, and pasted over all of it.
    correct()
    write(page, SMITH, how="type")
    assert shown(page) == [("Chest pain", "PROBLEM")]
    correct()
    edit(page, 0, len(SMITH), JONES)
    assert shown(page) == [("Chest pain", "PROBLEM")]
    # To take that back brings the other note.
    correct()
    with page.expect_response("**/v1/annotate") as answered:
        page.press("#text", "Control+z")
    wait(page, answered)
    assert page.input_value("#text") == SMITH
    assert shown(page) == [("Chest pain", "PROBLEM")]
    # But for its name it is the same note.
    correct()
    at = SMITH.index("Smith")
    edit(page, at, at + 5, "Jones")
    assert shown(page) == []


def test_undo_goes_on_after_an_edit_and_what_is_open_stays_open(annotated):
    tag(annotated, "fever").click()
    annotated.get_by_role("button", name="Delete this finding").click()
    tag(annotated, "pneumonia").click()
    edit(annotated, 0, 0, "Seen today. ")
    assert annotated.inner_text("#details-title").startswith("pneumonia")
    annotated.get_by_role("button", name="Undo").click()
    assert ("fever", "PROBLEM") in shown(annotated)
    assert annotated.is_disabled("#undo")


def test_corrections_are_seen_in_the_table_and_by_section(annotated):
    tag(annotated, "Troponin", "TEST").click()
    annotated.get_by_role("combobox", name="Label", exact=True).select_option("DRUG")
    annotated.get_by_role("tab", name="Table").click()
    row = annotated.locator("tr.selected")
    assert row.inner_text().split("\n")[0].startswith("Troponin")
    assert "DRUG" in row.inner_text()
    annotated.get_by_role("tab", name="By section").click()
    drugs = annotated.get_by_role("table", name="Drugs").last
    assert "Troponin" in drugs.inner_text()


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_buttons_of_the_details_work_by_keyboard(annotated, key):
    tag(annotated, "chest pain").press("Enter")
    annotated.get_by_role("button", name="Begin a word earlier").press(key)
    assert ("Severe chest pain", "PROBLEM") in shown(annotated)
