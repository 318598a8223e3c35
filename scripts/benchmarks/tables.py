"""`clinner annotate`: how fast, how flat, and whether it goes on after any kill.

- speed: Parquet to Parquet with one and two processes, and with Ray and Spark where they are
  installed, against `nlp.pipe` alone over the same notes. All take turns in one run. What a process
  needs to start (Python, the model, a Ray or a Spark) is left out: it is the time for few notes,
  taken from the time for all.
- growth: time and resident memory over 1,000, 10,000 and 100,000 notes, MTSamples' raw notes again
  and again, whole or by `--words` cut to their first words; the time's exponent, and by how much
  memory grows after the first tenth.
- kills: `kill -9` at random moments, and the same command again, until it is done; then every byte
  is compared with that of an unbroken run.
"""

import environment  # noqa: F401  # isort: skip

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import spacy
import srsly
import typer
from pyarrow import parquet as pq
from throughput import machine
from throughput.texts import n_words, read_notes, spread

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole

PARTS = ("speed", "growth", "kills")
FEW = 20
WHEN = "2026-01-01T00:00:00"


def main(
    model: Annotated[str, typer.Argument(help="An installed pipeline, or its folder")],
    out: Annotated[Path, typer.Option(help="The report to write")] = Path(
        "metrics/benchmark/tables.json"
    ),
    chosen: Annotated[str, typer.Option("--parts", help="What to measure")] = ",".join(PARTS),
    texts: Annotated[Path | None, typer.Option(help="Notes; MTSamples' as a rule")] = None,
    notes: Annotated[int, typer.Option(help="Notes of the speed part", min=FEW + 1)] = 1000,
    repeats: Annotated[int, typer.Option(help="Timed turns", min=1)] = 3,
    sizes: Annotated[str, typer.Option(help="Notes of the growth part")] = "1000,10000,100000",
    words: Annotated[
        int, typer.Option(help="Words of each of them, its first; 0: whole notes", min=0)
    ] = 0,
    kills: Annotated[int, typer.Option(help="How often to kill", min=1)] = 20,
    processes: Annotated[int, typer.Option(help="Of growth and kills; 0: the default")] = 0,
) -> None:
    """Measure `clinner annotate` with MODEL on this machine."""
    wanted = chosen.split(",")
    if unknown := set(wanted) - set(PARTS):
        raise ClinnerError(f"--parts: no part {unknown.pop()!r}. Known: {', '.join(PARTS)}.")
    every, source = read_notes(texts)
    found: dict[str, Any] = {"machine": machine.facts(), "texts": str(source), "model": model}
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        if "speed" in wanted:
            found["speed"] = speed(model, spread(every, notes), folder, repeats)
        if "growth" in wanted:
            counts = [int(size) for size in sizes.split(",")]
            cut = [first_words(text, words) for text in every]
            found["growth"] = {
                "words_of_each": words or "all",
                **growth(model, cut, folder, counts, processes),
            }
        if "kills" in wanted:
            found["kills"] = kill(model, spread(every, 400), folder, kills, processes)
    with written_whole(out) as path:
        srsly.write_json(path, found)
    typer.echo(srsly.json_dumps({part: found[part] for part in wanted}, indent=2))


def first_words(text: str, words: int) -> str:
    """RETURNS (str): The text up to the end of so many words, as it stands; all of it for 0."""
    ends = [word.end() for word in islice(re.finditer(r"\S+", text), words)]
    return text[: ends[-1]] if ends else text


def write(texts: Sequence[str], path: Path) -> Path:
    """Notes as Parquet."""
    pq.write_table(pa.table({"note_id": range(len(texts)), "text": texts}), path)
    return path


def command(model: str, source: Path, out: Path, *options: str | int) -> list[str]:
    """The command that annotates."""
    chosen = [str(option) for option in (*options, "--processed-at", WHEN)]
    return [sys.executable, "-m", "spacy_clinner", "annotate", model, str(source), str(out),
            *chosen]  # fmt: skip


