from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli.progress import bar


def command(
    chats: Annotated[Path, typer.Argument(help="A .jsonl file of `clinner instruct`")],
    model: Annotated[str, typer.Argument(help="A causal language model: folder or hub name")],
    out: Annotated[Path, typer.Argument(help="Folder that gets the adapter")],
    epochs: Annotated[int, typer.Option(help="Passes over the chats", min=1)] = 2,
    rank: Annotated[int, typer.Option(help="Of the adapter's matrices", min=1)] = 16,
    alpha: Annotated[int, typer.Option(help="The adapter's weight, times the rank", min=1)] = 64,
    learn_rate: Annotated[float, typer.Option(help="At its highest")] = 2e-4,
    batch: Annotated[int, typer.Option(help="Chats of an update", min=1)] = 16,
    length: Annotated[int, typer.Option(help="Tokens; longer chats are left out", min=1)] = 1000,
    minutes: Annotated[float, typer.Option(help="Stop after so many; 0 for none", min=0)] = 0.0,
    seed: Annotated[int, typer.Option(help="Decides the order")] = 1,
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Tune a language MODEL on CHATS by LoRA."""
    from spacy_clinner.llm.tuning import Tuning, tune

    how = Tuning(
        rank=rank,
        alpha=alpha,
        epochs=epochs,
        learn_rate=learn_rate,
        batch=batch,
        length=length,
        minutes=minutes,
        seed=seed,
    )
    device = "cpu" if gpu_id < 0 else f"cuda:{gpu_id}"
    done = tune(chats, model, out, how, device=device, progress=bar)
    left_out = f", {done.left_out:,} left out as too long" if done.left_out else ""
    typer.echo(f"✔ {out}: {done.updates:,} updates on {done.chats:,} chats{left_out}")
