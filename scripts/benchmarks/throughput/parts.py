"""The measurements: speed, growth, and a soak test."""

import itertools
import json
import statistics
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import typer

from throughput.processes import System, Worker, started
from throughput.texts import joined, n_words, typical

SHORTEST = 100
SOAK_BATCH = 500


def write(texts: Sequence[str], path: Path) -> Path:
    path.write_text(json.dumps(texts), encoding="utf8")
    return path


def speed(
    systems: Sequence[System],
    notes: list[str],
    cut: list[str],
    folder: Path,
    repeats: int,
    loads: int,
) -> dict[str, Any]:
    """Words per second, memory and time to load of each system, which take turns.

    Each reads all notes once before the first timed pass, and each round starts with another one.

    systems (Sequence[System]): The systems.
    notes (List[str]): What they read.
    cut (List[str]): What those of the kind "huggingface" read instead.
    folder (Path): For files in between.
    repeats (int): Timed passes.
    loads (int): Times that each is started.
    RETURNS (Dict[str, Any]): By system what was measured.
    """
    texts = write(notes, folder / "notes.json"), n_words(notes)
    shorter = write(cut, folder / "cut.json"), n_words(cut)
    results: dict[str, Any] = {}
    for system in systems:
        path, words = shorter if system.kind == "huggingface" else texts
        results[system.name] = {"texts": str(path), "words": words, "seconds": [], "load": [],
                                "first_note": []}  # fmt: skip
    with ExitStack() as stack:
        for _ in range(loads - 1):
            for system in systems:
                with started(system, folder) as worker:
                    _note_load(results, worker)
        workers = []
        for system in systems:
            typer.echo(f"Loading {system.name} and reading all notes once", err=True)
            worker = stack.enter_context(started(system, folder))
            _note_load(results, worker)
            reply = worker.read(Path(results[system.name]["texts"]))
            results[system.name] |= {name: reply[name] for name in ("entities", "negated")}
            workers.append(worker)
        for turn in range(repeats):
            typer.echo(f"Speed: round {turn + 1} of {repeats}", err=True)
            for worker in _rotated(workers, turn):
                row = results[worker.system.name]
                reply = worker.read(Path(row["texts"]))
                row["seconds"].append(reply["seconds"])
                row["peak"] = reply["peak"]
    for row in results.values():
        del row["texts"]
        row["words_per_second"] = _summary([row["words"] / s for s in row["seconds"]])
        row["load"], row["first_note"] = _summary(row["load"]), _summary(row["first_note"])
    return results


def _note_load(results: dict[str, Any], worker: Worker) -> None:
    row = results[worker.system.name]
    row["load"].append(worker.loaded)
    row["first_note"].append(worker.ready)
    row["torch_threads"] = worker.torch_threads


def _rotated(workers: list[Worker], turn: int) -> list[Worker]:
    first = turn % len(workers)
    return workers[first:] + workers[:first]


