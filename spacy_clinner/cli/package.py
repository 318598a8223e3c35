from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def command(
    model: Annotated[Path, typer.Argument(help="A trained pipeline")],
    out: Annotated[Path, typer.Argument(help="Folder that gets the distributions")],
    name: Annotated[str, typer.Option(help="The package's name, without the language")] = "clinner",
    version: Annotated[str, typer.Option(help="The package's version")] = "0.1.0",
    layer: Annotated[
        list[str] | None,
        typer.Option(help="A layer to keep, once for each; without it all are kept"),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store the encoder's weights in fp16, in half the size")
    ] = False,
) -> None:
    """Build a wheel and an sdist of MODEL, to be installed with pip; no network is needed."""
    from spacy_clinner.packaging import package

    with Console(stderr=True).status("Building"):
        built = package(model, out, name=name, version=version, layers=layer or (), half=half)
    for path in built:
        typer.echo(f"✔ {path} ({path.stat().st_size / 1e6:.1f} MB)")
