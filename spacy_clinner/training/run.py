"""What a training checks before it starts, and makes of a trained model before it counts."""

import configparser
import logging
import math
import shutil
import sys
from collections.abc import Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any

import srsly
from spacy.schemas import ConfigSchemaTraining
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_config, load_model_from_config, registry
from spacy.vocab import Vocab
from thinc.api import Config, require_gpu

from spacy_clinner.corpora.docbin import annotation_overrides, read_docs
from spacy_clinner.training.corpus import sample
from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.evaluation.calibration import fit_temperatures
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.training.provenance import training_counts

log = logging.getLogger(__name__)

MIN_STEPS = 150
EVALUATIONS = 9
LENGTH_VARIABLES = ("batch_words", "max_steps", "warmup_steps", "eval_frequency")
# Sections that are handed on as they are, to transformers and torch, whatever their keys.
FREE_SECTIONS = ("tokenizer_config", "transformer_config", "grad_scaler_config")
# configparser has errors of its own beside confection's, which are ValueErrors.
CONFIG_ERRORS = (ValueError, KeyError, TypeError, configparser.Error)


def load_settings(config: Path, overrides: Mapping[str, Any]) -> Config:
    """Load a config.

    config (Path): The config.
    overrides (Mapping[str, Any]): Values by dotted key, each of which the config must have.
    RETURNS (Config): The config with the overrides, interpolated.
    RAISES (ClinnerError): There is no such file, it is no config, or a key is not in it.
    """
    if not config.is_file():
        known = ", ".join(map(str, sorted(Path("configs").glob("*.cfg"))))
        raise ClinnerError(f"{config}: no such config. Known: {known}.")
    try:
        plain = load_config(config)
    except CONFIG_ERRORS as error:
        raise ClinnerError(f"{config}: not a spaCy config ({one_line(error)}).") from None
    for key in overrides:
        _check_key(config, plain, key)
    try:
        return load_config(config, overrides=dict(overrides), interpolate=True)
    except CONFIG_ERRORS as error:
        raise ClinnerError(f"{config}: cannot be resolved ({one_line(error)}).") from None


def validate(config: Path, settings: Config) -> Config:
    """Build the pipeline of a config and what its training uses, without any weights.

    config (Path): Where the settings are from, for the message.
    settings (Config): The config, interpolated.
    RETURNS (Config): The config with spaCy's defaults filled in.
    RAISES (ClinnerError): A section, a setting or a registered function is missing or wrong.
    """
    try:
        filled = load_model_from_config(settings, auto_fill=True).config.interpolate()
        registry.resolve(filled["training"], schema=ConfigSchemaTraining)
    except CONFIG_ERRORS as error:
        raise ClinnerError(f"{config}: not a config to train with ({one_line(error)}).") from None
    return filled


def resolve_encoder(name: str) -> str:
    """Find an encoder without the network.

    name (str): A folder, or a name on the Hugging Face hub whose files are in the local cache.
    RETURNS (str): The name.
    RAISES (ClinnerError): It is neither.
    """
    if (Path(name) / "config.json").is_file() or _in_hub_cache(name):
        return name
    raise ClinnerError(
        f"{name}: no encoder there, neither a folder with a config.json nor a name in the Hugging "
        f"Face cache. Run `spacy project run encoder`, or give --vars.encoder a folder or a hub "
        f"name."
    )


def use_gpu(gpu_id: int) -> None:
    """Compute on a GPU.

    gpu_id (int): Its number; below 0 for the CPU.
    RAISES (ClinnerError): It cannot be used.
    """
    if gpu_id < 0:
        return
    try:
        require_gpu(gpu_id)
    # CuPy's own errors, an invalid device for one, share no base class but this.
    except Exception as error:
        raise ClinnerError(
            f"gpu_id is {gpu_id}, but no GPU can be used ({one_line(error)}). Install "
            f"`spacy-clinner[cuda12x]` and a CUDA build of torch, or use --vars.gpu_id -1."
        ) from None


