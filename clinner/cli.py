"""The `clinner` command."""

import inspect
import sys
from collections.abc import Callable
from typing import Any

import typer

from clinner.errors import ClinnerError

app = typer.Typer(
    help="Clinical NER for spaCy.", no_args_is_help=True, pretty_exceptions_enable=False
)


def run(command: Callable[..., Any]) -> None:
    """Run a typer command or app; a `ClinnerError` becomes one message and exit code 1."""
    cli = command if isinstance(command, typer.Typer) else _as_app(command)
    try:
        cli()
    except ClinnerError as error:
        typer.secho(f"✘ {error}", fg="red", err=True)
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


def main() -> None:
    """The entry point of the `clinner` command."""
    run(app)
