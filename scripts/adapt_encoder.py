"""Go on pretraining an encoder on unlabelled clinical text, with masked words."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# oneDNN keeps a thousand kernels, one for each shape that it met: of batches of ever new shapes,
# ten gigabytes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")

from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli import run
from spacy_clinner.corpora.unlabelled import read_texts
from spacy_clinner.training import run as training
from spacy_clinner.training.adaptation import adapt


def main(
    encoder: Annotated[str, typer.Argument(help="A folder or a hub name")],
    output: Annotated[Path, typer.Argument(help="Folder that gets the adapted encoder")],
    train: Annotated[list[Path], typer.Option(help="A .spacy file, or a CSV of notes (.csv.xz)")],
    exclude: Annotated[
        list[Path], typer.Option(help="A .spacy file whose texts must not be learned from")
    ],
    epochs: Annotated[int, typer.Option(help="Passes over the texts")] = 4,
    learn_rate: Annotated[float, typer.Option(help="The highest learning rate")] = 5e-4,
    seed: Annotated[int, typer.Option()] = 1,
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Adapt ENCODER to the texts of --train; a run that was cut off goes on at its last epoch."""
    texts = read_texts(train, exclude)
    typer.echo(f"ℹ {len(texts):,} texts, {sum(len(text.split()) for text in texts):,} words")
    loss = adapt(
        training.resolve_encoder(encoder), output, texts, epochs=epochs, learn_rate=learn_rate,
        seed=seed, gpu_id=gpu_id, log=typer.echo,
    )  # fmt: skip
    typer.echo(f"✔ {output}: loss {loss:.3f}")


if __name__ == "__main__":
    run(main)
