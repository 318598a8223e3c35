from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli.progress import bar


def command(
    texts: Annotated[list[Path], typer.Argument(help=".csv, .csv.xz or .spacy files of notes")],
    out: Annotated[Path, typer.Option(help="The .spacy file to write")],
    teacher: Annotated[list[Path], typer.Option(help="A trained pipeline; may be given often")],
    layer: Annotated[list[str], typer.Option(help="A layer to label; may be given often")],
    exclude: Annotated[
        list[Path], typer.Option(help="A file whose texts are left out, such as the test split")
    ],
    notes: Annotated[int, typer.Option(help="How many texts to label, chosen by chance")] = 1000,
    keep: Annotated[float, typer.Option(help="Which part of them to keep, the surest")] = 0.8,
    seed: Annotated[int, typer.Option(help="Decides what is chosen by chance")] = 1,
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Label unlabelled TEXTS with trained pipelines, for another one to learn from (--silver)."""
    from spacy_clinner.training.labelling import label
    from spacy_clinner.training.preparation import use_gpu

    use_gpu(gpu_id)
    kept, labelled = label(
        texts, out, teacher, layer, exclude=exclude, notes=notes, keep=keep, seed=seed, progress=bar
    )
    typer.echo(f"✔ {out}: {len(kept)} of {labelled} notes, {sum(map(len, kept)):,} tokens")
