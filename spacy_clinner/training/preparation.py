"""What a training checks before it starts: config, encoder, device and corpora."""

import configparser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training.corpus import walk_corpus
from spacy.util import load_config, load_model_from_config, registry
from spacy.vocab import Vocab
from thinc.api import Config, require_gpu

from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.pipeline.loading import load_pipeline

# Sections that are handed on as they are, to transformers and torch, whatever their keys.
FREE_SECTIONS = ("tokenizer_config", "transformer_config", "grad_scaler_config")
# configparser has errors of its own beside confection's, which are ValueErrors.
CONFIG_ERRORS = (ValueError, KeyError, TypeError, configparser.Error)

# What numbers of a config must be; pydantic checks their types alone, and spaCy nothing of most.
NUMBERS: dict[str, tuple[Callable[[float], bool], tuple[str, ...]]] = {
    "a number above 0": (
        lambda number: number > 0,
        ("variables.learn_rate", "variables.epochs", "variables.batch_words", "variables.window",
         "training.batcher.size"),
    ),
    "1 or more": (
        lambda number: number >= 1,
        ("training.accumulate_gradient", "initialize.before_init.evaluations"),
    ),
    "0 or more": (
        lambda number: number >= 0,
        ("variables.max_steps", "variables.warmup_steps", "variables.eval_frequency",
         "variables.first_step", "variables.head_rate", "training.max_steps", "training.patience",
         "training.eval_frequency", "training.optimizer.L2", "initialize.before_init.min_steps"),
    ),
    "a number from 0 to 1": (
        lambda number: 0 <= number <= 1,
        ("variables.augmentation", "variables.size_exponent", "initialize.before_init.warmup"),
    ),
    "a number from 0 to below 1": (lambda number: 0 <= number < 1, ("training.dropout",)),
}  # fmt: skip


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
        raise ClinnerError(f"{config}: not a spaCy config ({_reason(error)}).") from None
    for key, value in overrides.items():
        own = _own_value(config, plain, key)
        if value is True and not isinstance(own, bool):
            raise ClinnerError(f"--{key} needs a value behind it.")
    try:
        return load_config(config, overrides=dict(overrides), interpolate=True)
    except CONFIG_ERRORS as error:
        raise ClinnerError(f"{config}: cannot be resolved ({one_line(error)}).") from None


def _reason(error: BaseException) -> str:
    """What is wrong with a file that is no config, without its lines: it may be a note."""
    while not isinstance(error, configparser.Error):
        cause = error.__cause__ or error.__context__
        if cause is None:
            break
        error = cause
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno} stands in no [section]"
    if isinstance(error, configparser.ParsingError):
        return "lines " + ", ".join(str(number) for number, _ in error.errors)
    return type(error).__name__


def validate(config: Path, settings: Config) -> Config:
    """Build the pipeline of a config and what its training uses, without any weights.

    config (Path): Where the settings are from, for the message.
    settings (Config): The config, interpolated.
    RETURNS (Config): The config with spaCy's defaults filled in.
    RAISES (ClinnerError): A section, a setting or a registered function is missing or wrong.
    """
    check_numbers(settings)
    try:
        filled = load_model_from_config(settings, auto_fill=True).config.interpolate()
        registry.resolve(filled["training"], schema=ConfigSchemaTraining)
    except CONFIG_ERRORS as error:
        raise ClinnerError(f"{config}: not a config to train with ({one_line(error)}).") from None
    return filled


def check_numbers(settings: Mapping[str, Any]) -> None:
    """Stop before a training with a number that makes no sense.

    settings (Mapping[str, Any]): The config, interpolated; it need not have all numbers.
    RAISES (ClinnerError): One is out of its range.
    """
    for wanted, (fits, keys) in NUMBERS.items():
        for key in keys:
            value: Any = settings
            for part in key.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if isinstance(value, int | float) and not fits(value):
                raise ClinnerError(f"--{key} {value}: needs {wanted}.")


def load_trainable(model: str | Path) -> Language:
    """Load a pipeline that training can go on from.

    model (str | Path): Its folder, or the name of an installed one.
    RETURNS (Language): The pipeline.
    RAISES (ClinnerError): It is missing, or its encoder cannot be trained.
    """
    nlp = load_pipeline(model)
    if "clinner_cpu_encoder" in nlp.pipe_factories.values():
        raise ClinnerError(
            f"{model}: a CPU edition, whose encoder cannot be trained. Go on from the pipeline "
            f"that it was made of, such as en_clinner."
        )
    return nlp


def with_pipeline_of(config: Config, model: str | Path, loaded: Language | None = None) -> Config:
    """A config to train another pipeline on by.

    config (Config): A config, of which everything but [nlp] and [components] is taken.
    model (str | Path): The trained pipeline, as `load_trainable` takes it; its components are
        those of the result, by spaCy's `source`, with their weights and settings.
    loaded (Language | None): The same, where it is loaded already.
    RETURNS (Config): The config.
    RAISES (ClinnerError): As `load_trainable`.
    """
    nlp = load_trainable(model) if loaded is None else loaded
    merged = config.copy()
    merged["nlp"] = nlp.config.interpolate()["nlp"]
    merged["components"] = {name: {"source": str(model)} for name in nlp.component_names}
    return merged


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
        f"Face cache. Run `spacy project run encoder` to fetch the default one, or give "
        f"--variables.encoder a folder or a hub name."
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
            f"`spacy-clinner[cuda12x]` and a CUDA build of torch, or use --gpu-id -1."
        ) from None


def check_corpora(settings: Mapping[str, Any]) -> None:
    """Read the corpora that a training needs.

    settings (Mapping[str, Any]): The config, interpolated.
    RAISES (ClinnerError): Train or dev is not named, is missing, cannot be read or is empty.
    """
    for name in ("train", "dev"):
        paths = settings.get("paths", {}).get(name)
        for path in paths if isinstance(paths, list) else [paths]:
            if not (path and Path(path).exists()):
                raise ClinnerError(
                    f"{path}: no {name} corpus. `clinner convert` writes one, in the project "
                    f"`spacy project run convert`."
                )
            files = list(walk_corpus(Path(path), ".spacy"))
            # All of them are read, so that one that cannot be is told of now.
            counts = [len(read_docs(file, Vocab())) for file in files]
            if not any(counts):
                raise ClinnerError(f"{path}: holds no note, so there is nothing to learn or score.")


def _own_value(config: Path, settings: Mapping[str, Any], key: str) -> Any:
    """What a config has under a dotted key, True for what others know; raises where there is no
    such key."""
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
    return found.get(name, True)


def _in_hub_cache(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    try:
        return isinstance(try_to_load_from_cache(name, "config.json"), str)
    # A path with more than one slash is no name on the hub.
    except ValueError:
        return False
