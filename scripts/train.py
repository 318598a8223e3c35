"""`spacy train` with the checks it lacks, one message each."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Threads that wait by spinning make training three times slower beside any other process.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# oneDNN keeps a thousand kernels, one for each shape that it met: of batches of ever new shapes,
# ten gigabytes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import srsly
import typer
from spacy.cli._util import parse_config_overrides

from spacy_clinner.cli import run
from spacy_clinner.training import provenance
from spacy_clinner.training import run as training


def main(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="A config in configs/")],
    output: Annotated[Path, typer.Argument(help="Folder that gets model-best and model-last")],
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
    epochs: Annotated[int, typer.Option(help="Passes over train; 0 to use the config's steps")] = 0,
    silver: Annotated[
        list[Path] | None, typer.Option(help="A further file to train on, as self_label.py writes")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on where a training was cut off")] = False,
) -> None:
    """Train CONFIG; further options such as --paths.train override values of the config."""
    overrides = parse_config_overrides(context.args)
    settings = training.load_settings(config, overrides)
    if silver:
        overrides["paths.train"] = [settings["paths"]["train"], *map(str, silver)]
        settings = training.load_settings(config, overrides)
    sources = training.training_docs(settings)
    if encoder := settings.get("variables", {}).get("encoder"):
        training.resolve_encoder(str(encoder))
    training.use_gpu(gpu_id)
    overrides = training.corpus_overrides(settings, sources, epochs) | overrides
    dev = Path(settings["paths"]["dev"])
    started = datetime.now(UTC)
    fitted = training.train(
        config, output, dev=dev, overrides=overrides, gpu_id=gpu_id, resume=resume
    )
    facts = provenance.training_facts(output / "model-best", started, gpu_id=gpu_id)
    srsly.write_json(output / "training.json", facts)
    for name, temperatures in fitted.items():
        for layer, temperature in temperatures.items():
            typer.echo(f"ℹ {name}: temperature of {layer} is {temperature:.2f}")
    typer.echo(f"✔ {output}/model-best, model-last")


if __name__ == "__main__":
    run(main)
