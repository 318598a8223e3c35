"""What a GPU gives on this machine: training in mixed precision and prediction, against the CPU.

One command, about ten minutes, no network:

    python scripts/check_gpu.py check corpus/mtsamples --model en_clinner

It trains the pipeline of a config twice with the same settings, once on the GPU and once on the
CPU, scores both on test and compares speed, memory and F1; and so for a trained pipeline, if one is
given. Each training and each scoring is a process of its own, that begins with an empty device.
`--gpu-id -1` is a rehearsal: all of it on the CPU.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import srsly
import typer
from rich.console import Console
from rich.table import Table

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.evaluation.intervals import f_difference, f_interval, f_score, span_counts
from spacy_clinner.evaluation.spans import predict_examples, predicted_layers
from spacy_clinner.files import written_whole
from spacy_clinner.training.provenance import hardware, versions

CPU = -1
# The rows of the table, in pairs: the first is on the GPU, the second is compared with it.
TRAINED = "trained on the GPU", "trained on the CPU"
MOVED = TRAINED[0], "the same, on the CPU"
GIVEN = "the given model, on the GPU", "the given model, on the CPU"
app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def check(
    corpus: Annotated[Path, typer.Argument(help="A folder with train, dev and test.spacy")],
    encoder: Annotated[str, typer.Option(help="Folder of the encoder")] = "assets/encoder",
    out: Annotated[Path, typer.Option(help="Folder for models and gpu.json")] = Path("metrics/gpu"),
    updates: Annotated[int, typer.Option(help="Updates on the GPU")] = 400,
    cpu_updates: Annotated[int, typer.Option(help="Updates on the CPU; 0: none")] = 400,
    model: Annotated[str | None, typer.Option(help="A trained pipeline to run, too")] = None,
    gpu_id: Annotated[int, typer.Option(help="The GPU; -1: a rehearsal on the CPU")] = 0,
) -> None:
    """Train on CORPUS on the GPU and on the CPU, and compare."""
    facts: dict[str, Any] = {
        "devices": devices(gpu_id),
        "versions": versions(),
        "hardware": hardware(gpu_id),
    }
    rows = facts["rows"] = {}
    for name, device, n_updates in zip(TRAINED, (gpu_id, CPU), (updates, cpu_updates), strict=True):
        if n_updates:
            folder = out / ("cpu" if name == TRAINED[1] else "gpu")
            rows[name] = trained(corpus, encoder, folder, device, n_updates)
            rows[name] |= scored(str(folder / "model-best"), corpus, device)
    if updates:
        rows[MOVED[1]] = scored(str(out / "gpu/model-best"), corpus, CPU)
    if model is not None:
        for name, device in zip(GIVEN, (gpu_id, CPU), strict=True):
            rows[name] = scored(model, corpus, device)
    with written_whole(out / "gpu.json") as path:
        srsly.write_json(path, facts)
    show(facts)


@app.command(hidden=True)
def score(model: str, corpus: Path, gpu_id: int) -> None:
    """Print what MODEL finds and how fast, as JSON."""
    import spacy
    from thinc.api import prefer_gpu

    # The same function as spacy.prefer_gpu.
    if gpu_id >= 0 and not prefer_gpu(gpu_id):
        raise ClinnerError(f"spacy.prefer_gpu({gpu_id}) finds no GPU.")
    nlp = spacy.load(model)
    examples = predict_examples(nlp, corpus)
    counts = span_counts(examples, predicted_layers(examples))
    texts = [example.reference.text for example in examples] * 3
    began = time.perf_counter()
    for _ in nlp.pipe(texts):
        pass
    seconds = time.perf_counter() - began
    words = sum(len(text.split()) for text in texts)
    found = {
        "f": float(f_score(counts.sum(axis=0))),
        "interval": f_interval(counts),
        "counts": counts.tolist(),
        "pipe_words_per_second": words / seconds,
        "gpu_megabytes": gpu_megabytes() if gpu_id >= 0 else None,
    }
    typer.echo(json.dumps(found))


def devices(gpu_id: int) -> dict[str, Any]:
    """What CuPy and torch find.

    gpu_id (int): The GPU; below 0 nothing is looked for.
    RETURNS (dict[str, Any]): The GPU and the versions.
    RAISES (ClinnerError): One of them finds no GPU.
    """
    if gpu_id < 0:
        return {"gpu": "No GPU, a rehearsal", "gpus": 0, "cuda": None, "cupy": None}
    import torch

    try:
        import cupy

        n_devices = cupy.cuda.runtime.getDeviceCount()
    # CuPy's own errors share no base class but this.
    except Exception as error:
        raise ClinnerError(
            f"CuPy finds no GPU ({one_line(error)}). Install `spacy-clinner[cuda12x]`."
        ) from None
    if not torch.cuda.is_available():
        raise ClinnerError("torch finds no GPU. Install a CUDA build of torch.")
    return {
        "gpu": torch.cuda.get_device_name(gpu_id),
        "gpus": n_devices,
        "cuda": torch.version.cuda,
        "cupy": cupy.__version__,
    }


def gpu_megabytes() -> float:
    """The most memory of the GPU that this process had; CuPy's is in torch's pool."""
    import torch

    return float(torch.cuda.max_memory_reserved() / 1e6)


def trained(corpus: Path, encoder: str, out: Path, gpu_id: int, updates: int) -> dict[str, Any]:
    """Train by `clinner train`.

    corpus (Path), encoder (str), out (Path), gpu_id (int): As in the command.
    updates (int): Length of the training.
    RETURNS (dict[str, Any]): Updates, seconds, and words per second.
    """
    options = {
        "--epochs": 0,
        "--gpu-id": gpu_id,
        "--paths.train": corpus / "train.spacy",
        "--paths.dev": corpus / "dev.spacy",
        "--variables.encoder": encoder,
        "--variables.batch_words": 2000,
        "--variables.max_steps": updates,
        "--variables.warmup_steps": updates // 10,
        "--variables.eval_frequency": updates // 2,
        "--components.transformer.model.mixed_precision": "true" if gpu_id >= 0 else "false",
    }
    command = [sys.executable, "-m", "spacy_clinner", "train", "configs/clinner.cfg", str(out)]
    done(command + [str(part) for option in options.items() for part in option])
    facts = srsly.read_json(out / "training.json")
    return {name: facts[name] for name in ("steps", "seconds", "words_per_second")}


def scored(model: str, corpus: Path, gpu_id: int) -> dict[str, Any]:
    """What `score` finds, in a process of its own."""
    command = [sys.executable, __file__, "score", model, str(corpus / "test.spacy")]
    found: dict[str, Any] = json.loads(done([*command, "--", str(gpu_id)]).splitlines()[-1])
    return found


def done(command: list[str]) -> str:
    """Run a command and give what it prints; its end is shown when it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClinnerError(f"{' '.join(command[2:5])} failed:\n{result.stderr[-3000:]}")
    return result.stdout


