"""The table, and what one scans by section."""

import pytest
from toy_layers import NOTE, write


def column(page, name):
    inside = "button" if name == "finding" else ""
    return page.eval_on_selector_all(
        f"#view-table tbody .{name} {inside}", "all => all.map(c => c.innerText)"
    )


def test_views_are_chosen_by_arrow_keys(annotated):
    annotated.get_by_role("tab", name="Marked note").focus()
    for key, view in (("ArrowRight", "table"), ("ArrowRight", "sections"), ("ArrowRight", "note")):
        annotated.keyboard.press(key)
        assert annotated.is_visible(f"#view-{view}")
        assert annotated.locator("[role=tabpanel]:visible").count() == 1
        assert annotated.evaluate("document.activeElement.id") == f"tab-{view}"


def test_the_table_is_sorted_by_each_column_both_ways(annotated):
    annotated.get_by_role("tab", name="Table").click()
    words = column(annotated, "finding")
    assert words[:3] == ["chest pain", "fever", "pneumonia"]
    header = annotated.get_by_role("button", name="Finding", exact=True)
    header.click()
    assert column(annotated, "finding") == sorted(words, key=str.lower)
    assert annotated.get_attribute("th.finding[scope=col]", "aria-sort") == "ascending"
    header.click()
    assert column(annotated, "finding") == sorted(words, key=str.lower, reverse=True)
    annotated.get_by_role("button", name="Confidence", exact=True).click()
    assert column(annotated, "confidence")[:2] == ["0.31", "0.55"]
    assert annotated.get_attribute("th.finding[scope=col]", "aria-sort") is None
    # The third click gives back the order of the note.
    for _ in range(2):
        annotated.get_by_role("button", name="Confidence", exact=True).click()
    assert column(annotated, "finding") == words


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("absent", ["fever"]),
        ("drug", ["Aspirin", "Lisinopril"]),
        ("strength 81", ["Aspirin"]),
        ("nothing of this", []),
    ],
)
def test_the_table_is_filtered_by_words(annotated, typed, found):
    annotated.get_by_role("tab", name="Table").click()
    annotated.get_by_label("Filter").fill(typed)
    assert column(annotated, "finding") == found
    assert f"{len(found)} finding" in annotated.inner_text("#view-table .count")


BROKEN = """within => {
    const walker = document.createTreeWalker(document.querySelector(within), 4);
    const broken = [];
    for (let node; (node = walker.nextNode());) {
        for (const {index, 0: word} of node.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
            const range = document.createRange();
            range.setStart(node, index);
            range.setEnd(node, index + word.length);
            const lines = new Set([...range.getClientRects()].map(({top}) => top));
            if (lines.size > 1) broken.push(word);
        }
    }
    return broken;
}"""


def test_at_no_width_is_a_word_of_the_table_broken_or_cut_off(annotated):
    annotated.get_by_role("tab", name="Table").click()
    cut_off = """all => all.filter(one => one.offsetParent && one.scrollWidth > one.clientWidth + 1)
        .map(one => one.innerText)"""
    for width in (360, 390, 820, 1024, 1280, 1440, 1920, 2560):
        annotated.set_viewport_size({"width": width, "height": 900})
        assert (width, annotated.evaluate(BROKEN, "#view-table table")) == (width, [])
        cells = "#view-table, #view-table :is(th, td)"
        assert (width, annotated.eval_on_selector_all(cells, cut_off)) == (width, [])
        assert annotated.evaluate("document.documentElement.scrollWidth") <= width
        # What has no column stands below the words.
        row = annotated.locator("#view-table tbody tr").first.inner_text()
        for told in ("Chief complaint", "clinical", "24–34"):
            assert (width, told, row.count(told)) == (width, told, 1)


def test_a_row_opens_the_details(annotated):
    annotated.get_by_role("tab", name="Table").click()
    annotated.get_by_role("button", name="pneumonia").press("Enter")
    assert annotated.inner_text("#details-title").startswith("pneumonia")
    assert annotated.locator("tr.selected").count() == 1


def test_a_long_table_is_shown_in_parts(page):
    write(page, NOTE * 30)
    page.get_by_role("tab", name="Table").click()
    assert len(column(page, "finding")) == 200
    page.get_by_role("button", name="Show 40 more").click()
    assert len(column(page, "finding")) == 240


def test_what_no_column_says_of_a_drug_stands_beside_it(page):
    write(page, "Medications:\nNo aspirin.\nLisinopril 10 mg PO BID")
    page.get_by_role("tab", name="By section").click()
    drugs = page.get_by_role("table", name="Drugs").get_by_role("rowheader").all_inner_texts()
    assert [" ".join(name.split()) for name in drugs] == ["aspirin absent", "Lisinopril"]


def test_what_someone_else_does_not_have_is_said_to_be_absent(page):
    write(page, "Family History:\nNo family history of breast cancer.")
    page.get_by_role("tab", name="Table").click()
    assert column(page, "assertion") == ["associated with someone else, absent, of family"]


def test_sections_have_problems_drugs_and_tests_with_their_columns(annotated):
    annotated.get_by_role("tab", name="By section").click()

    def rows(section, kind):
        table = annotated.get_by_role("region", name=section).get_by_role("table", name=kind)
        return table.locator("tr").evaluate_all(
            "all => all.map(row => [...row.cells].map(cell => cell.innerText))"
        )

    assert rows("Chief complaint", "Problems")[1][:4] == [
        "chest pain",
        "present",
        "chest",
        "Severe",
    ]
    assert [row[:2] for row in rows("History of present illness", "Problems")[1:]] == [
        ["fever", "absent"],
        ["pneumonia", "possible"],
        ["breast cancer", "associated with someone else, of family"],
    ]
    assert rows("Medications", "Drugs") == [
        ["Drug", "Dose", "Route", "Frequency", "For"],
        ["Aspirin", "81 mg", "PO", "daily", ""],
        ["Lisinopril", "10 mg", "PO", "BID", ""],
    ]
    assert rows("Laboratory", "Tests")[1][:2] == ["Troponin", "4.8 ng/mL"]
    annotated.get_by_role("button", name="Lisinopril").click()
    assert "10 mg" in annotated.inner_text("#details")
