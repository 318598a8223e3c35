"""The marked note, what switches show of it, and what is known of a finding."""

import re

import pytest
from toy_layers import NOTE, tag, write

from spacy_clinner import view


def state_of(page, words):
    return page.evaluate(
        "words => [...document.querySelectorAll('#note mark')]"
        ".find(mark => mark.innerText.startsWith(words)).className.split(' ')[0]",
        words,
    )


def boxes(page, selector):
    return page.eval_on_selector_all(
        selector,
        """all => all.map(one => {
            const {x, y, width, height} = one.getBoundingClientRect();
            return [x, y, width, height];
        })""",
    )


def box_of(page, words):
    """Where words stand on the screen."""
    return page.evaluate(
        """words => {
            const walker = document.createTreeWalker(document.querySelector("#note"), 4);
            for (let node; (node = walker.nextNode());) {
                const at = node.data.indexOf(words);
                if (at < 0) continue;
                const range = document.createRange();
                range.setStart(node, at);
                range.setEnd(node, at + words.length);
                const {x, y, width, height} = range.getBoundingClientRect();
                return [x, y, width, height];
            }
        }""",
        words,
    )


def around(frame, words):
    """Whether a frame lies around words and nothing else."""
    (x, y, width, height), (left, top, wide, high) = frame, words
    return (
        x <= left + 1
        and y <= top + 1
        and x + width >= left + wide - 1
        and y + height >= top + high - 1
        and width - wide < 8
        and height - high < 8
    )


def test_marks_are_drawn_as_clinner_view_draws_them(annotated, toy):
    for words, state in {
        "chest pain": "present",
        "fever": "absent",
        "pneumonia": "possible",
        "breast cancer": "other",
        "Aspirin": "present",
        "dyspnea": "other",
    }.items():
        assert state_of(annotated, words) == state
    struck = annotated.locator("mark.absent > span").first
    assert "line-through" in struck.evaluate("one => getComputedStyle(one).textDecoration")
    dotted = annotated.locator("#note mark.possible").first
    assert "dotted" in dotted.evaluate("one => getComputedStyle(one).outline")
    made = view.render(toy(NOTE), jupyter=False)
    for words, state in re.findall(r'<mark class="(\w+)".*?<span>(\w+)', made):
        assert state_of(annotated, state) == words


@pytest.mark.parametrize(
    ("words", "label", "group"),
    [
        ("chest pain", "PROBLEM", "Disorders"),
        ("Aspirin", "DRUG", "Chemicals & Drugs"),
        ("Troponin", "TEST", "Procedures"),
    ],
)
def test_marks_have_the_colours_of_clinner_view(annotated, words, label, group):
    mark = tag(annotated, words, label).locator("xpath=ancestor::mark")
    red, green, blue = re.findall(
        r"\d+", mark.evaluate("one => getComputedStyle(one).backgroundColor")
    )
    assert f"#{int(red):02x}{int(green):02x}{int(blue):02x}" == view.COLORS[group]


def test_the_text_of_the_marked_note_is_that_of_the_note(annotated):
    shown = annotated.evaluate(
        """() => {
            const copy = document.querySelector("#note").cloneNode(true);
            for (const tag of copy.querySelectorAll(".tag")) tag.remove();
            return copy.textContent;
        }"""
    )
    assert shown == NOTE


def test_layers_and_labels_are_switched(annotated):
    def labels():
        return set(annotated.eval_on_selector_all("#note .tag", "all => all.map(t => t.innerText)"))

    assert labels() == {"PROBLEM", "DRUG", "TEST"}
    annotated.get_by_role("checkbox", name="modifiers").check()
    assert labels() >= {"SEVERITY", "BODYLOC", "ROUTE", "PROBLEM"}
    annotated.get_by_role("checkbox", name="SEVERITY").uncheck()
    annotated.get_by_role("checkbox", name="clinical").uncheck()
    assert "SEVERITY" not in labels()
    assert "PROBLEM" not in labels()
    assert "BODYLOC" in labels()
    annotated.get_by_role("checkbox", name="modifiers").uncheck()
    assert labels() == set()


def test_overlapping_findings_of_layers_can_each_be_seen_and_opened(annotated):
    annotated.get_by_role("checkbox", name="modifiers").check()
    annotated.get_by_role("checkbox", name="ncbi").check()
    pain = annotated.locator("#note mark").filter(has_text="pain").first
    opened = []
    for _ in range(3):
        pain.locator("span").first.click(position={"x": 3, "y": 5})
        opened.append(annotated.inner_text("#details-title").split("\n"))
    assert opened[0] == ["pain", "DISEASE"]
    assert opened[1] == ["chest pain", "PROBLEM"]
    assert opened[2] == opened[0]
    annotated.locator("#note mark").filter(has_text="chest").first.click(position={"x": 5, "y": 8})
    assert annotated.inner_text("#details-title").split("\n") == ["chest", "BODYLOC"]


def test_the_slider_changes_the_counts_as_it_moves(annotated):
    def counts():
        numbers = [annotated.get_by_role("checkbox", name=name) for name in ("clinical", "PROBLEM")]
        beside = "one => one.parentElement.querySelector('.number').innerText"
        return [int(number.evaluate(beside)) for number in numbers]

    slider = annotated.get_by_label("Confidence at least")
    assert counts() == [8, 5]
    slider.focus()
    for _ in range(32):
        annotated.keyboard.press("ArrowRight")
    assert annotated.inner_text("output") == "0.32"
    assert counts() == [7, 4]
    assert tag(annotated, "dyspnea").count() == 0
    slider.fill("0.6")
    assert counts() == [6, 3]
    assert tag(annotated, "fever").count() == 0
    assert tag(annotated, "pneumonia").count() == 1
    assert "6 of " in annotated.inner_text("#filters .count")
    slider.fill("1")
    assert counts() == [0, 0]


