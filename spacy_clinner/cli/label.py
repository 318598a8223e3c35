from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spacy_clinner.cli.progress import bar, plain_console

if TYPE_CHECKING:
    from spacy_clinner.training.labelling import Agreement


def command(
    texts: Annotated[list[Path], typer.Argument(help=".csv, .csv.xz or .spacy files of notes")],
    out: Annotated[Path, typer.Option(help="The .spacy file to write")],
    teacher: Annotated[list[Path], typer.Option(help="A trained pipeline; may be given often")],
    layer: Annotated[list[str], typer.Option(help="A layer to label; may be given often")],
    exclude: Annotated[
        list[Path], typer.Option(help="A file whose texts are left out, such as the test split")
    ],
    notes: Annotated[
        int, typer.Option(help="How many texts to label, chosen by chance", min=1)
    ] = 1000,
    keep: Annotated[
        float, typer.Option(help="Which part of them to keep, the surest", min=0, max=1)
    ] = 0.8,
    seed: Annotated[int, typer.Option(help="Decides what is chosen by chance")] = 1,
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Label unlabelled TEXTS with trained pipelines, for another one to learn from (--silver)."""
    from spacy_clinner.training.labelling import label
    from spacy_clinner.training.preparation import use_gpu

    use_gpu(gpu_id)
    done = label(
        texts, out, teacher, layer, exclude=exclude, notes=notes, keep=keep, seed=seed, progress=bar
    )
    tokens = sum(map(len, done.docs))
    typer.echo(f"✔ {out}: {len(done.docs)} of {done.notes} notes, {tokens:,} tokens")
    if len(teacher) > 1:
        show(done.agreement)


def show(agreement: dict[tuple[str, str], Agreement]) -> None:
    """Print how far each teacher agrees with what is kept."""
    from rich.table import Table

    table = Table(title="what is kept, and who found it")
    for column in ("teacher", "layer", "notes read", "spans found", "of them kept", "of all kept"):
        table.add_column(column, justify="left" if column in ("teacher", "layer") else "right")
    for (name, layer), count in agreement.items():
        table.add_row(
            name,
            layer,
            f"{count.notes:,}",
            f"{count.found:,}",
            f"{count.kept / max(1, count.found):.1%}",
            f"{count.kept / max(1, count.elected):.1%}",
        )
    plain_console().print(table)