def training_docs(settings: Mapping[str, Any]) -> list[list[Doc]]:
    """Read the corpora that a training needs.

    settings (Mapping[str, Any]): The config, interpolated.
    RETURNS (list[list[Doc]]): The documents of each path of train.
    RAISES (ClinnerError): Train or dev is not named, is missing, cannot be read or is empty.
    """
    docs: dict[str, list[list[Doc]]] = {}
    vocab = Vocab()
    for name in ("train", "dev"):
        paths = settings.get("paths", {}).get(name)
        docs[name] = []
        for path in paths if isinstance(paths, list) else [paths]:
            if not (path and Path(path).exists()):
                raise ClinnerError(
                    f"{path}: no {name} corpus. Run `spacy project run convert` first."
                )
            found = read_docs(Path(path), vocab)
            if not found:
                raise ClinnerError(f"{path}: holds no note, so there is nothing to learn or score.")
            docs[name].append(found)
    return docs["train"]


def corpus_overrides(
    settings: Mapping[str, Any], sources: list[list[Doc]], epochs: int
) -> dict[str, Any]:
    """What the training corpus decides in the config's variables.

    settings (Mapping[str, Any]): The config, interpolated.
    sources (list[list[Doc]]): The documents of each path of train.
    epochs (int): Passes over the corpus, at least MIN_STEPS updates, and some more until they
        are a multiple of EVALUATIONS; 0 keeps the config's length.
    RETURNS (dict[str, Any]): The layers that the corpus annotates, and for a number of epochs
        the schedule's length in updates, a tenth of them warm-up, with EVALUATIONS on dev.
    RAISES (ClinnerError): A number of epochs, but no variables to set the length with.
    """
    train = settings.get("paths", {}).get("train") or []
    paths = map(Path, train if isinstance(train, list) else [train])
    overrides = annotation_overrides(settings, list(chain.from_iterable(sources)), paths)
    if not epochs:
        return overrides
    variables = settings.get("variables", {})
    missing = ", ".join(name for name in LENGTH_VARIABLES if name not in variables)
    if missing:
        raise ClinnerError(
            f"the config's [variables] lack {missing}, which --epochs sets or needs. Add them, or "
            f"use --epochs 0 for the config's own length."
        )
    exponent = variables.get("size_exponent", 1.0)
    tokens = sum(map(len, sample(sources, exponent)))
    wanted = max(MIN_STEPS, math.ceil(epochs * tokens / variables["batch_words"]))
    # The last step is evaluated, too: where the rate ends, the model is best.
    frequency = math.ceil(wanted / EVALUATIONS)
    steps = EVALUATIONS * frequency
    return overrides | {
        "variables.max_steps": steps,
        "variables.warmup_steps": steps // 10,
        "variables.eval_frequency": frequency,
    }


def train(
    config: Path,
    output: Path,
    *,
    dev: Path,
    overrides: Mapping[str, Any],
    gpu_id: int,
    resume: bool = False,
) -> dict[str, dict[str, float]]:
    """Train and calibrate a pipeline.

    The models appear under their final names when all is done, so that a training that is cut
    off leaves no folder that looks like a whole model, and an older model stays until then.

    config (Path): The config.
    output (Path): Folder that gets `model-best` and `model-last`.
    dev (Path): The .spacy file to calibrate on.
    overrides (Mapping[str, Any]): Values of the config by dotted key.
    gpu_id (int): The GPU, or -1 for the CPU.
    resume (bool): Go on from the last checkpoint of a training that was cut off. The optimizer
        starts with empty moments, and the order of the data anew.
    RETURNS (dict[str, dict[str, float]]): As `calibrate`.
    RAISES (ClinnerError): The output is a file, or there is nothing to go on from.
    """
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as spacy_train

    if output.exists() and not output.is_dir():
        raise ClinnerError(f"{output}: a file, where the folder of the models is to be.")
    partial, earlier = (
        output.resolve().with_name(f"{output.resolve().name}.{kind}")
        for kind in ("partial", "earlier")
    )
    overrides = dict(overrides)
    if resume:
        set_aside(partial, earlier)
        overrides |= remaining(load_settings(config, overrides), earlier)
    else:
        keep_checkpoints(earlier, partial)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    nlp = init_nlp(load_config(config, overrides), use_gpu=gpu_id)
    if resume:
        # The config there is that of the earlier run.
        nlp.from_disk(earlier / "model-last", exclude=["config"])
    spacy_train(nlp, partial, use_gpu=gpu_id, stdout=sys.stdout, stderr=sys.stderr)
    if resume:
        keep_best(earlier, partial)
        shutil.rmtree(earlier)
    fitted = calibrate(partial / "model-best", dev)
    move_models(partial, output)
    return fitted


