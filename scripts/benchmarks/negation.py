"""Negation by rules, beside negspaCy and medspaCy's ConText on the same gold spans.

The peers are installed from the package index into a throw-away virtual environment, with the
spaCy version that runs clinner. Each system runs in its own process, as its documentation sets it
up:

- clinner: a blank pipeline with clinner's tokenizer, sentences, sections and context.
- negspaCy: a blank English pipeline with the `sentencizer` and `negex`. Both term sets are shown:
  `en_clinical`, its default, and `en`.
- medspaCy: what `medspacy.load()` makes, less the target matcher, which has no rules: its
  tokenizer, PyRuSH sentences and ConText rules. It is left out, with a warning, where it does not
  install or run.

All get the same spans with the corpus' labels and mark what they call negated (`_.negated`,
`_.negex`, `_.is_negated`). Neither peer's rules look at labels unless told to; clinner's may take
the label's semantic group into account. Spans may overlap, so all read them from a span group.

Speed is the negation component alone: sentences (and sections) and entities are set beforehand, and
`doc.ents` holds the gold PROBLEM entities (with all of MTSamples' entities negspaCy falls back
further). Tokens are counted once, by spaCy's English tokenizer, so that a finer tokenizer earns
nothing. The systems take turns, one pass over all notes each, one thread, on fresh documents.

Gold: NegEx dev (negated), MTSamples test (PROBLEM linked to a NEGATION), MACCROBAT2020 test ids
(events with POLARITY NEG); speed on all MTSamples notes.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NamedTuple

import spacy
import srsly
import typer
from evaluate_negation import LAYERS, Source, read
from rich.console import Console
from rich.table import Table

from spacy_clinner.cli import run
from spacy_clinner.corpora.catalog import find_corpus, read_splits
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation import negation
from spacy_clinner.evaluation.assertion import flag_scores
from spacy_clinner.files import written_whole

WORKER = Path(__file__).parent / "peers" / "negation_worker.py"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# System, as the worker calls it: its title in the table.
SYSTEMS = {
    "clinner": "clinner rules",
    "negspacy_en": "negspaCy en",
    "negspacy_en_clinical": "negspaCy en_clinical",
    "medspacy": "medspaCy ConText",
}
TITLES = {
    Source.negex: "NegEx dev",
    Source.mtsamples: "MTSamples test, PROBLEM",
    Source.maccrobat: "MACCROBAT2020 test, POLARITY NEG",
}
# medspaCy and PyRuSH ask for QuickUMLS and, on Python 3.11, for a spaCy below 3.8; they run without
# the one and with the other, so they are installed without their requirements and these beside.
CONTEXT = ("medspacy", "PyRuSH")
CONTEXT_NEEDS = ("pysbd==0.3.4", "jsonschema", "PyFastNER", "quicksectx", "loguru")

Notes = list[tuple[str, list[negation.Mention]]]


class Speed(NamedTuple):
    """Tokens per second: the median, the slowest and the fastest pass."""

    median: float
    low: float
    high: float


class Worker(NamedTuple):
    """A running system: its process, and the versions of its packages."""

    process: subprocess.Popen[str]
    versions: dict[str, str]

    def seconds(self) -> float:
        """One pass of its negation component over the notes to time."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main(
    out: Annotated[Path, typer.Option(help="JSON file that gets every figure")] = Path(
        "metrics/negation.json"
    ),
    reuse: Annotated[
        Path | None, typer.Option(help="Folder that keeps the peers' environment for later runs")
    ] = None,
    repetitions: Annotated[int, typer.Option(help="Timed passes per system", min=1)] = 15,
    catalog: Annotated[Path, typer.Option()] = Path("configs/corpora.toml"),
    negex: Annotated[Path, typer.Option()] = Path("assets/negex/negex_dev.tsv"),
) -> None:
    """Compare clinner's negation rules with negspaCy and medspaCy: F1 and tokens per second."""
    gold = read_gold(catalog, negex)
    timed = read_timed(catalog)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        python = environment(reuse or folder / "venv")
        for source, notes in gold.items():
            write(notes, LAYERS[source], folder / f"{source.value}.gold.jsonl")
        write(timed, LAYERS[Source.mtsamples], folder / "speed.jsonl")
        workers, left_out = start_all(stack, python, folder)
        seconds = take_turns(workers, repetitions)
        scores = {source: score(notes, source, workers, folder) for source, notes in gold.items()}
    tokenizer = spacy.blank("en").tokenizer
    n_tokens = sum(len(tokenizer(text)) for text, _ in timed)
    speeds = {system: tokens_per_second(n_tokens, passes) for system, passes in seconds.items()}
    results = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {system: worker.versions for system, worker in workers.items()},
        "left_out": left_out,
        "scores": {TITLES[source]: by_system for source, by_system in scores.items()},
        "speed": {
            "notes": len(timed),
            "entities": sum(len(mentions) for _, mentions in timed),
            "tokens": n_tokens,
            "tokens_per_second": {system: speed._asdict() for system, speed in speeds.items()},
            "seconds": seconds,
        },
    }
    with written_whole(out) as path:
        srsly.write_json(path, results)
    show(scores, speeds, workers)
    for reason in left_out.values():
        typer.secho(f"⚠ left out: {reason}", fg="yellow", err=True)
    typer.echo(f"✔ {out}")


