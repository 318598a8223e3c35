"""Whatever stands in a note or a label: it is shown as text, at its place, and runs nothing."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_layers import MARKUP, TYPE, tag, write


def offsets(page):
    return page.inner_text("#details dl > div:last-child dd")


def test_markup_in_a_note_is_text(page):
    text = (
        "<script>alert(1)</script> fever <img src=x onerror=alert(2)>\n"
        "</textarea><svg onload=alert(3)> &lt;b&gt; chest pain {{7*7}} ${1}\n"
    )
    write(page, text)
    assert page.locator("#note :is(script, img, svg, b)").count() == 0
    for words in ("fever", "chest pain"):
        tag(page, words).click()
        start = text.index(words)
        assert offsets(page) == f"{start}–{start + len(words)}"
    shown = page.evaluate("document.querySelector('#note').textContent")
    assert shown.replace("PROBLEM", "") == text
    for view in ("Table", "By section"):
        page.get_by_role("tab", name=view).click()
        assert page.locator("#results :is(script, img)").count() == 0


def test_markup_in_a_label_is_text(page):
    write(page, "An oddity.")
    page.get_by_role("checkbox", name="odd").check()
    mark = page.locator("#note .tag")
    assert mark.inner_text() == MARKUP
    mark.click()
    assert page.inner_text("#details-title").split("\n") == ["oddity", MARKUP]
    page.get_by_role("checkbox", name="clinical").uncheck()
    for view in ("Table", "By section"):
        page.get_by_role("tab", name=view).click()
        assert page.locator("main img").count() == 0
    assert MARKUP in page.inner_text("#view-sections")
    assert page.locator("#adding-label option", has_text=MARKUP).count() == 1


def test_offsets_are_right_behind_emoji_and_surrogate_pairs(page):
    text = "😀👩‍⚕️🏥 𝔘𝔫𝔦 fever 🇩🇪 and chest pain e\u0301 e\u0301\u200d dyspnea"
    write(page, text)
    for words in ("fever", "chest pain", "dyspnea"):
        mark = tag(page, words)
        assert mark.locator("xpath=ancestor::mark").inner_text().startswith(words)
        mark.click()
        start = text.index(words)
        assert offsets(page) == f"{start}–{start + len(words)}"


def test_text_from_right_to_left_is_shown_so_with_its_marks(page):
    text = "المريض لديه ألم شديد\nDenies fever.\n"
    write(page, text)
    mark = tag(page, "ألم")
    mark.click()
    assert offsets(page) == f"{text.index('ألم')}–{text.index('ألم') + 3}"
    # The line begins at the right, the one below it at the left.
    note = page.locator("#note .block").first.bounding_box()
    middle = note["x"] + note["width"] / 2
    assert mark.bounding_box()["x"] > middle
    assert tag(page, "fever").bounding_box()["x"] < middle


def test_halves_of_surrogate_pairs_are_replaced_and_move_nothing(page):
    with page.expect_response("**/v1/annotate") as answered:
        text = r'"a\ud800 \udc00b \ude00\ud83d fever \ud83d\ude00 dyspnea \ud83d"'
        page.evaluate(f"({TYPE})({text})")
    assert answered.value.ok
    tag(page, "fever").click()
    assert offsets(page) == "9–14"
    tag(page, "dyspnea").click()
    assert offsets(page) == "17–24"
    assert page.inner_text("#note .block").startswith("a\ufffd \ufffdb")


def test_a_note_of_controls_and_of_one_line_without_end_is_shown(page):
    write(
        page,
        "\x00\x07\x1b\u2028\u0085 fever \u202e chest pain " + "x" * 30_000 + " dyspnea",
        how="type",
    )
    assert page.locator("#note .tag").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


anything = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("😀𝔘a\n "), max_size=60
)


def test_offsets_in_code_points_and_in_utf_16_units_are_each_others_inverse(page):
    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(anything)
    def check(text):
        units, points = page.evaluate(
            """async text => {
                const {offsetsOf, wellFormed} = await import("./offsets.js");
                if (wellFormed(text) !== text) throw new Error("changed");
                const {toUnits, toPoints} = offsetsOf(text);
                const length = [...text].length;
                const units = Array.from({length: length + 1}, (_, at) => toUnits(at));
                return [units, units.map(toPoints)];
            }""",
            text,
        )
        n_units = [len(text[:at].encode("utf-16-le")) // 2 for at in range(len(text) + 1)]
        assert units == n_units
        assert points == list(range(len(text) + 1))

    check()


def test_blocks_cover_every_text_and_cut_no_pair(page):
    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(anything, st.integers(0, 400), st.sampled_from(["", "\n", " "]))
    def check(text, times, between):
        text = between.join([text] * times)
        extents = page.evaluate(
            "async text => (await import('./note.js')).cut(text)",
            text,
        )
        whole = text.encode("utf-16-le")
        parts = [whole[2 * start : 2 * end] for start, end in extents]
        assert b"".join(parts) == whole
        for part in parts:
            part.decode("utf-16-le")

    check()
