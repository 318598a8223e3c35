"""The `clinner` command."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import click
import typer

from spacy_clinner.errors import ClinnerError

app = typer.Typer(
    help="Clinical NER for spaCy.", no_args_is_help=True, pretty_exceptions_enable=False
)


def run(command: Callable[..., Any]) -> None:
    """Run a typer command or app; an error of the user or of the disk becomes one message."""
    cli = command if isinstance(command, typer.Typer) else _as_app(command)
    try:
        cli()
    except ClinnerError as error:
        _fail(str(error))
    except OSError as error:
        # A rename names two files, of which the user knows the second.
        path = error.filename2 or error.filename
        reason = error.strerror or " ".join(str(error).split())
        _fail(f"{path}: {reason}." if path else reason)
    # typer handles its own; spaCy's option parser raises click's.
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _fail(message: str) -> None:
    typer.secho(f"✘ {message}", fg="red", err=True)
    sys.exit(1)


def _as_app(command: Callable[..., Any]) -> typer.Typer:
    single = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    extra = {"allow_extra_args": True, "ignore_unknown_options": True}
    takes_extra = "context" in inspect.signature(command).parameters
    single.command(context_settings=extra if takes_extra else {})(command)
    return single


@app.callback()
def _root() -> None:
    """Clinical NER for spaCy."""


@app.command()
def optimize(
    model: Annotated[Path, typer.Argument(help="A trained pipeline")],
    out: Annotated[Path, typer.Argument(help="Folder that gets the CPU edition")],
    precision: Annotated[str, typer.Option(help="int8, bf16 or fp32")] = "int8",
    dev: Annotated[Path | None, typer.Option(help="A .spacy file to compare scores on")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="A .spacy file with texts to calibrate int8")
    ] = None,
    batches: Annotated[int, typer.Option(help="Batches to calibrate with", min=1)] = 100,
    tolerance: Annotated[float, typer.Option(help="Points of F1 that may be lost")] = 0.5,
    fallback: Annotated[
        bool, typer.Option("--fallback", help="Where it lost more, take the next safer precision")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write it whatever it lost")] = False,
) -> None:
    """Make the CPU edition of MODEL: an encoder without torch, everything else as it is."""
    from spacy_clinner.cpu import edition

    outcome = edition.optimize(
        model,
        out,
        precision=precision,
        dev=dev,
        calibration=calibration,
        n_batches=batches,
        tolerance=tolerance,
        fallback=fallback,
        force=force,
    )
    for reason in outcome.refused:
        typer.secho(f"⚠ {reason}: the next safer precision is taken.", fg="yellow", err=True)
    typer.echo(f"✔ {out}: {outcome}")


@app.command()
def reformat(
    source: Annotated[Path, typer.Argument(help="A corpus: file, or for brat a folder or zip")],
    target: Annotated[Path, typer.Argument(help="Folder (brat) or file (jsonl) to write")],
    source_format: Annotated[str, typer.Option("--from", help="brat, conll, jsonl, pubtator")],
    target_format: Annotated[str, typer.Option("--to", help="brat or jsonl")],
) -> None:
    """Convert a corpus from any format to brat or JSONL; what a reader did not keep is printed."""
    from spacy_clinner.corpora import write_brat, write_jsonl
    from spacy_clinner.corpora.formats import read

    writers = {"brat": write_brat, "jsonl": write_jsonl}
    if target_format not in writers:
        known = ", ".join(writers)
        raise ClinnerError(f"{target}: cannot write the format {target_format!r}. Known: {known}.")
    notes = list(read(source, source_format))
    writers[target_format](notes, target)
    problems = [problem for note in notes for problem in note.problems]
    for problem in problems:
        typer.secho(f"⚠ {problem.where}: {problem.reason}", fg="yellow", err=True)
    typer.echo(f"✔ {len(notes)} notes written to {target}, {len(problems)} problems in the source")


@app.command()
def view(
    model: Annotated[str, typer.Argument(help="An installed pipeline, or its folder")],
    note: Annotated[Path, typer.Argument(help="A text file")],
    out: Annotated[Path, typer.Argument(help="The HTML page to write; it holds the note's text")],
    layer: Annotated[str | None, typer.Option(help="A span group to show, not doc.ents")] = None,
) -> None:
    """Render a NOTE with what MODEL finds in it."""
    import spacy

    from spacy_clinner.corpora.lines import decode
    from spacy_clinner.files import written_whole
    from spacy_clinner.view import render

    try:
        nlp = spacy.load(model)
    except OSError:
        raise ClinnerError(f"{model}: no such pipeline, neither installed nor a folder.") from None
    if not note.is_file():
        raise ClinnerError(f"{note}: no such file.")
    html = render(nlp(decode(note.read_bytes(), note)), layer=layer, page=True)
    with written_whole(out, private=True) as path:
        path.write_text(html, encoding="utf8")
    typer.echo(f"✔ {out}, which holds the note: only you may read it (mode 0600)")


def main() -> None:
    """The entry point of the `clinner` command."""
    run(app)
