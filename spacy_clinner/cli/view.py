from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.errors import ClinnerError


def command(
    model: Annotated[str, typer.Argument(help="An installed pipeline, or its folder")],
    note: Annotated[Path, typer.Argument(help="A text file")],
    out: Annotated[Path, typer.Argument(help="The HTML page to write; it holds the note's text")],
    layer: Annotated[str | None, typer.Option(help="A span group to show, not doc.ents")] = None,
) -> None:
    """Render a NOTE with what MODEL finds in it."""
    from spacy_clinner.corpora.lines import decode
    from spacy_clinner.files import written_whole
    from spacy_clinner.tables.pipelines import load
    from spacy_clinner.view import render

    if out.exists() and note.exists() and out.samefile(note):
        raise ClinnerError(f"{out}: is the note itself. Name another file for the page.")
    nlp = load(model)
    if not note.is_file():
        raise ClinnerError(f"{note}: no such file.")
    html = render(nlp(decode(note.read_bytes(), note)), layer=layer, page=True)
    with written_whole(out, private=True) as path:
        path.write_text(html, encoding="utf8")
    typer.echo(f"✔ {out}, which holds the note: only you may read it (mode 0600)")