def keep_checkpoints(*folders: Path) -> None:
    """Move checkpoints out of the way of a training that begins anew, and say so in the log.

    folders (Path): Folders of trainings that were cut off; they are gone afterwards.
    """
    for folder in folders:
        if (folder / "model-last" / "meta.json").is_file():
            names = (folder.with_name(f"{folder.name}-{number}") for number in count(1))
            kept = next(name for name in names if not name.exists())
            folder.rename(kept)
            log.warning(
                "%s: a training was cut off there. Its checkpoints are now in %s: delete that, or "
                "move it back and go on with --resume.",
                folder,
                kept,
            )
        shutil.rmtree(folder, ignore_errors=True)


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


def remaining(settings: Mapping[str, Any], earlier: Path) -> dict[str, Any]:
    """What of a config changes for the rest of a training.

    settings (Mapping[str, Any]): The config of the whole training, interpolated.
    earlier (Path): Folder of the checkpoints.
    RETURNS (dict[str, Any]): Overrides: the updates that are left, and where the schedule goes on.
    RAISES (ClinnerError): The config cannot tell, or nothing is left.
    """
    done = training_counts(earlier / "model-last").get("step")
    if done is None or "first_step" not in settings.get("variables", {}):
        raise ClinnerError(
            "--resume needs a config with `first_step` in [variables] for its schedule, and with "
            "clinner.RecordingLogger.v1. Train without --resume."
        )
    left = settings["training"]["max_steps"] - done
    if left <= 0:
        raise ClinnerError(f"{earlier}: all {done} updates are done. Train without --resume.")
    return {"variables.first_step": done, "training.max_steps": left}


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


def calibrate(model: Path, dev: Path) -> dict[str, dict[str, float]]:
    """Fit the temperatures of a trained model's confidences, and store them in it.

    model (Path): The model's folder.
    dev (Path): A .spacy file that was not trained on.
    RETURNS (dict[str, dict[str, float]]): The temperature by component and layer.
    """
    nlp = load_pipeline(model)
    names = [name for name, factory in nlp.pipe_factories.items() if factory == "clinner_ner"]
    docs = read_docs(dev, nlp.vocab) if names else []
    temperatures = {}
    for name in names:
        temperatures[name] = fit_temperatures(nlp, [Example(doc, doc) for doc in docs], name)
        component: Any = nlp.get_pipe(name)
        component.to_disk(model / name)
    return temperatures


def _check_key(config: Path, settings: Mapping[str, Any], key: str) -> None:
    *sections, name = key.split(".")
    found: Any = settings
    for section in sections:
        if not isinstance(found, Mapping) or not isinstance(found.get(section), Mapping):
            known = ", ".join(settings)
            raise ClinnerError(
                f"--{key}: {config} has no section [{'.'.join(sections)}]. Sections: {known}."
            )
        found = found[section]
    if name not in found and sections[-1] not in FREE_SECTIONS:
        known = ", ".join(found) or "none"
        raise ClinnerError(
            f"--{key}: {config} has no {name} in [{'.'.join(sections)}]. Known: {known}."
        )


def _in_hub_cache(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    try:
        return isinstance(try_to_load_from_cache(name, "config.json"), str)
    # A path with more than one slash is no name on the hub.
    except ValueError:
        return False
