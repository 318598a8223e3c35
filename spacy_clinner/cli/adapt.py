from pathlib import Path
from typing import Annotated

import typer


def command(
    encoder: Annotated[str, typer.Argument(help="A folder or a Hugging Face hub name")],
    out: Annotated[Path, typer.Argument(help="Folder that gets the adapted encoder")],
    train: Annotated[
        list[Path], typer.Option(help="A .spacy file, or a CSV of notes; may be given often")
    ],
    exclude: Annotated[
        list[Path], typer.Option(help="A file whose texts are left out, such as the test split")
    ],
    epochs: Annotated[int, typer.Option(help="Passes over the texts", min=1)] = 4,
    learn_rate: Annotated[float, typer.Option(help="The highest learning rate")] = 5e-4,
    seed: Annotated[int, typer.Option(help="Decides what is chosen by chance")] = 1,
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Let ENCODER read the notes of --train without labels, so that it knows their language.

    A run that was cut off goes on at its last epoch.
    """
    from spacy_clinner.corpora.unlabelled import read_texts
    from spacy_clinner.training.adaptation import adapt, check_encoder
    from spacy_clinner.training.preparation import resolve_encoder

    encoder = resolve_encoder(encoder)
    check_encoder(encoder)
    texts = read_texts(train, exclude)
    typer.echo(f"ℹ {len(texts):,} texts, {sum(len(text.split()) for text in texts):,} words")
    loss = adapt(
        encoder, out, texts, epochs=epochs, learn_rate=learn_rate,
        seed=seed, gpu_id=gpu_id, log=typer.echo,
    )  # fmt: skip
    typer.echo(f"✔ {out}: loss {loss:.3f}")
