"""Swagger UI in a real browser, which may reach nothing but the service."""

import shutil

import pytest

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.skipif(not CHROMIUM, reason="chromium is missing: apt install chromium")
def test_the_documentation_shows_every_path_and_asks_one_with_nothing_from_elsewhere(
    browser, server
):
    page = browser.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{server.url}/docs")
    for path in ("/v1/annotate", "/v1/annotate/stream", "/v1/model", "/readyz"):
        playwright.expect(page.locator(f'[data-path="{path}"]').first).to_be_visible(timeout=60_000)
    page.locator("#operations-default-readyz_readyz_get button.opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    playwright.expect(page.locator(".live-responses-table")).to_contain_text("ready")
    assert not [url for url in asked if not url.startswith((server.url, "data:"))]
    assert not complaints
    page.close()