def _summary(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def add_ratios(results: dict[str, Any]) -> None:
    """Set each system's `ratios` of its median speed over those of the three to compare with."""
    median = {name: row["words_per_second"]["median"] for name, row in results.items()}
    of_hugging_face = [name for name in results if name.startswith("huggingface")]
    best = max(of_hugging_face, key=median.__getitem__)
    others = {"huggingface": best, "stock": "stock", "bare": "bare"}
    for name, row in results.items():
        row["ratios"] = {other: median[name] / median[of] for other, of in others.items()}
        row["best"] = name == best


def growth(
    systems: Sequence[System], notes: list[str], folder: Path, repeats: int, longest: int
) -> dict[str, Any]:
    """How time grows with the length of one note, and with the number of notes.

    systems (Sequence[System]): The systems.
    notes (List[str]): Notes to make the long ones of, and to take some of.
    folder (Path): For files in between.
    repeats (int): Timed passes, after one that is not.
    longest (int): Words of the longest note.
    RETURNS (Dict[str, Any]): For "length" and "count", by system the sizes, seconds and exponents.
    """
    lengths = _sizes(SHORTEST, longest, 7)
    counts = _sizes(max(1, len(notes) // 30), len(notes), 4)
    texts = {("length", size): [joined(notes, size)] for size in lengths}
    texts |= {("count", size): typical(notes, size) for size in counts}
    paths = {key: write(of, folder / f"{key[0]}-{key[1]}.json") for key, of in texts.items()}
    seconds: dict[str, Any] = {
        by: {system.name: {str(size): [] for size in sizes} for system in systems}
        for by, sizes in (("length", lengths), ("count", counts))
    }
    with ExitStack() as stack:
        workers = [stack.enter_context(started(system, folder)) for system in systems]
        for turn in range(repeats + 1):
            typer.echo(f"Growth: round {turn} of {repeats}", err=True)
            for (by, size), worker in itertools.product(paths, _rotated(workers, turn)):
                reply = worker.read(paths[by, size])
                if turn:
                    seconds[by][worker.system.name][str(size)].append(reply["seconds"])
    return {
        by: {name: _fitted(of, texts, by) for name, of in by_system.items()}
        for by, by_system in seconds.items()
    }


def _sizes(low: int, high: int, count: int) -> list[int]:
    return sorted({round(size) for size in np.geomspace(min(low, high), high, count).tolist()})


def _fitted(
    seconds: dict[str, list[float]], texts: dict[tuple[str, int], list[str]], by: str
) -> dict[str, Any]:
    sizes = [int(size) for size in seconds]
    medians = [statistics.median(passes) for passes in seconds.values()]
    return {
        "sizes": sizes,
        "words": [n_words(texts[by, size]) for size in sizes],
        "seconds": list(seconds.values()),
        "medians": medians,
        "exponent": exponent(sizes, medians),
        # What a call costs whatever its size hides growth among the small ones.
        "exponent_upper_half": exponent(sizes[len(sizes) // 2 :], medians[len(sizes) // 2 :]),
    }


def exponent(sizes: Iterable[float], seconds: Iterable[float]) -> float | None:
    """The slope of the least-squares line through sizes and seconds, both as logarithms.

    sizes (Iterable[float]): Sizes above zero.
    seconds (Iterable[float]): As many times.
    RETURNS (float | None): The exponent, 1 for linear growth; None for less than two sizes.
    """
    x, y = np.log(list(sizes)), np.log(list(seconds))
    return None if len(x) < 2 else float(np.polyfit(x, y, 1)[0])


def soak(system: System, notes: list[str], folder: Path, count: int) -> dict[str, Any]:
    """Resident memory over many notes, in memory zones of 500.

    The first tenth warms up. As the memory goes up and down from zone to zone, the median of the
    next tenth is compared with that of the last. Notes come again once all were read.

    system (System): What reads them.
    notes (List[str]): The notes.
    folder (Path): For files in between.
    count (int): Notes to read.
    RETURNS (Dict[str, Any]): Notes read and resident bytes after each zone, and the growth in
        percent of the resident memory once warm, at the end and at its highest.
    """
    endless = itertools.cycle(notes)
    size = min(SOAK_BATCH, max(1, count // 10))
    read: list[int] = []
    resident: list[int] = []
    seconds = 0.0
    with started(system, folder) as worker:
        for done in range(0, count, size):
            batch = list(itertools.islice(endless, min(size, count - done)))
            reply = worker.read(write(batch, folder / "soak.json"), zone=True)
            read.append(done + len(batch))
            resident.append(reply["resident"])
            seconds += reply["seconds"]
            typer.echo(f"Soak: {read[-1]:,} of {count:,} notes", err=True)
    tenth = max(1, len(read) // 10)
    warm = statistics.median(resident[tenth : 2 * tenth])
    end = statistics.median(resident[-tenth:])
    return {
        "system": system.name,
        "notes": count,
        "different_notes": len(notes),
        "batch": size,
        "seconds": seconds,
        "notes_read": read,
        "resident": resident,
        "warm_at": read[tenth - 1],
        "resident_warm": warm,
        "resident_end": end,
        "growth_percent": 100 * (end / warm - 1),
        "highest_percent": 100 * (max(resident[tenth:]) / warm - 1),
    }
