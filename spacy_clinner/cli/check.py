from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spacy_clinner.cli.progress import plain_console

if TYPE_CHECKING:
    from spacy_clinner.training.check import Check


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A converted corpus, such as corpus/sample")],
    config: Annotated[
        Path | None, typer.Option(help="Also run spaCy's debug data with this config")
    ] = None,
) -> None:
    """Look for what would spoil training in FOLDER: no spans, leaks between splits, rare labels.

    Further options such as --variables.encoder X set values of the config.
    """
    from spacy_clinner.compat import parse_config_overrides
    from spacy_clinner.training.check import check, check_config
    from spacy_clinner.training.preparation import load_settings

    overrides = parse_config_overrides(context.args)
    if config is not None:
        load_settings(config, overrides)
    found = check(folder)
    show(folder.name, found)
    typer.echo("✔ no note stands in two splits, and every split has spans")
    if config is not None:
        check_config(config, folder, overrides)


def show(name: str, found: "Check") -> None:
    """Print the spans of each label, and what is worth a look."""
    from rich.table import Table

    table = Table(title=f"{name}: spans by label")
    table.add_column("layer/label")
    for split in found.counts:
        table.add_column(split, justify="right")
    for label in sorted(set().union(*found.counts.values())):
        table.add_row(label, *(f"{counts[label]:,}" for counts in found.counts.values()))
    plain_console().print(table)
    for line in found.complaints:
        typer.echo(f"⚠ {line}")
