"""The page in a real browser, against the real service with a pipeline that takes no time."""

import shutil
import socket
import threading
import time

import pytest
import spacy
from toy_layers import NOTE, write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def toy():
    """A pipeline with four layers, links, sections and assertion."""
    made = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    for name in ("toy_layers", "clinner_sentences", "clinner_sections", "clinner_context"):
        made.add_pipe(name)
    return made


@pytest.fixture(scope="session")
def serve():
    """Starts the service, in a thread: gives its address."""
    for package in ("fastapi", "fastapi_offline", "prometheus_client", "pyarrow"):
        pytest.importorskip(package, reason=f"{package} is missing: pip install .[serve,test]")
    uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is missing: pip install .[serve]")
    from spacy_clinner.service.app import create_app
    from spacy_clinner.service.limits import Limits

    started = []

    def start(nlp, api_key=None, **limits):
        taken = socket.socket()
        taken.bind(("127.0.0.1", 0))
        app = create_app(nlp, Limits(**limits), api_key=api_key)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, args=([taken],))
        thread.start()
        started.append((server, thread, taken))
        while not server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"

    yield start
    for server, thread, taken in started:
        server.should_exit = True
        thread.join()
        taken.close()


@pytest.fixture(scope="session")
def address(serve, toy):
    """The service with the toy pipeline, and with limits that a test can reach."""
    return serve(toy, note=150_000)


# For each file anew: while Playwright runs, its event loop holds the thread, and no other test of
# this process could run one.
@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    reason = "playwright is missing: pip install .[test]"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    with playwright.sync_playwright() as running:
        # In a container its sandbox cannot start, and it opens nothing but our own page.
        launched = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser, address):
    """Opens the page. Whatever a test does: nothing goes elsewhere, nothing is stored, nothing
    fails in the console."""
    opened = []

    def start(at=address, is_clean=True, **options):
        context = browser.new_context(accept_downloads=True, **options)
        page = context.new_page()
        # A busy machine is no failure.
        page.set_default_timeout(120_000)
        asked, said_there = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said_there.append(message.text))
        page.on("pageerror", lambda error: said_there.append(str(error)))
        page.on("dialog", lambda dialog: said_there.append(f"dialog {dialog.message}"))
        opened.append((context, page, at, is_clean, asked, said_there))
        page.goto(at)
        return page

    yield start
    for context, page, at, is_clean, asked, said_there in opened:
        assert all(url.startswith((at, f"blob:{at}")) for url in asked)
        assert not is_clean or said_there == []
        assert context.storage_state(indexed_db=True) == {"cookies": [], "origins": []}
        assert page.evaluate("sessionStorage.length") == 0
        context.close()


@pytest.fixture
def page(open_page):
    return open_page(viewport={"width": 1280, "height": 900})


@pytest.fixture
def annotated(page):
    """The page with the note in it, marked."""
    write(page, NOTE)
    return page


@pytest.fixture(scope="session")
def screenshots(pytestconfig):
    """Where screenshots are kept."""
    folder = pytestconfig.rootpath / "build/page"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