def show(facts: dict[str, Any]) -> None:
    """Print the table, and whether both agree."""
    found = facts["devices"]
    table = Table(title=f"{found['gpu']}, CUDA {found['cuda']}, CuPy {found['cupy']}")
    for column in ("", "training words/s", "nlp.pipe words/s", "strict F1", "memory MB"):
        table.add_column(column)
    rows = facts["rows"]
    for name, row in rows.items():
        bounds = row["interval"]
        between = f" ({100 * bounds[0]:.1f} to {100 * bounds[1]:.1f})" if bounds else ""
        training, memory = row.get("words_per_second"), row["gpu_megabytes"]
        table.add_row(
            name,
            f"{training:,.0f}" if training else "",
            f"{row['pipe_words_per_second']:,.0f}",
            f"{100 * row['f']:.1f}{between}",
            f"{memory:,.0f}" if memory else "",
        )
    Console(width=120).print(table)
    for one, other in (TRAINED, MOVED, GIVEN):
        if one in rows and other in rows:
            ours, theirs = (np.array(rows[name]["counts"]) for name in (one, other))
            value, low, high = f_difference(ours, theirs)
            between = "" if low is None else f" ({low:+.2f} to {high:+.2f})"
            typer.echo(f"{one}, against {other}: {value:+.2f} points of F1{between}")


if __name__ == "__main__":
    run(app)