def read_gold(catalog: Path, negex: Path) -> dict[Source, Notes]:
    """The gold spans of every source; one that is missing raises `ClinnerError`."""
    if not negex.is_file():
        raise ClinnerError(
            f"{negex}: missing. Place the NegEx set there, or name it with --negex: a TSV file "
            "with the columns concept, sentence and negation, from github.com/chapmanbe/negex."
        )
    gold = {Source.negex: list(negation.read_negex(negex))}
    for source in (Source.mtsamples, Source.maccrobat):
        try:
            gold[source] = list(read(source, "test", catalog))
        except ClinnerError as error:
            raise ClinnerError(f"{error} To fetch the corpora: `spacy project assets`.") from None
    return gold


def read_timed(catalog: Path) -> Notes:
    """All MTSamples notes with their gold entities: what the negation components are timed on."""
    corpus = find_corpus(Source.mtsamples.value, catalog)
    return [(note.text, negation.linked_negation(note)) for _, note in read_splits(corpus)]


def write(notes: Notes, layer: str, path: Path) -> None:
    rows = (
        {"text": text, "spans": [[m.start, m.end, m.label, layer] for m in mentions]}
        for text, mentions in notes
    )
    srsly.write_jsonl(path, rows)


def environment(folder: Path) -> Path:
    """The Python of a virtual environment with the peers, made unless it is there.

    folder (Path): The environment.
    RETURNS (Path): Its interpreter; medspaCy may lack there.
    RAISES (ClinnerError): negspaCy cannot be installed.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if python.is_file() and _call(python, "-c", "import negspacy") is None:
        return python
    typer.echo(f"Installing negspaCy and medspaCy into {folder}", err=True)
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    install = ("-m", "pip", "install", "--quiet")
    failed = _call(python, *install, f"spacy=={version('spacy')}", "negspacy")
    if failed is not None:
        raise ClinnerError(f"negspaCy does not install; is the package index in reach? {failed}")
    for packages in (CONTEXT_NEEDS, ("--no-deps", *CONTEXT)):
        failed = _call(python, *install, *packages)
        if failed is not None:
            typer.secho(f"⚠ medspaCy does not install: {failed}", fg="yellow", err=True)
            break
    return python


def _call(python: Path, *arguments: str) -> str | None:
    """RETURNS (str | None): The end of the error output when Python fails."""
    done = subprocess.run([python, *arguments], capture_output=True, text=True, check=False)
    return done.stderr[-1000:] if done.returncode else None


def start_all(
    stack: ExitStack, python: Path, folder: Path
) -> tuple[dict[str, Worker], dict[str, str]]:
    """Run every system over the gold spans.

    stack (ExitStack): Ends the systems' processes.
    python (Path): The peers' interpreter.
    folder (Path): Where the spans are and the verdicts go.
    RETURNS (tuple[dict[str, Worker], dict[str, str]]): The running systems, and those left out
        with the reason.
    RAISES (ClinnerError): clinner or negspaCy fails.
    """
    workers: dict[str, Worker] = {}
    left_out: dict[str, str] = {}
    for system, title in SYSTEMS.items():
        typer.echo(f"Running {title}", err=True)
        interpreter = Path(sys.executable) if system == "clinner" else python
        try:
            workers[system] = stack.enter_context(started(system, interpreter, folder))
        except ClinnerError as error:
            if system != "medspacy":
                raise
            left_out[system] = str(error)
    return workers, left_out


@contextmanager
def started(system: str, python: Path, folder: Path) -> Iterator[Worker]:
    """A system's process, ready to be timed; it has written its verdicts into the folder.

    RAISES (ClinnerError): It fails; the message holds the end of its error output.
    """
    log = folder / f"{system}.log"
    with log.open("w", encoding="utf8") as errors:
        process = subprocess.Popen(
            [python, WORKER, system, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | ONE_THREAD,
            encoding="utf8",
        )
        with process:
            assert process.stdout is not None
            try:
                ready = process.stdout.readline()
                if not ready:
                    process.wait()
                    tail = log.read_text(encoding="utf8", errors="replace").strip()[-1000:]
                    raise ClinnerError(f"{SYSTEMS[system]} does not run: {tail}")
                yield Worker(process, json.loads(ready))
            finally:
                process.kill()


def take_turns(workers: Mapping[str, Worker], repetitions: int) -> dict[str, list[float]]:
    """Seconds per pass of every system; each round starts with another one."""
    seconds: dict[str, list[float]] = {system: [] for system in workers}
    systems = list(workers)
    for i in range(repetitions):
        first = i % len(systems)
        for system in systems[first:] + systems[:first]:
            seconds[system].append(workers[system].seconds())
    return seconds


def score(
    notes: Notes, source: Source, systems: Iterable[str], folder: Path
) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of "negated" by system, over the spans of one source.

    RAISES (ValueError): A system has more or fewer verdicts than there are spans.
    """
    scores = {}
    gold = [mention.negated for _, mentions in notes for mention in mentions]
    for system in systems:
        rows = srsly.read_jsonl(folder / f"{system}.{source.value}.jsonl")
        verdicts = [verdict for row in rows for verdict in row]
        found = flag_scores(zip(gold, verdicts, strict=True))
        scores[system] = {
            "f": found["f"],
            "p": found["p"],
            "r": found["r"],
            "negated": found["gold"],
            "spans": len(gold),
        }
    return scores


