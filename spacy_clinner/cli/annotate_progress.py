"""How far `clinner annotate` is, as a bar on a terminal or a line a minute; and what it did."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from spacy_clinner.cli.progress import plain_console
from spacy_clinner.errors import ClinnerError

try:
    from spacy_clinner.tables.database_urls import without_password
    from spacy_clinner.tables.runs import Total
    from spacy_clinner.tables.sources.source import Source
except ModuleNotFoundError as error:
    if error.name != "pyarrow":
        raise
    raise ClinnerError(
        'clinner annotate needs pyarrow. Install it with: pip install "spacy-clinner[tables]"'
    ) from None

SECONDS_BETWEEN_LINES = 60
# Gets the rows that are done and the words per second.
Say = Callable[[int, float], None]


@dataclass(frozen=True)
class Done:
    """What a run did.

    total (Total): Notes, entities and words, those of earlier turns included.
    seconds (float), words (int): The time that this turn took, and what it read.
    """

    total: Total
    seconds: float
    words: int

    @property
    def speed(self) -> float:
        """Words per second of this turn."""
        return self.words / self.seconds if self.seconds else 0.0


def follow(totals: Iterator[Total], notes: Source) -> Done:
    """Do a run, and show how far it is.

    totals (Iterator[Total]): The run.
    notes (Source): Tells how many there are.
    RETURNS (Done): What was done.
    """
    total = next(totals)
    words, rows, began = total.words, total.rows, time.monotonic()
    done = Done(total, 0.0, 0)
    with (_bar if sys.stderr.isatty() else _lines)(notes.count(), rows) as say:
        for total in totals:
            done = Done(total, time.monotonic() - began, total.words - words)
            say(total.rows, done.speed)
    return done


@contextmanager
def _bar(rows: int | None, done: int) -> Iterator[Say]:
    columns = (
        TextColumn("Annotating"), BarColumn(), MofNCompleteColumn(), TextColumn("notes,"),
        TextColumn("{task.fields[speed]:,.0f} words/s,"), TimeElapsedColumn(),
        TextColumn("gone,"), TimeRemainingColumn(), TextColumn("left"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=rows, completed=done, speed=0.0)
        yield lambda now, speed: progress.update(task, completed=now, speed=speed)


@contextmanager
def _lines(rows: int | None, done: int) -> Iterator[Say]:
    began = said = time.monotonic()

    def say(now: int, speed: float) -> None:
        nonlocal said
        if time.monotonic() - said < SECONDS_BETWEEN_LINES:
            return
        said = time.monotonic()
        line = f"{now:,} notes, {speed:,.0f} words/s"
        if rows is not None and now > done:
            left = (rows - now) * (said - began) / (now - done)
            line = f"{now:,} of {rows:,} notes, {speed:,.0f} words/s, {left / 60:,.0f} min left"
        typer.echo(line, err=True)

    yield say


def show(done: Done, asked: Sequence[str], target: str) -> None:
    """Print notes by status, entities by label and words per second.

    done (Done): What was done.
    asked (Sequence[str]): Layers and labels that were asked for; a line says which was not found.
    target (str): Where it was written to.
    """
    total = done.total
    table = Table(title="Notes and entities")
    table.add_column("")
    table.add_column("count", justify="right")
    for status, count in sorted(total.notes.items()):
        table.add_row(f"notes {status}", f"{count:,}")
    table.add_section()
    for label, count in sorted(total.entities.items()):
        table.add_row(label, f"{count:,}")
    table.add_section()
    table.add_row("words", f"{total.words:,}")
    if done.words:
        table.add_row("words per second", f"{done.speed:,.0f}")
    plain_console().print(table)
    found = {part.lower() for label in total.entities for part in label.split("/", 1)}
    for name in asked:
        if name.lower() not in found:
            typer.echo(f"⚠ nothing was found of {name}: is it a layer or label of the model?")
    typer.echo(f"✔ {without_password(target)}")
