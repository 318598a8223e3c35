"""What a GPU gives on this machine: training in mixed precision and prediction, against the CPU.

One command, about ten minutes, no network. It trains the pipeline of a config twice with the same
settings, once on the GPU and once on the CPU, scores both on test and compares speed, memory and
F1. Both processes run by themselves, so that each begins with an empty device.
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

GPU, CPU = 0, -1
app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def check(
    corpus: Annotated[Path, typer.Argument(help="A folder with train, dev and test.spacy")],
    encoder: Annotated[str, typer.Option(help="Folder of the encoder")] = "assets/encoder",
    out: Annotated[Path, typer.Option(help="Folder for models and gpu.json")] = Path("metrics/gpu"),
    updates: Annotated[int, typer.Option(help="Updates on the GPU")] = 400,
    cpu_updates: Annotated[int, typer.Option(help="Updates on the CPU; 0: none")] = 400,
) -> None:
    """Train on CORPUS on the GPU and on the CPU, and compare."""
    facts: dict[str, Any] = {"devices": devices(), "versions": versions(), "hardware": hardware()}
    runs = [("GPU", GPU, updates), ("CPU", CPU, cpu_updates)]
    for name, gpu_id, n_updates in runs:
        if n_updates:
            facts[name] = trained(corpus, encoder, out / name.lower(), gpu_id, n_updates)
            facts[name] |= scored(out / name.lower() / "model-best", corpus, gpu_id)
    facts["GPU model on CPU"] = scored(out / "gpu" / "model-best", corpus, CPU)
    with written_whole(out / "gpu.json") as path:
        srsly.write_json(path, facts)
    show(facts)


@app.command(hidden=True)
def score(model: Path, corpus: Path, gpu_id: int) -> None:
    """Print what MODEL finds and how fast, as JSON."""
    import spacy
    from thinc.api import require_gpu

    if gpu_id >= 0:
        require_gpu(gpu_id)
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


def devices() -> dict[str, Any]:
    """What CuPy and torch find.

    RETURNS (dict[str, Any]): The GPU and the versions.
    RAISES (ClinnerError): One of them finds no GPU.
    """
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
        "gpu": torch.cuda.get_device_name(GPU),
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


def scored(model: Path, corpus: Path, gpu_id: int) -> dict[str, Any]:
    """What `score` finds, in a process of its own."""
    command = [sys.executable, __file__, "score", str(model), str(corpus / "test.spacy")]
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
    for name in ("GPU", "CPU", "GPU model on CPU"):
        if name in facts:
            row = facts[name]
            low, high = row["interval"]
            training, memory = row.get("words_per_second"), row["gpu_megabytes"]
            table.add_row(
                name,
                f"{training:,.0f}" if training else "",
                f"{row['pipe_words_per_second']:,.0f}",
                f"{100 * row['f']:.1f} ({100 * low:.1f} to {100 * high:.1f})",
                f"{memory:,.0f}" if memory else "",
            )
    Console().print(table)
    for name in ("CPU", "GPU model on CPU"):
        if name in facts:
            ours, theirs = (np.array(facts[which]["counts"]) for which in ("GPU", name))
            value, low, high = f_difference(ours, theirs)
            typer.echo(f"GPU against {name}: {value:+.2f} points of F1 ({low:+.2f} to {high:+.2f})")


if __name__ == "__main__":
    run(app)
