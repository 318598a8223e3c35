"""The page in a real browser: how soon a long note is marked, and whether it scrolls."""

import shutil
from typing import Any

from calling.service import HOST
from spacy_clinner.errors import ClinnerError

WIDTH, HEIGHT = 1360, 850
# When the first mark was on the screen, when all were, and what kept the page busy for long.
WATCH = """() => {
    const seen = window.seen = {tasks: []};
    const note = document.querySelector("#note");
    const painted = (name) => requestAnimationFrame(() => setTimeout(() => {
        seen[name] = performance.now();
    }));
    let isMarked = false;
    const observer = new MutationObserver(() => {
        if (!isMarked && note.querySelector("mark")) {
            isMarked = true;
            painted("first");
        }
        if (isMarked && note.ariaBusy === "false") {
            observer.disconnect();
            painted("all");
        }
    });
    observer.observe(note, {childList: true, subtree: true, attributeFilter: ["aria-busy"]});
    new PerformanceObserver((list) => seen.tasks.push(...list.getEntries().map(
        ({startTime, duration}) => [startTime, duration]))).observe({type: "longtask"});
}"""
ANSWERED = """() => performance.getEntriesByType("resource")
    .findLast(({name}) => name.endsWith("/v1/annotate")).responseEnd"""
# From the head of the page to its foot, `step` pixels a frame: the milliseconds of each.
SCROLL = """async (step) => {
    const frame = () => new Promise(requestAnimationFrame);
    const root = document.scrollingElement;
    const frames = [];
    let before = await frame();
    do {
        root.scrollTop += step;
        const now = await frame();
        frames.push(now - before);
        before = now;
    } while (root.scrollTop + innerHeight < root.scrollHeight - 1);
    return frames;
}"""


def find_chromium() -> str:
    """Find the browser.

    RETURNS (str): Its program.
    RAISES (ClinnerError): There is none, or Playwright is missing.
    """
    from importlib.util import find_spec

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise ClinnerError("The part page needs chromium: apt-get install chromium.")
    if find_spec("playwright") is None:
        raise ClinnerError("The part page needs playwright: pip install .[test].")
    return chromium


def look(chromium: str, port: int, text: str) -> dict[str, Any]:
    """Give the page a note, and scroll through it.

    chromium (str): The browser's program.
    port (int): Where the service listens.
    text (str): The note.
    RETURNS (dict[str, Any]): Milliseconds from the last byte of the answer until the first mark,
        and all, are on the screen; the longest task of the page meanwhile (0 for none of 50 ms and
        more); of the frames while the whole note is scrolled by, a screen in four, the median and
        the longest, and the longest task.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(120_000)
        page.goto(f"http://{HOST}:{port}/")
        page.wait_for_selector(".example")
        page.evaluate(WATCH)
        file: Any = {"name": "note.txt", "mimeType": "text/plain", "buffer": text.encode()}
        page.set_input_files("#file", file)
        page.wait_for_function("() => window.seen.all")
        answered, seen = page.evaluate(ANSWERED), page.evaluate("window.seen")
        marks = page.locator("#note .tag").count()
        scrolled_from = page.evaluate("performance.now()")
        frames = sorted(page.evaluate(SCROLL, HEIGHT // 4))
        tasks = page.evaluate("window.seen.tasks")
        browser.close()
    marking = [ms for start, ms in tasks if answered <= start < scrolled_from]
    scrolling = [ms for start, ms in tasks if start >= scrolled_from]
    return {
        "marks": marks,
        "first_mark_ms": seen["first"] - answered,
        "all_marks_ms": seen["all"] - answered,
        "marking_longest_task_ms": max(marking, default=0.0),
        "frames": len(frames),
        "frame_median_ms": frames[len(frames) // 2],
        "frame_longest_ms": frames[-1],
        "scrolling_longest_task_ms": max(scrolling, default=0.0),
    }
