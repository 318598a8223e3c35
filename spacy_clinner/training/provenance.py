"""How a model came to be: the machine, the versions, and what its training read and took."""

import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import srsly
from spacy.language import Language
from spacy.training.loop import DIR_MODEL_BEST
from spacy.util import load_config, registry
from thinc.api import Model

from spacy_clinner.compat import torch_module
from spacy_clinner.errors import ClinnerError

PACKAGES = (
    "spacy-clinner",
    "spacy",
    "thinc",
    "torch",
    "spacy-transformers",
    "transformers",
    "tokenizers",
    "numpy",
    "openvino",
    "nncf",
)
# What of a CPU's instructions decides how fast an encoder is.
FLAGS = (
    "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16",
    "asimd", "asimddp", "i8mm", "bf16", "sve",
)  # fmt: skip
# The key of `nlp.meta` where `clinner.RecordingLogger.v1` leaves its counts.
COUNTS = "training"
# The key, there and in `training.json`, of how a pipeline was made before its last training.
MADE = "made"


def versions() -> dict[str, str]:
    """The versions that are installed of what trains and runs a pipeline, and Python's."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware(gpu_id: int = -1) -> dict[str, Any]:
    """The processors of this machine.

    gpu_id (int): The GPU in use, or -1.
    RETURNS (dict[str, Any]): "cpu" (its model), "flags" (those of its instructions that matter
        here), "cores" (logical ones this process may use) and "gpu" (its model, or None).
    """
    cpu, flags = _cpu()
    gpu = None if gpu_id < 0 else _gpu(gpu_id)
    return {"cpu": cpu, "flags": flags, "cores": cores(), "gpu": gpu}


def cores() -> int:
    """Logical cores that this process may use."""
    # Only Linux can say which.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _cpu() -> tuple[str, list[str]]:
    """Name and flags; elsewhere than on Linux the name that Python knows, and no flags."""
    path = Path("/proc/cpuinfo")
    fields: dict[str, str] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf8").splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip().lower(), value.strip())
    has = set(fields.get("flags", fields.get("features", "")).split())
    name = fields.get("model name") or platform.processor() or platform.machine()
    return name, [flag for flag in FLAGS if flag in has]


def _gpu(gpu_id: int) -> str:
    import torch

    return str(torch.cuda.get_device_name(gpu_id))


def create_recording_logger(progress_bar: bool = False) -> Callable[..., Any]:
    """spaCy's console logger, which also leaves its counts in the meta of the pipeline.

    progress_bar (bool): Whether to show a progress bar.
    RETURNS (Callable): A logger for `[training.logger]`; `model-last` has the counts, in a training
        that was resumed those of all its runs.
    """
    create_console: Callable[..., Any] = registry.loggers.get("spacy.ConsoleLogger.v2")
    console = create_console(progress_bar)

    def setup(nlp: Language, stdout: IO[str], stderr: IO[str]) -> tuple[Any, Any]:
        log, finish = console(nlp, stdout, stderr)
        before: dict[str, Any] = nlp.meta.get(COUNTS, {})

        def log_step(info: dict[str, Any] | None) -> None:
            if info is not None:
                counts = ("epoch", "step", "words", "seconds")
                nlp.meta[COUNTS] = {key: info[key] + before.get(key, 0) for key in counts}
                if saved := info.get("output_path"):
                    # This evaluation's checkpoints were written a moment before.
                    for folder in _written(Path(saved), info):
                        path = folder / "meta.json"
                        srsly.write_json(path, srsly.read_json(path) | {COUNTS: nlp.meta[COUNTS]})
            log(info)

        return log_step, finish

    return setup


def _written(last: Path, info: dict[str, Any]) -> list[Path]:
    """The checkpoints of an evaluation: the last one, and the best one where it is that."""
    scores = [score for score, _ in info["checkpoints"]]
    best = last.parent / DIR_MODEL_BEST
    return [last, best] if info["score"] == max(scores) and best.is_dir() else [last]


def training_facts(model: Path, started: datetime, *, gpu_id: int = -1) -> dict[str, Any]:
    """What to remember of a training that has just ended, for the model card.

    model (Path): The trained pipeline, `model-best`.
    started (datetime): When the training began, with its time zone.
    gpu_id (int): The GPU, or -1 for the CPU.
    RETURNS (dict[str, Any]): Plain data, to be written to `training.json` beside the model. Words
        (repetitions included) and seconds over all runs are those that `clinner.RecordingLogger.v1`
        counted in `model-last` beside the model, if it was used.
    RAISES (ClinnerError): There is no trained pipeline.
    """
    counts = training_counts(model.parent / "model-last")
    elapsed = (datetime.now(UTC) - started).total_seconds()
    # Of a training that was resumed, `started` knows the last run only.
    taken = max(elapsed, counts.get("seconds", 0.0))
    words, timed = counts.get("words"), counts.get("seconds", taken)
    return {
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "seconds": round(taken, 1),
        "steps": counts.get("step"),
        "words": words,
        "words_per_second": round(words / timed, 1) if words and timed else None,
        "hardware": hardware(gpu_id),
        "versions": versions(),
        "settings": settings_facts(model),
    }


def training_counts(model: Path) -> dict[str, Any]:
    """What `clinner.RecordingLogger.v1` counted: "epoch", "step", "words" and "seconds".

    model (Path): The folder of a checkpoint.
    RETURNS (dict[str, Any]): The counts; empty where nothing was recorded.
    """
    meta = srsly.read_json(model / "meta.json") if (model / "meta.json").is_file() else {}
    found: dict[str, Any] = meta.get(COUNTS, {})
    return found


def settings_facts(model: Path) -> dict[str, Any]:
    """The settings that a pipeline was trained with.

    model (Path): A trained pipeline.
    RETURNS (dict[str, Any]): The seed, the most steps, dropout, and the config's [variables] but
        for the encoder, whose path says nothing elsewhere. Empty for a CPU edition, which does
        not keep its training's config.
    RAISES (ClinnerError): There is no trained pipeline.
    """
    path = model / "config.cfg"
    if not path.is_file():
        raise ClinnerError(f"{model}: no trained pipeline there. Train one first.")
    config = load_config(path, interpolate=True)
    training = config.get("training", {})
    found = {key: training[key] for key in ("seed", "max_steps", "dropout") if key in training}
    variables = {k: v for k, v in config.get("variables", {}).items() if k != "encoder"}
    return found | variables


def count_parameters(model: Model[Any, Any]) -> int:
    """The number of weights of a model, those of torch modules inside it included.

    model (Model): The model; a listener has none of the encoder's.
    RETURNS (int): The number.
    """
    count = 0
    for node in model.walk():
        for name in node.param_names:
            count += int(node.get_param(name).size) if node.has_param(name) else 0
        for shim in node.shims:
            # Other shims have no weights.
            module = torch_module(shim)
            if hasattr(module, "parameters"):
                count += sum(int(weights.numel()) for weights in module.parameters())
    return count