def tokens_per_second(n_tokens: int, seconds: Sequence[float]) -> Speed:
    """Speed from the passes of one system."""
    return Speed(
        n_tokens / statistics.median(seconds), n_tokens / max(seconds), n_tokens / min(seconds)
    )


def show(
    scores: Mapping[Source, Mapping[str, Mapping[str, float]]],
    speeds: Mapping[str, Speed],
    workers: Mapping[str, Worker],
) -> None:
    """One table: a row per gold set and one for speed, a column per system."""
    table = Table(title="Negation by rules: F1 (P, R) in %, and speed: median (range)")
    table.add_column("")
    for system, worker in workers.items():
        package = next(iter(worker.versions))
        table.add_column(f"{SYSTEMS[system]}\n{worker.versions[package]}", justify="right")
    for source, by_system in scores.items():
        counts = by_system["clinner"]
        size = f"{TITLES[source]}\n{counts['negated']:,} of {counts['spans']:,} negated"
        cells = (
            f"{100 * s['f']:.1f}\n({100 * s['p']:.1f}, {100 * s['r']:.1f})"
            for s in by_system.values()
        )
        table.add_row(size, *cells)
    table.add_section()
    thousands = (
        f"{s.median / 1e3:.0f}k\n({s.low / 1e3:.0f}–{s.high / 1e3:.0f}k)" for s in speeds.values()
    )
    table.add_row("tokens per second", *thousands)
    Console().print(table)


if __name__ == "__main__":
    run(main)
