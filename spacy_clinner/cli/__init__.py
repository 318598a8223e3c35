"""The `clinner` command, a module for each of its commands.

Nothing here imports spaCy or torch before a command runs, so that `--help` is quick and the
environment is set in time.
"""

import inspect
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from spacy_clinner.cli import (
    adapt,
    annotate,
    benchmark,
    check,
    convert,
    corrections,
    evaluate,
    instruct,
    label,
    optimize,
    package,
    reformat,
    serve,
    suggest,
    train,
    tune,
    view,
)
from spacy_clinner.cli.environment import set_defaults
from spacy_clinner.cli.messages import one_message

TAKES_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}


class Commands(TyperGroup):
    """The commands, which as a part of spaCy's have its `main`, not ours."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        set_defaults()
        with one_message():
            return super().invoke(ctx)


app = typer.Typer(
    cls=Commands,
    help="Clinical NER for spaCy: from annotated notes to a pipeline that you can install.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("convert")(convert.command)
app.command("check", context_settings=TAKES_OVERRIDES)(check.command)
app.command("train", context_settings=TAKES_OVERRIDES)(train.command)
app.command("evaluate")(evaluate.command)
app.command("instruct")(instruct.command)
app.command("tune")(tune.command)
app.command("label")(label.command)
app.command("adapt")(adapt.command)
app.command("optimize")(optimize.command)
app.command("package")(package.command)
app.command("reformat")(reformat.command)
app.command("annotate")(annotate.command)
app.command("suggest")(suggest.command)
app.command("corrections")(corrections.command)
app.command("view")(view.command)
app.command("benchmark")(benchmark.command)
app.command("serve")(serve.command)


def run(command: Callable[..., Any]) -> None:
    """Run a typer command or app, as scripts do; see `one_message`."""
    set_defaults()
    cli = command if isinstance(command, typer.Typer) else _as_app(command)
    with one_message():
        cli()


def _as_app(command: Callable[..., Any]) -> typer.Typer:
    single = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    takes_overrides = "context" in inspect.signature(command).parameters
    single.command(context_settings=TAKES_OVERRIDES if takes_overrides else {})(command)
    return single


def main() -> None:
    """The entry point of the `clinner` command."""
    run(app)