def test_a_click_opens_what_is_known_and_lights_the_cue(annotated):
    annotated.locator("#note mark.absent").click(position={"x": 8, "y": 8})
    told = annotated.inner_text("#details")
    start = NOTE.index("fever")
    for part in (
        *("fever", "PROBLEM", "Absent", "decided by rule neg_denies", "Denies", "0.55"),
        *("NEGATION", "History of present illness", "clinical · Disorders"),
        f"{start}–{start + 5}",
    ):
        assert part in told
    (cue,) = boxes(annotated, "#lines .frame.cue")
    assert around(cue, box_of(annotated, "Denies"))
    assert annotated.locator("#lines path.line.cue").count() == 1


def test_linked_modifiers_are_framed_with_a_line_to_each(annotated):
    tag(annotated, "chest pain").click()
    frames = boxes(annotated, "#lines .frame.link")
    words = ["Severe", "chest", "2 days"]
    assert len(frames) == 3
    assert all(any(around(frame, box_of(annotated, word)) for frame in frames) for word in words)
    assert annotated.locator("#lines path.line").count() == 3
    annotated.set_viewport_size({"width": 800, "height": 900})
    annotated.wait_for_timeout(50)
    frames = boxes(annotated, "#lines .frame.link")
    assert all(any(around(frame, box_of(annotated, word)) for frame in frames) for word in words)


def test_words_that_go_on_in_the_next_line_have_one_frame_in_each(open_page):
    page = open_page(viewport={"width": 390, "height": 844})
    # One of them is cut between its two words.
    write(page, "\n".join(f"{'x' * at} dyspnea for 12 days." for at in range(1, 24)))
    for at in range(page.locator("#note .tag").count()):
        page.locator("#note .tag").nth(at).click()
        frames = boxes(page, "#lines .frame")
        assert frames
        for one in frames:
            near = [two for two in frames if two is not one and abs(two[1] - one[1]) < 10]
            # Not a sliver for the space at the end of a line.
            assert all(not -4 < two[0] - (one[0] + one[2]) < 1 for two in near)
            assert one[2] > 12


def test_the_note_is_walked_through_by_keyboard(annotated):
    tag(annotated, "chest pain").focus()
    annotated.keyboard.press("ArrowRight")
    annotated.keyboard.press("Enter")
    assert annotated.inner_text("#details-title").startswith("fever")
    assert annotated.evaluate("document.activeElement.id") == "details-title"
    annotated.keyboard.press("Escape")
    assert annotated.is_hidden("#details")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert annotated.evaluate(focused) == "fever, PROBLEM, absent, confidence 0.55"
    for key, words in (("End", "dyspnea"), ("ArrowLeft", "Troponin"), ("Home", "chest pain")):
        annotated.keyboard.press(key)
        assert annotated.evaluate(focused).startswith(words)
    # One stop for the tab key: the next is behind the note.
    annotated.keyboard.press("Tab")
    assert not annotated.evaluate("document.activeElement.matches('.tag')")


def test_the_next_and_the_previous_finding_are_a_click_away(annotated):
    tag(annotated, "chest pain").click()
    seen = []
    for name in ("Next finding", "Next finding", "Previous finding"):
        annotated.get_by_role("button", name=name).click()
        seen.append(annotated.inner_text("#details-title").split("\n")[0])
    assert seen == ["fever", "pneumonia", "fever"]
    annotated.get_by_role("button", name="Close the details").click()
    assert annotated.is_hidden("#details")


def test_on_a_phone_the_details_do_not_cover_the_mark(open_page):
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    write(page, NOTE * 3)
    mark = tag(page, "Troponin", "TEST").last
    mark.tap()
    page.wait_for_timeout(50)
    assert mark.bounding_box()["y"] < page.locator("#details").bounding_box()["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_note_of_100_000_characters_is_drawn_from_what_is_in_sight(page, screenshots):
    text = NOTE * (100_000 // len(NOTE) + 1)
    page.evaluate("document.querySelector('#text').scrollIntoView()")
    page.evaluate(
        """() => {
            window.seen = {};
            const note = document.querySelector("#note");
            new MutationObserver(() => {
                const marks = note.querySelectorAll("mark").length;
                if (marks) window.seen.first ??= marks;
            }).observe(note, {childList: true, subtree: true});
        }"""
    )
    write(page, text)
    n_marks = page.locator("#note .tag").count()
    assert page.evaluate("window.seen.first") < n_marks / 2
    assert n_marks == 8 * (len(text) // len(NOTE))
    assert page.locator(".long .block").count() > 20
    last = page.locator("#note .tag").last
    last.scroll_into_view_if_needed()
    last.click()
    assert page.inner_text("#details-title").startswith("dyspnea")
    page.get_by_label("Confidence at least").fill("0.6")
    page.wait_for_function("() => document.querySelector('#note').ariaBusy === 'false'")
    assert page.locator("#note .tag").count() == 6 * (len(text) // len(NOTE))