def annotate(model: str, source: Path, out: Path, *options: str | int) -> float:
    """RETURNS (float): The seconds that it took."""
    began = time.perf_counter()
    done = subprocess.run(
        command(model, source, out, *options), check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise ClinnerError(done.stderr[-2000:])
    seconds = time.perf_counter() - began
    shutil.rmtree(out)
    return seconds


def speed(model: str, texts: list[str], folder: Path, repeats: int) -> dict[str, Any]:
    """Words per second of each way, and their ratio to `nlp.pipe`."""
    words = n_words(texts[FEW:])
    files = write(texts, folder / "notes.parquet"), write(texts[:FEW], folder / "few.parquet")
    out = folder / "out"
    nlp = spacy.load(model)

    def pipe(count: int) -> float:
        began = time.perf_counter()
        with nlp.memory_zone():
            for _ in nlp.pipe(texts[:count]):
                pass
        return time.perf_counter() - began

    def by(*options: str | int) -> Callable[[], float]:
        return lambda: (
            annotate(model, files[0], out, *options) - annotate(model, files[1], out, *options)
        )

    piece = ("--piece", max(1, len(texts) // 8))
    ways: dict[str, Callable[[], float]] = {
        "nlp.pipe": lambda: pipe(len(texts)) - pipe(FEW),
        "local, 1 process": by("--processes", 1, *piece),
        "local, 2 processes": by("--processes", 2, *piece),
    }
    if find_spec("ray"):
        ways["ray"] = by("--engine", "ray", *piece)
    if find_spec("pyspark"):
        ways["spark"] = lambda: on_spark(model, files[0]) - on_spark(model, files[1])
    pipe(FEW)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats):
        for name, measure in ways.items():
            typer.echo(f"Speed: {name}, turn {turn + 1} of {repeats}", err=True)
            seconds[name].append(measure())
    rates = {name: [words / s for s in taken] for name, taken in seconds.items()}
    alone = median(rates["nlp.pipe"])
    return {
        "words": words,
        "words_per_second": {
            name: [round(rate) for rate in found] for name, found in rates.items()
        },
        "of_nlp_pipe": {name: round(median(found) / alone, 3) for name, found in rates.items()},
    }


def on_spark(model: str, source: Path) -> float:
    """RETURNS (float): The seconds of a Spark that is started for it."""
    from spacy_clinner.tables.spark import annotate as annotate_frame
    from spacy_clinner.tables.spark import local_session

    began = time.perf_counter()
    session = local_session()
    cores = session.sparkContext.defaultParallelism
    frame = session.read.parquet(str(source)).repartition(cores)
    out = source.with_name("spark")
    annotate_frame(frame, model).write.parquet(str(out))
    session.stop()
    shutil.rmtree(out)
    return time.perf_counter() - began


def growth(
    model: str, every: Sequence[str], folder: Path, sizes: Sequence[int], processes: int
) -> dict[str, Any]:
    """Seconds and memory by number of notes, and what they say of growth."""
    rows = []
    for size in sizes:
        source = write(list(islice(cycle(every), size)), folder / f"{size}.parquet")
        out = folder / f"out-{size}"
        began = time.perf_counter()
        running = subprocess.Popen(
            command(model, source, out, "--processes", processes), start_new_session=True
        )
        memory = []
        while running.poll() is None:
            memory.append((time.perf_counter() - began, resident(running.pid)))
            time.sleep(0.5)
        if running.returncode:
            raise ClinnerError(f"the run over {size} notes failed.")
        rows.append({"notes": size, "seconds": time.perf_counter() - began, **flat(memory)})
        typer.echo(f"Growth: {rows[-1]}", err=True)
        shutil.rmtree(out)
    logs = np.log([[row["notes"], row["seconds"]] for row in rows])
    exponent = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]) if len(rows) > 1 else None
    return {"rows": rows, "exponent": exponent}


def resident(group: int) -> int:
    """RETURNS (int): The bytes of all processes of a group, pages that they share counted once."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/smaps_rollup"):
        try:
            if os.getpgid(int(path.parent.name)) == group:
                lines = path.read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, ValueError):
            continue
    return total * 1024


def flat(memory: Sequence[tuple[float, int]]) -> dict[str, Any]:
    """What memory was after a tenth of the time, at the end, and the growth between in percent:
    medians over a twentieth of the run, as it rises and falls with every piece."""
    values = [size for _, size in memory]
    width = max(1, len(values) // 20)
    early = median(values[2 * width : 3 * width] or values)
    late = median(values[-2 * width : -width] or values)
    return {"early": early, "late": late, "peak": max(values),
            "growth_percent": round(100 * (late / early - 1), 2)}  # fmt: skip


def kill(model: str, texts: list[str], folder: Path, kills: int, processes: int) -> dict[str, Any]:
    """Kill a run again and again, and compare what it gives at last."""
    source = write(texts, folder / "killed.parquet")
    options: tuple[str | int, ...] = ("--piece", 10, "--processes", processes)
    began = time.perf_counter()
    subprocess.run(command(model, source, folder / "whole", *options), check=True)
    whole = time.perf_counter() - began
    chance = random.Random(0)
    done = 0
    while done < kills:
        running = subprocess.Popen(command(model, source, folder / "killed", *options))
        try:
            # Longer than it takes to start, so that most kills meet it at work.
            running.wait(chance.uniform(0.1, 1.5) * whole / 2)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            running.wait()
            done += 1
            typer.echo(f"Kills: {done} of {kills}", err=True)
        else:
            # It was done too soon: what is left of the kills meets a new run.
            same(folder / "whole", folder / "killed")
            shutil.rmtree(folder / "killed")
    subprocess.run(command(model, source, folder / "killed", *options), check=True)
    return {"kills": done, "files": same(folder / "whole", folder / "killed"), "identical": True}


def same(one: Path, other: Path) -> int:
    """RETURNS (int): The number of files, which are the same byte by byte."""
    found = [
        {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
        for folder in (one, other)
    ]
    if found[0].keys() != found[1].keys():
        raise ClinnerError(f"{other}: other files than in {one}.")
    for name, path in found[0].items():
        if path.read_bytes() != found[1][name].read_bytes():
            raise ClinnerError(f"{other / name}: other bytes than {path}.")
    return len(found[0])


if __name__ == "__main__":
    run(main)
