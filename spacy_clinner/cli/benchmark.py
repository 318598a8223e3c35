from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli.progress import bar


def command(
    model: Annotated[str, typer.Argument(help="An installed pipeline, or its folder")],
    texts: Annotated[Path, typer.Argument(help="A folder of .txt files, or a .spacy or CSV file")],
    turns: Annotated[int, typer.Option(help="How often to read the notes", min=1)] = 3,
) -> None:
    """Measure how fast MODEL reads TEXTS on this machine, and how much memory it takes."""
    from spacy_clinner.corpora.unlabelled import read_texts
    from spacy_clinner.evaluation.benchmark import benchmark
    from spacy_clinner.training.provenance import hardware

    found = benchmark(model, read_texts([texts]), turns=turns, progress=bar)
    machine = hardware()
    low, high = min(found.words_per_second), max(found.words_per_second)
    typer.echo(f"{machine['cores']} cores of {machine['cpu']} ({', '.join(machine['flags'])})")
    typer.echo(f"{found.notes:,} notes, {found.words:,} words, {turns} turns")
    typer.echo(f"loading {found.load_seconds:.1f} s, the first note {found.first_seconds:.2f} s")
    typer.echo(f"memory {found.peak_megabytes:,.0f} MB at most")
    typer.echo(f"✔ {found.speed:,.0f} words per second ({low:,.0f} to {high:,.0f})")
