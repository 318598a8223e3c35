from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def command(
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
    from spacy_clinner.cpu.edition import optimize

    with Console(stderr=True).status("Making the CPU edition"):
        outcome = optimize(
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
