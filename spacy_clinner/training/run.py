"""`clinner train`: `spacy train` with whole models at the end, and a way to go on."""

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from spacy.language import Language
from spacy.util import load_config
from thinc.api import Config

from spacy_clinner.errors import ClinnerError
from spacy_clinner.training import preparation, resuming
from spacy_clinner.training.callbacks import LENGTH, go_on
from spacy_clinner.training.provenance import training_facts

MODELS = ("model-best", "model-last")
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
    RAISES (ClinnerError): Config, encoder, corpus or GPU cannot be used, as `check_output`, or
        there is nothing to go on from, or there is and `resume` is False.
    """
    check_output(output, start)
    overrides, given = checked(config, overrides, epochs, silver, start)
    preparation.use_gpu(gpu_id)
    partial, earlier = (
        output.resolve().with_name(f"{output.resolve().name}.{kind}")
        for kind in ("partial", "earlier")
    )
    fingerprint = resuming.fingerprint(given)
    if resume:
        resuming.set_aside(partial, earlier, fingerprint)
    else:
        resuming.refuse_to_lose(partial, earlier)
    resuming.begin(partial, fingerprint)
    started = datetime.now(UTC)
    checkpoint = earlier / "model-last" if resume else None
    run(config, partial, overrides, gpu_id, checkpoint, start)
    if resume:
        resuming.keep_best(earlier, partial)
        shutil.rmtree(earlier)
    move_models(partial, output)
    return training_facts(output / "model-best", started, gpu_id=gpu_id)


def checked(
    config: Path,
    overrides: Mapping[str, Any],
    epochs: int | None,
    silver: Sequence[Path],
    start: str | None,
) -> tuple[dict[str, Any], Config]:
    """Stop before a training that cannot be done.

    config (Path), overrides (Mapping[str, Any]), epochs (int | None), silver (Sequence[Path]),
        start (str | None): As in `train`.
    RETURNS (tuple[dict[str, Any], Config]): The overrides, those for the silver files and the
        epochs among them, and the config with them, interpolated.
    RAISES (ClinnerError): Config, encoder or corpus cannot be used.
    """
    given = preparation.load_settings(config, overrides)
    overrides = dict(overrides)
    if silver:
        train = given["paths"]["train"]
        paths = train if isinstance(train, list) else [train]
        overrides["paths.train"] = [*paths, *map(str, silver)]
        given = preparation.load_settings(config, overrides)
    overrides = length_overrides(given, epochs) | overrides
    preparation.check_corpora(given)
    if start is not None:
        given = preparation.with_pipeline_of(given, start)
    elif encoder := given.get("variables", {}).get("encoder"):
        preparation.resolve_encoder(str(encoder))
    preparation.validate(config, given)
    return overrides, given


def check_output(output: Path, start: str | None = None) -> None:
    """Stop before a training whose models could not be written, or would replace their origin.

    output (Path): The folder of the models.
    start (str | None): The pipeline to begin with.
    RAISES (ClinnerError): It is a file, cannot be written, or holds the pipeline to begin with
        under a name that one of the models gets.
    """
    if output.exists() and not output.is_dir():
        raise ClinnerError(f"{output}: a file, where the folder of the models is to be.")
    if start is not None and Path(start).resolve() in [(output / m).resolve() for m in MODELS]:
        raise ClinnerError(
            f"{output}: its {Path(start).resolve().name} is the model to go on from, and would be "
            f"replaced. Name another folder, so that the two can be compared."
        )
    there = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    try:
        # The rights of a folder do not tell whether its disk takes anything.
        tempfile.TemporaryDirectory(dir=there).cleanup()
    except OSError as error:
        raise ClinnerError(f"{output}: cannot be written ({error.strerror}).") from None


def run(
    config: Path,
    output: Path,
    overrides: Mapping[str, Any],
    gpu_id: int,
    checkpoint: Path | None = None,
    start: str | None = None,
    loaded: Language | None = None,
    told: IO[str] | None = None,
) -> None:
    """Run spaCy's training.

    config (Path), output (Path), overrides (Mapping[str, Any]), gpu_id (int): As in `train`.
    checkpoint (Path | None): A checkpoint to go on from.
    start (str | None): As in `train`.
    loaded (Language | None): The pipeline named `start`, where it is loaded already.
    told (IO[str] | None): Gets what the training says; None for the standard output.
    """
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as spacy_train

    settings = load_config(config, overrides=dict(overrides))
    if start is not None:
        settings = preparation.with_pipeline_of(settings, start, loaded)
    keep_no_texts(settings)
    nlp = init_nlp(settings, use_gpu=gpu_id)
    if checkpoint is not None:
        go_on(nlp, checkpoint)
    spacy_train(nlp, output, use_gpu=gpu_id, stdout=told or sys.stdout, stderr=sys.stderr)


def keep_no_texts(settings: Config) -> None:
    """Have a training save no word of the texts, whatever its config does before it saves.

    settings (Config): The config, which is changed.
    """
    own = settings["training"].get("before_to_disk")
    if not own:
        settings["training"]["before_to_disk"] = dict(CALIBRATE)
    elif not isinstance(own, Mapping) or own.get("@callbacks") != CALIBRATE["@callbacks"]:
        settings["training"]["before_to_disk"] = CALIBRATE | {"limit": 0, "first": own}


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
