from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from spacy_clinner.cli.progress import plain_console


def command(
    suggested: Annotated[
        Path, typer.Argument(help="The folder of `clinner suggest`, or its suggested.jsonl")
    ],
    corrected: Annotated[Path, typer.Argument(help="What the tool exported: file or folder")],
    format: Annotated[
        str, typer.Option(help="jsonl (Label Studio, Prodigy, doccano), brat, inception, webanno")
    ] = "jsonl",
    annotator: Annotated[
        str | None,
        typer.Option(help="Whose annotations count, by the name that the tool exports, or vote"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A .json file to write")] = None,
) -> None:
    """Tell what annotators accepted, changed, deleted and added of what was suggested."""
    import srsly

    from spacy_clinner.corpora.corrections import OUTCOMES, compare
    from spacy_clinner.corpora.formats import read
    from spacy_clinner.corpora.suggestion_files import read_suggested
    from spacy_clinner.files import check_file, written_whole

    if out is not None:
        check_file(out, [suggested, corrected])
    done = compare(read_suggested(suggested), list(read(corrected, format, annotator)))
    found = done.as_json()
    if out is not None:
        with written_whole(out) as path:
            srsly.write_json(path, found)
    table = Table(title=f"{done.notes} notes, {done.unchanged} of them unchanged")
    for column in ("", *OUTCOMES):
        table.add_column(column, justify="left" if not column else "right")
    rows = {**found["by_label"], "all spans": found["spans"]}
    for name, counts in {**rows, "links": found["links"], "said": found["assertions"]}.items():
        table.add_row(name, *(f"{counts[outcome]:,}" for outcome in OUTCOMES))
    plain_console().print(table)
    for change, count in found["label_changes"].items():
        typer.echo(f"{count} × {change}")
    if done.missing:
        typer.echo(f"{done.missing} notes did not come back, or nobody annotated them.")
    if done.minutes is not None:
        typer.echo(f"{done.minutes} minutes, {done.minutes / done.notes:.1f} a note")
