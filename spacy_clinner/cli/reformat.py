from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli.progress import bar
from spacy_clinner.files import only_for_user


def command(
    source: Annotated[Path, typer.Argument(help="A corpus: file, or for brat a folder or zip")],
    target: Annotated[Path, typer.Argument(help="New folder (brat, markup) or file (jsonl)")],
    source_format: Annotated[
        str,
        typer.Option(
            "--from", help="bioc, brat, conll, inception, jsonl, markup, pubtator, webanno"
        ),
    ],
    target_format: Annotated[str, typer.Option("--to", help="brat, jsonl or markup")],
) -> None:
    """Convert a corpus to brat, JSONL or marks in the text; what was not kept is printed."""
    from spacy_clinner.corpora.formats import reformat

    with only_for_user():
        notes, left_out = reformat(source, target, source_format, target_format, progress=bar)
    problems = [problem for note in notes for problem in note.problems]
    for problem in (*problems, *left_out):
        typer.secho(f"⚠ {problem.where}: {problem.reason}", fg="yellow", err=True)
    found = f"{len(problems)} problems in the source, {len(left_out)} left out"
    typer.echo(f"✔ {len(notes)} notes written to {target}, {found}")
