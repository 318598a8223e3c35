"""Training speed of configs in one run: words per second, and how they compare."""

import environment  # noqa: F401  # isort: skip

import statistics
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.util import registry

from spacy_clinner.cli import run
from spacy_clinner.training.preparation import check_corpora, load_settings, resolve_encoder


def main(
    configs: Annotated[list[Path], typer.Argument(help="Configs; the last one is compared with")],
    corpus: Annotated[Path, typer.Option(help="Folder of a converted corpus")],
    encoder: Annotated[str, typer.Option(help="The encoder of all")] = "assets/encoder",
    updates: Annotated[int, typer.Option(help="Updates per turn")] = 12,
    turns: Annotated[int, typer.Option(help="Turns of each config, one after the other")] = 3,
    float32: Annotated[
        bool, typer.Option(help="Train the last one in float32, as spaCy by itself does")
    ] = False,
) -> None:
    """Train CONFIGS for a few updates each, taking turns, on the same corpus and encoder."""
    bf16 = dict.fromkeys(configs, "auto") | {configs[-1]: "no" if float32 else "auto"}
    learners = {config: learner(config, corpus, encoder, bf16[config]) for config in configs}
    for step in learners.values():
        next(step)
    speeds: dict[Path, list[float]] = {config: [] for config in configs}
    for _ in range(turns):
        for config, step in learners.items():
            started = time.perf_counter()
            words = sum(islice(step, updates))
            speeds[config].append(words / (time.perf_counter() - started))
    table = Table(title=f"Training on {corpus}, {updates} updates a turn, {turns} turns")
    for column in ("config", "tokens/s", "range", f"times {configs[-1].stem}"):
        table.add_column(column, justify="left" if column == "config" else "right")
    median = {config: statistics.median(found) for config, found in speeds.items()}
    for config, found in speeds.items():
        table.add_row(
            str(config), f"{median[config]:,.0f}", f"{min(found):,.0f} to {max(found):,.0f}",
            f"{median[config] / median[configs[-1]]:.2f}",
        )  # fmt: skip
    Console().print(table)


def learner(config: Path, corpus: Path, encoder: str, bf16: str) -> Iterator[int]:
    """Update a new pipeline for ever; yields the tokens of each update."""
    paths = {name: corpus / f"{name}.spacy" for name in ("train", "dev")}
    overrides: dict[str, Any] = {f"paths.{name}": str(path) for name, path in paths.items()}
    overrides["variables.encoder"] = resolve_encoder(encoder)
    overrides["variables.bf16_on_cpu"] = bf16
    settings = load_settings(config, overrides)
    check_corpora(settings)
    nlp = init_nlp(settings)
    resolved = registry.resolve(nlp.config.interpolate()["training"], schema=ConfigSchemaTraining)
    reader = registry.resolve(nlp.config.interpolate()["corpora"])["train"]
    batches = cycle(list(resolved["batcher"](list(reader(nlp)))))
    optimizer = resolved["optimizer"]
    for batch in batches:
        yield update(nlp, batch, optimizer, resolved["dropout"])


def update(nlp: Language, batch: list[Example], optimizer: Any, dropout: float) -> int:
    nlp.update(batch, sgd=optimizer, drop=dropout)
    optimizer.step_schedules()
    return sum(map(len, batch))


if __name__ == "__main__":
    run(main)
