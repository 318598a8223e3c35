"""What `clinner serve` does on a machine. All callers are on it, and talk to 127.0.0.1 alone.

- ready: seconds from the start of the process until `/readyz` answers.
- latency: a note of 300 words at a time, one caller.
- throughput: callers of one note each, who ask again when they have their answer, against
  `nlp.pipe` over the same notes in another process; the two take turns. The callers' own work is
  done on the same cores.
- page: a note of 100,000 characters in a real Chromium: from the answer until the first mark is on
  the screen, and the frames while it is scrolled through.
- hostile: bodies of random JSON, cut, of huge numbers, nested, of invalid UTF-8. Nothing may be
  answered with 5xx but 503 and 504, and the service goes on.
- soak: requests at a share of the throughput, at random times, each with words that were never
  seen before; resident memory and errors.

The service runs as where only `spacy-clinner[cpu,serve]` is installed.
"""

import environment  # noqa: F401  # isort: skip

import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from calling.callers import Answered, body, call, call_at, percentile
from calling.hostile import hostile_bodies
from calling.page import find_chromium, look
from calling.service import Service, serving
from throughput import machine
from throughput.parts import write as write_texts
from throughput.processes import System, started
from throughput.texts import joined, n_words, read_notes, spread

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole

PARTS = ("ready", "latency", "page", "throughput", "hostile", "soak")
WORDS = 300
SAMPLE_SECONDS = 10.0


