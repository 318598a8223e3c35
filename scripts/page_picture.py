"""A picture of the page of `clinner serve`, with a note that the model gets right."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from spacy.language import Language

from spacy_clinner.cli import run
from spacy_clinner.corpora.brat import read_brat
from spacy_clinner.corpora.note import Note
from spacy_clinner.errors import ClinnerError

LAYER = "clinical"
# Fewer findings show too little, longer notes do not fit.
FINDINGS, CHARACTERS = 12, 1500
WIDTH, HEIGHT = 1360, 850
LISTENS = re.compile(r"listening on (\S+)")


def main(
    model: Annotated[str, typer.Argument(help="An installed pipeline, or its folder")],
    picture: Annotated[Path, typer.Argument(help="The PNG to write")] = Path("docs/page.png"),
    notes: Annotated[Path, typer.Option(help="A brat corpus")] = Path("corpus/sample/test"),
    dark: Annotated[bool, typer.Option("--dark", help="In dark colours")] = False,
) -> None:
    """Serve MODEL and take a picture of the page with the note of --notes that it gets most right:
    the best F1 of the entities, exact offsets and label."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise ClinnerError("There is no chromium: apt-get install chromium.")
    try:
        nlp = spacy.load(model)
    except OSError:
        raise ClinnerError(f"{model}: no such pipeline, neither installed nor a folder.") from None
    score, note = max(
        ((_f1(nlp, note), note) for note in read_brat(notes) if len(note.text) < CHARACTERS),
        key=lambda scored: scored[0],
    )
    with _served(model) as address:
        _take(chromium, address, note.text, picture, dark)
    typer.echo(f"✔ {picture}: {note.id}, F1 of its entities {100 * score:.1f}")


def _f1(nlp: Language, note: Note) -> float:
    """0 where there is too little to see."""
    ner: Any = nlp.get_pipe("ner")
    labels = set(ner.layer_labels[LAYER])
    gold = {(s.start, s.end, s.label) for s in note.spans if s.label in labels}
    doc = nlp(note.text)
    found = {(span.start_char, span.end_char, span.label_) for span in doc.spans[LAYER]}
    return 2 * len(gold & found) / (len(gold) + len(found)) if len(gold) >= FINDINGS else 0.0


@contextmanager
def _served(model: str) -> Iterator[str]:
    command = [sys.executable, "-m", "spacy_clinner", "serve", model, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            told = next(filter(None, map(LISTENS.search, process.stderr)), None)
            if told is None:
                raise ClinnerError(f"`clinner serve {model}` ended before it listened.")
            yield told[1]
        finally:
            process.terminate()


def _take(chromium: str, address: str, text: str, picture: Path, dark: bool) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="dark" if dark else "light",
        )
        page.goto(address)
        page.wait_for_selector(".example")
        page.fill("#text", text)
        page.evaluate("document.querySelector('#text').scrollTop = 0")
        # What is negated shows most: a cue, a line to it, and the words struck through.
        page.locator("#note .tag").first.wait_for()
        absent = page.locator("#note mark.absent .tag")
        (absent if absent.count() else page.locator("#note .tag")).first.click()
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    run(main)
