"""Average the weights of models that were trained from one start."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import shutil
import statistics
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer

from clinner.averaging import average
from clinner.cli import run
from clinner.errors import ClinnerError
from clinner.training import calibrate, move_models


def main(
    models: Annotated[list[Path], typer.Argument(help="Folders of `scripts/train.py`")],
    out: Annotated[Path, typer.Option(help="Folder that gets model-best and training.json")],
    dev: Annotated[Path, typer.Option(help="The .spacy file to calibrate on")],
) -> None:
    """Write the mean of the best models in MODELS, calibrated on dev."""
    trainings = [read_training(folder) for folder in models]
    nlp = average([folder / "model-best" for folder in models])
    partial = out.resolve().with_name(f"{out.resolve().name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    nlp.to_disk(partial / "model-best")
    for layers in calibrate(partial / "model-best", dev).values():
        for layer, temperature in layers.items():
            typer.echo(f"ℹ temperature of {layer} is {temperature:.2f}")
    move_models(partial, out)
    srsly.write_json(out / "training.json", training_of_all(trainings))
    typer.echo(f"✔ {out}/model-best, the mean of {len(models)}")


def read_training(folder: Path) -> dict[str, Any]:
    path = folder / "training.json"
    if not path.is_file():
        raise ClinnerError(f"{path}: no such file. Name folders that scripts/train.py wrote.")
    return dict(srsly.read_json(path))


def training_of_all(trainings: list[dict[str, Any]]) -> dict[str, Any]:
    """What `scripts/train.py` wrote of the first, with the time, updates and words of all."""
    sums: dict[str, float | None] = {}
    for key in ("seconds", "steps", "words"):
        values = [training[key] for training in trainings]
        sums[key] = None if None in values else sum(values)
    speeds = [training["words_per_second"] for training in trainings]
    return trainings[0] | sums | {
        "started": min(training["started"] for training in trainings),
        "words_per_second": None if None in speeds else round(statistics.fmean(speeds), 1),
        "models": len(trainings),
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
