"""`spacy train` with the checks it lacks, one message each."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Threads that wait by spinning make training three times slower beside any other process.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import math
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from spacy.cli._util import parse_config_overrides
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.util import load_config
from spacy.vocab import Vocab
from thinc.api import require_gpu

from clinner.cli import run
from clinner.corpora.docbin import annotation_overrides
from clinner.errors import ClinnerError
from clinner.evaluation.calibration import fit_temperatures

MIN_STEPS = 150


def main(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="A config in configs/")],
    output: Annotated[Path, typer.Argument(help="Folder that gets model-best and model-last")],
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
    epochs: Annotated[int, typer.Option(help="Passes over train; 0 to use the config's steps")] = 0,
) -> None:
    """Train CONFIG; further options such as --paths.train override values of the config."""
    overrides = parse_config_overrides(context.args)
    settings = _checked(config, overrides, gpu_id)
    overrides = corpus_overrides(settings, epochs) | overrides
    from spacy.cli.train import train

    train(config, output, use_gpu=gpu_id, overrides=overrides)
    calibrate(output / "model-best", Path(settings["paths"]["dev"]))


def calibrate(model: Path, dev: Path) -> None:
    """Fit the temperatures of the trained model's confidences on dev, and store them in it."""
    nlp = spacy.load(model)
    names = [name for name, factory in nlp.pipe_factories.items() if factory == "clinner_ner"]
    docs = list(DocBin().from_disk(dev).get_docs(nlp.vocab)) if names else []
    for name in names:
        fitted = fit_temperatures(nlp, [Example(doc, doc) for doc in docs], name)
        component: Any = nlp.get_pipe(name)
        component.to_disk(model / name)
        for layer, temperature in fitted.items():
            typer.echo(f"ℹ {name}: temperature of {layer} is {temperature:.2f}")


def corpus_overrides(settings: dict[str, Any], epochs: int) -> dict[str, Any]:
    """What the training corpus decides in the config's variables.

    settings (dict): The config, interpolated.
    epochs (int): Passes over the corpus, at least MIN_STEPS updates; 0 keeps the config's length.
    RETURNS (dict[str, Any]): The layers that the corpus annotates, and for a number of epochs
        the schedule's length in updates, a tenth of them warm-up, with nine evaluations on dev.
    """
    docs = list(DocBin().from_disk(settings["paths"]["train"]).get_docs(Vocab()))
    overrides = annotation_overrides(settings, docs)
    if not epochs:
        return overrides
    tokens = sum(map(len, docs))
    steps = max(MIN_STEPS, math.ceil(epochs * tokens / settings["variables"]["batch_words"]))
    return overrides | {
        "variables.max_steps": steps,
        "variables.warmup_steps": steps // 10,
        "variables.eval_frequency": math.ceil(steps / 9),
    }


def _checked(config: Path, overrides: dict[str, Any], gpu_id: int) -> dict[str, Any]:
    if not config.is_file():
        known = ", ".join(map(str, sorted(Path("configs").glob("*.cfg"))))
        raise ClinnerError(f"{config}: no such config. Known: {known}.")
    settings = load_config(config, overrides=overrides, interpolate=True)
    encoder = settings.get("variables", {}).get("encoder")
    looks_like_folder = encoder and (encoder.count("/") != 1 or encoder.startswith(("assets", ".")))
    if looks_like_folder and not (Path(encoder) / "config.json").is_file():
        raise ClinnerError(
            f"{encoder}: no encoder there (no config.json), though {config} names it. Run "
            f"`spacy project run encoder`, or give --vars.encoder a folder or a hub name."
        )
    for name, path in settings["paths"].items():
        if name in ("train", "dev") and not (path and Path(path).exists()):
            raise ClinnerError(f"{path}: no {name} corpus. Run `spacy project run convert` first.")
    if gpu_id >= 0:
        try:
            require_gpu(gpu_id)
        except ValueError as error:
            raise ClinnerError(
                f"gpu_id is {gpu_id}, but no GPU can be used ({error}). Install "
                f"`clinner[cuda12x]` and a CUDA build of torch, or use --vars.gpu_id -1."
            ) from None
    return dict(settings)


if __name__ == "__main__":
    run(main)
