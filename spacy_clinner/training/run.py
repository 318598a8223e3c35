"""`clinner train`: `spacy train` with whole models at the end, and a way to go on."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import srsly
from spacy.util import load_config

from spacy_clinner.errors import ClinnerError
from spacy_clinner.training import preparation
from spacy_clinner.training.callbacks import LENGTH, go_on
from spacy_clinner.training.provenance import training_facts

CALIBRATE = {"@callbacks": "clinner.calibrate.v1"}


def train(
    config: Path,
    output: Path,
    *,
    overrides: Mapping[str, Any],
    gpu_id: int = -1,
    epochs: int | None = None,
    silver: Sequence[Path] = (),
    resume: bool = False,
    start: str | None = None,
) -> dict[str, Any]:
    """Train a pipeline.

    The same as `spacy train` with these overrides, whose checkpoints go to `OUTPUT.partial`. The
    models appear under their final names when all is done, so that a training that is cut off
    leaves no folder that looks like a whole model, and an older model stays until then.

    config (Path): The config.
    output (Path): Folder that gets `model-best` and `model-last`.
    overrides (Mapping[str, Any]): Values of the config by dotted key.
    gpu_id (int): The GPU, or -1 for the CPU.
    epochs (int | None): Passes over the corpus; None or 0 for the config's own length.
    silver (Sequence[Path]): Further .spacy files to train on.
    resume (bool): Go on from the last checkpoint of a training that was cut off; see `go_on`.
    start (str | None): A trained pipeline to begin with, a folder or an installed one, whose
        components take the place of the config's; see `with_pipeline_of`.
    RETURNS (dict[str, Any]): As `training_facts`.
    RAISES (ClinnerError): Config, encoder, corpus or GPU cannot be used, the output is a file,
        there is nothing to go on from, or there is and `resume` is False.
    """
    check_output(output)
    overrides = checked(config, overrides, epochs, silver, start)
    preparation.use_gpu(gpu_id)
    partial, earlier = (
        output.resolve().with_name(f"{output.resolve().name}.{kind}")
        for kind in ("partial", "earlier")
    )
    if resume:
        set_aside(partial, earlier)
    else:
        refuse_to_lose(partial, earlier)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    started = datetime.now(UTC)
    checkpoint = earlier / "model-last" if resume else None
    run(config, partial, overrides, gpu_id, checkpoint, start)
    if resume:
        keep_best(earlier, partial)
        shutil.rmtree(earlier)
    move_models(partial, output)
    return training_facts(output / "model-best", started, gpu_id=gpu_id)


def checked(
    config: Path,
    overrides: Mapping[str, Any],
    epochs: int | None,
    silver: Sequence[Path],
    start: str | None,
) -> dict[str, Any]:
    """Stop before a training that cannot be done.

    config (Path), overrides (Mapping[str, Any]), epochs (int | None), silver (Sequence[Path]),
        start (str | None): As in `train`.
    RETURNS (dict[str, Any]): The overrides, those for the silver files and the epochs among them.
    RAISES (ClinnerError): Config, encoder or corpus cannot be used.
    """
    given = preparation.load_settings(config, overrides)
    overrides = dict(overrides)
    if silver:
        overrides["paths.train"] = [given["paths"]["train"], *map(str, silver)]
        given = preparation.load_settings(config, overrides)
    overrides = length_overrides(given, epochs) | overrides
    preparation.check_corpora(given)
    if start is not None:
        given = preparation.with_pipeline_of(given, start)
    elif encoder := given.get("variables", {}).get("encoder"):
        preparation.resolve_encoder(str(encoder))
    preparation.validate(config, given)
    return overrides


def check_output(output: Path) -> None:
    """Stop before a training whose models could not be written.

    output (Path): The folder of the models.
    RAISES (ClinnerError): It is a file.
    """
    if output.exists() and not output.is_dir():
        raise ClinnerError(f"{output}: a file, where the folder of the models is to be.")


def run(
    config: Path,
    output: Path,
    overrides: Mapping[str, Any],
    gpu_id: int,
    checkpoint: Path | None = None,
    start: str | None = None,
) -> None:
    """Run spaCy's training.

    config (Path), output (Path), overrides (Mapping[str, Any]), gpu_id (int): As in `train`.
    checkpoint (Path | None): A checkpoint to go on from.
    start (str | None): As in `train`.
    """
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as spacy_train

    loaded = load_config(config, overrides=dict(overrides))
    if start is not None:
        loaded = preparation.with_pipeline_of(loaded, start)
    # Whatever the config says, no model keeps the words of the texts.
    if not loaded["training"].get("before_to_disk"):
        loaded["training"]["before_to_disk"] = dict(CALIBRATE)
    nlp = init_nlp(loaded, use_gpu=gpu_id)
    if checkpoint is not None:
        go_on(nlp, checkpoint)
    spacy_train(nlp, output, use_gpu=gpu_id, stdout=sys.stdout, stderr=sys.stderr)


def length_overrides(given: Mapping[str, Any], epochs: int | None) -> dict[str, Any]:
    """What a number of passes changes in a config.

    given (Mapping[str, Any]): The config, interpolated.
    epochs (int | None): Passes over the corpus; None or 0 for the config's own length.
    RETURNS (dict[str, Any]): Overrides, for `clinner.fit_to_corpus.v1`.
    RAISES (ClinnerError): The config does not take its length from a number of passes.
    """
    if not epochs:
        return {}
    variables = given.get("variables", {})
    missing = ", ".join(name for name in ("epochs", *LENGTH) if name not in variables)
    if missing:
        raise ClinnerError(
            f"the config's [variables] lack {missing}, which --epochs sets for "
            f"clinner.fit_to_corpus.v1. Add them, or use --epochs 0 for the config's own length."
        )
    return {"variables.epochs": epochs} | {f"variables.{name}": 0 for name in LENGTH}


def refuse_to_lose(*folders: Path) -> None:
    """Stop before a checkpoint is deleted.

    folders (Path): Folders that a new training deletes.
    RAISES (ClinnerError): One holds the checkpoint of a training that was cut off.
    """
    for folder in folders:
        if (folder / "model-last" / "meta.json").is_file():
            raise ClinnerError(
                f"{folder}: holds the checkpoint of a training that was cut off. Go on with it by "
                f"--resume, or delete this folder to begin anew."
            )


def set_aside(partial: Path, earlier: Path) -> None:
    """Make room for the training that goes on from an earlier one.

    partial (Path): Folder of the training that was cut off; it is gone afterwards.
    earlier (Path): Folder that gets its checkpoints; may hold those of one before, of which the
        best stays when it is the best of all.
    RAISES (ClinnerError): There is no checkpoint.
    """
    if (partial / "model-last" / "meta.json").is_file():
        keep_best(earlier, partial)
        shutil.rmtree(earlier, ignore_errors=True)
        partial.rename(earlier)
    if not (earlier / "model-last" / "meta.json").is_file():
        raise ClinnerError(f"{partial}: no checkpoint there to go on from. Train without --resume.")


def keep_best(earlier: Path, later: Path) -> None:
    """Take over the best model of an earlier run when it scored higher.

    earlier (Path), later (Path): Folders of the two runs; `later` gets the model.
    """
    before, after = earlier / "model-best", later / "model-best"
    if (before / "meta.json").is_file() and final_score(before) > final_score(after):
        shutil.rmtree(after)
        before.rename(after)


def final_score(model: Path) -> float:
    """The score by which spaCy chose a checkpoint.

    model (Path): The checkpoint.
    RETURNS (float): The weighted sum of its scores on dev.
    """
    weights = load_config(model / "config.cfg")["training"]["score_weights"]
    scores = srsly.read_json(model / "meta.json")["performance"]
    return float(
        sum((scores.get(name) or 0.0) * weight for name, weight in weights.items() if weight)
    )


def move_models(partial: Path, output: Path) -> None:
    """Put finished models in place of older ones.

    partial (Path): Folder with `model-best` and `model-last`; it is gone afterwards.
    output (Path): Their final folder, on the same disk; whatever else it holds stays.
    """
    output.mkdir(parents=True, exist_ok=True)
    for model in sorted(partial.glob("model-*")):
        final = output / model.name
        # A folder cannot be renamed onto another one that holds something.
        if final.exists():
            final.rename(partial / f"older-{model.name}")
        model.rename(final)
    shutil.rmtree(partial)