def main(
    model: Annotated[str, typer.Argument(help="An installed pipeline, or its folder")],
    texts: Annotated[
        Path | None, typer.Option(help="Folder with text files, or .csv.xz as MTSamples' notes")
    ] = None,
    out: Annotated[Path, typer.Option(help="The report")] = Path("metrics/benchmark/serving.json"),
    chosen: Annotated[str, typer.Option("--parts", help="What to measure")] = ",".join(PARTS),
    notes: Annotated[int, typer.Option(help="Notes of a pass", min=1)] = 320,
    repeats: Annotated[int, typer.Option(help="Timed passes; times started", min=1)] = 5,
    callers: Annotated[int, typer.Option(help="Callers at once", min=1)] = 32,
    requests: Annotated[int, typer.Option(help="Requests to take the time of", min=1)] = 300,
    hostile: Annotated[int, typer.Option(help="Hostile bodies", min=1)] = 10_000,
    minutes: Annotated[float, typer.Option(help="Minutes of the soak test", min=0.01)] = 30.0,
    load: Annotated[float, typer.Option(help="Its share of the throughput", min=0.01)] = 0.8,
    characters: Annotated[int, typer.Option(help="Of the note on the page", min=1)] = 100_000,
) -> None:
    """Measure the service of MODEL on this machine."""
    wanted = [part for part in PARTS if part in chosen.split(",")]
    if unknown := set(chosen.split(",")) - set(PARTS):
        raise ClinnerError(f"--parts: no part {unknown.pop()!r}. Known: {', '.join(PARTS)}.")
    chromium = find_chromium() if "page" in wanted else ""
    everything, source = read_notes(texts)
    read = spread(everything, min(notes, len(everything)))
    results: dict[str, Any] = {
        "machine": machine.facts(),
        "model": model,
        "texts": {"source": str(source), "notes": len(read), "words": n_words(read)},
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "ready" in wanted:
            results["ready"] = ready(model, folder, repeats)
        with serving(model, folder) as service:
            if "latency" in wanted:
                results["latency"] = latency(service, read, requests)
            if "page" in wanted:
                text = joined(read, characters)[:characters]
                results["page"] = page(chromium, service, text, repeats)
            if "throughput" in wanted or "soak" in wanted:
                results["throughput"] = throughput(service, model, read, folder, repeats, callers)
            if "hostile" in wanted:
                results["hostile"] = survive(service, hostile)
            if "soak" in wanted:
                rate = load * results["throughput"]["notes_per_second"]
                results["soak"] = soak(service, read, rate, 60 * minutes)
    with written_whole(out) as path:
        srsly.write_json(path, results)
    for part in PARTS:
        if part in results:
            told = (f"{key} {value:,.3f}" if isinstance(value, float) else f"{key} {value}"
                    for key, value in results[part].items())  # fmt: skip
            typer.echo(f"{part}: {', '.join(told)}")
    typer.echo(f"✔ {out}")


def ready(model: str, folder: Path, repeats: int) -> dict[str, Any]:
    """Start the service some times."""
    seconds = []
    for _ in range(repeats):
        with serving(model, folder) as service:
            seconds.append(service.ready)
    return {"median_seconds": statistics.median(seconds), "most_seconds": max(seconds)}


def latency(service: Service, notes: list[str], requests: int) -> dict[str, Any]:
    """Ask for one note of 300 words at a time."""
    cut = [joined(notes[at:] + notes[:at], WORDS) for at in range(min(requests, len(notes)))]
    sent = [body(text) for text in itertools.islice(itertools.cycle(cut), requests)]
    asyncio.run(call(service.port, sent[:20], 1))
    found = asyncio.run(call(service.port, sent, 1))
    _check(found)
    return {
        "requests": requests,
        "p50_ms": 1000 * percentile(found.seconds, 0.50),
        "p95_ms": 1000 * percentile(found.seconds, 0.95),
    }


def page(chromium: str, service: Service, text: str, repeats: int) -> dict[str, Any]:
    """Give the page a long note some times; what is longest, is so of all of them."""
    found = [look(chromium, service.port, text) for _ in range(repeats)]
    return {
        "characters": len(text),
        **{
            name: (max if "longest" in name else statistics.median_low)(one[name] for one in found)
            for name in found[0]
        },
    }


def throughput(
    service: Service, model: str, notes: list[str], folder: Path, repeats: int, callers: int
) -> dict[str, Any]:
    """Callers of one note each against `nlp.pipe`."""
    words = n_words(notes)
    path = write_texts(notes, folder / "notes.json")
    sent = [body(text, at) for at, text in enumerate(notes)]
    of_service, of_pipe = [], []
    with started(System("pipe", "spacy", model, 0, 0, True), folder) as worker:
        for turn in range(repeats + 1):
            piped = worker.read(path)["seconds"]
            begin = time.perf_counter()
            found = asyncio.run(call(service.port, sent, callers))
            seconds = time.perf_counter() - begin
            _check(found)
            # The first pass of each warms up.
            if turn:
                of_pipe.append(words / piped)
                of_service.append(words / seconds)
    speed, pipe = statistics.median(of_service), statistics.median(of_pipe)
    ratios = [one / other for one, other in zip(of_service, of_pipe, strict=True)]
    return {
        "callers": callers,
        "words_per_second": speed,
        "pipe_words_per_second": pipe,
        "share_of_pipe": statistics.median(ratios),
        "least_share": min(ratios),
        "notes_per_second": speed * len(notes) / words,
    }


def survive(service: Service, count: int) -> dict[str, Any]:
    """Send hostile bodies."""
    found = asyncio.run(call(service.port, hostile_bodies(count), 8))
    bad = {str(s): n for s, n in found.statuses.items() if s >= 500 and s not in (503, 504)}
    after = asyncio.run(call(service.port, [body("No fever.")], 1))
    return {
        "bodies": count,
        "statuses": {str(status): n for status, n in sorted(found.statuses.items())},
        "failures": sum(bad.values()),
        "serves_after": after.statuses[200] == 1,
    }


def soak(service: Service, notes: list[str], rate: float, seconds: float) -> dict[str, Any]:
    """Ask at random times, and watch memory."""
    chance = random.Random(0)
    gaps = iter(lambda: chance.expovariate(rate), None)
    samples: list[int] = []

    async def watched() -> Answered:
        calls = asyncio.create_task(call_at(service.port, _never_seen(notes), gaps, seconds))
        while not calls.done():
            samples.append(service.resident())
            await asyncio.wait((calls,), timeout=min(SAMPLE_SECONDS, seconds / 20))
        return calls.result()

    found = asyncio.run(watched())
    tenth = max(1, len(samples) // 10)
    warm, end = statistics.median(samples[tenth : 2 * tenth]), statistics.median(samples[-tenth:])
    return {
        "seconds": seconds,
        "requests_per_second": rate,
        "requests": len(found.seconds),
        "errors": len(found.seconds) - found.statuses[200],
        "p50_ms": 1000 * percentile(found.seconds, 0.50),
        "p95_ms": 1000 * percentile(found.seconds, 0.95),
        "warm_megabytes": warm / 1e6,
        "end_megabytes": end / 1e6,
        "growth": end / warm - 1,
    }


def _never_seen(notes: list[str]) -> Iterator[bytes]:
    for at, text in enumerate(itertools.cycle(notes)):
        yield body(f"{text}\nMRN {at:09d}, seen by Dr. Q{at:x}z.", at)


def _check(found: Answered) -> None:
    if found.statuses.keys() - {200}:
        raise ClinnerError(f"Not all was answered with 200: {dict(found.statuses)}.")


if __name__ == "__main__":
    run(main)
