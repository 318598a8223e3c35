from __future__ import annotations

import csv
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

import typer

from spacy_clinner.cli import annotate_options as asked
from spacy_clinner.cli.messages import one_message
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import only_for_user

if TYPE_CHECKING:
    from datetime import datetime

    from spacy_clinner.cli.annotate_progress import Done
    from spacy_clinner.tables.conditions import Condition
    from spacy_clinner.tables.engines.power import Power
    from spacy_clinner.tables.pieces import Pieces
    from spacy_clinner.tables.sources.source import Request
    from spacy_clinner.tables.worker import Job

SOME_FAILED, COULD_NOT_RUN = 1, 2
WORDS = ("text", "cue_text")
FRAME = re.compile(r'\s*(File ".+", line \d+, in .+)')


def command(
    model: asked.Model,
    source: asked.Source,
    out: asked.Out = None,
    to: asked.To = None,
    query: asked.Query = None,
    table: asked.TableName = None,
    id: asked.Id = "note_id",
    text: asked.Text = "text",
    keep: asked.Keep = None,
    format: asked.FormatName = "tables",
    files: asked.FileKind = None,
    codes: asked.CodesPath = None,
    sections: asked.SectionsPath = None,
    possible: asked.Possible = None,
    patient: asked.Patient = None,
    layers: asked.Layers = None,
    threshold: asked.Threshold = None,
    only: asked.Only = None,
    no_text: asked.NoText = False,
    where: asked.Where = None,
    piece: asked.PieceSize = 1000,
    engine: asked.EngineName = "local",
    processes: asked.Processes = 0,
    threads: asked.Threads = 0,
    address: asked.Address = None,
    gpu_id: asked.GpuId = -1,
    processed_at: asked.ProcessedAt = None,
) -> None:
    """Find what MODEL finds in the notes of SOURCE, and write it to OUT as tables.

    The same command goes on with a run that was cut off. Exit code 0: all is done; 1: some notes
    failed, and the table of notes says why; 2: it could not run.
    """
    with could_not_run():
        from spacy_clinner.cli import annotate_progress as display
        from spacy_clinner.tables.engines.power import Power
        from spacy_clinner.tables.sources.source import Request
        from spacy_clinner.tables.standards import options_of
        from spacy_clinner.tables.table_formats import FORMATS
        from spacy_clinner.tables.worker import Job

        target, files = target_of(out, to, format, files)
        check_engine(engine, address)
        options = options_of(
            format, codes=codes, sections=sections, possible=possible, patient=patient,
            no_text=no_text,
        )  # fmt: skip
        of_notes, of_entities = read_conditions(where or (), no_text)
        kept = columns_of(keep or (), patient)
        chosen, labels = listed("--layers", layers), listed("--only", only)
        request = Request(source, id, text, kept, database_options(source, query, table))
        job = Job(
            model, id, text, chosen or FORMATS[format].layers, threshold, labels,
            no_text, of_entities, format, options, gpu_id, processed_at and utc(processed_at),
        )  # fmt: skip
        pieces = open_pieces(request, piece, of_notes, patient)
        done = annotate(pieces, job, target, files, engine, Power(processes, threads, address))
        display.show(done, [*(chosen or ()), *(labels or ())], target)
        sys.exit(SOME_FAILED if done.total.notes["failed"] else 0)


@contextmanager
def could_not_run() -> Iterator[None]:
    """Whatever is raised is told, and gives the exit code that says so, as 1 says that all is done.
    What is made in the block is its user's alone: databases in files make files of their own."""
    try:
        with one_message(COULD_NOT_RUN), only_for_user():
            yield
    except KeyboardInterrupt:
        typer.secho("✘ Stopped. The same command goes on where it was.", fg="red", err=True)
        sys.exit(COULD_NOT_RUN)
    # Of a bug, where it is, but not its message, which may quote a note.
    except Exception as error:
        lines = "".join(traceback.format_exception(error)).splitlines()
        frames = [found[1] for line in lines if (found := FRAME.fullmatch(line))]
        told = "\n".join((f"✘ {type(error).__name__}: a fault of this program, at", *frames))
        typer.secho(told, fg="red", err=True)
        sys.exit(COULD_NOT_RUN)


def open_pieces(
    request: Request, size: int, conditions: tuple[Condition, ...], patient: str | None
) -> Pieces:
    """RETURNS (Pieces): What is read, in pieces.
    RAISES (ClinnerError): It cannot be read, or a condition is of none of its columns."""
    from spacy_clinner.tables.pieces import Pieces
    from spacy_clinner.tables.sources import open_source

    check_apart({"--id": request.id, "--text": request.text, "--patient": patient})
    keep = request.keep
    request = replace(request, keep=(*keep, *(condition.column for condition in conditions)))
    notes = open_source(request)
    for condition in conditions:
        condition.check(notes.schema)
    return Pieces(notes, request, size, conditions, keep)


def annotate(pieces: Pieces, job: Job, target: str, files: str, engine: str, power: Power) -> Done:
    """RETURNS (Done): What was done, and shown meanwhile."""
    from spacy_clinner.cli import annotate_progress as display
    from spacy_clinner.tables.runs import run
    from spacy_clinner.tables.sinks import open_sink

    sink = open_sink(target, files)
    try:
        return display.follow(run(pieces, sink, job, engine=engine, power=power), pieces.source)
    finally:
        sink.close()


def utc(time: datetime) -> datetime:
    """RETURNS (datetime): The same, with its zone."""
    return time.replace(tzinfo=UTC)


def listed(option: str, value: str | None) -> tuple[str, ...] | None:
    """RETURNS (tuple[str, ...] | None): Names that a comma stands between; one with a comma stands
    in quotes.
    RAISES (ClinnerError): There is none."""
    if value is None:
        return None
    names = next(csv.reader([value], skipinitialspace=True), [])
    found = tuple(name.strip() for name in names if name.strip())
    if not found:
        raise ClinnerError(f"{option} {value!r} names nothing. Leave it out, or name some.")
    return found


def columns_of(keep: Iterable[str], patient: str | None) -> tuple[str, ...]:
    """RETURNS (tuple[str, ...]): The columns that are passed through."""
    kept = tuple(name for value in keep for name in listed("--keep", value) or ())
    return kept if patient is None or patient in kept else (*kept, patient)


def read_conditions(
    written: Iterable[str], no_text: bool
) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """RETURNS (tuple): Conditions of notes, and those of entities.
    RAISES (ClinnerError): One is no condition, or of words that are left out."""
    from spacy_clinner.tables.conditions import read_condition

    found = [read_condition(condition) for condition in written]
    of_entities = tuple(c for c in found if not c.of_notes)
    for name in {c.column for c in of_entities} & {*WORDS}:
        if no_text:
            raise ClinnerError(f"--where {name}: with --no-text there is none to compare.")
    return tuple(c for c in found if c.of_notes), of_entities


def check_engine(engine: str, address: str | None) -> None:
    """RAISES (ClinnerError): There is no such engine, or it has no address."""
    from spacy_clinner.tables.engines import ENGINES

    check_known("--engine", engine, list(ENGINES))
    if address is not None and engine == "local":
        raise ClinnerError("--address is for --engine ray.")


def check_apart(columns: Mapping[str, str | None]) -> None:
    """RAISES (ClinnerError): Two options name one column."""
    seen: dict[str, str] = {}
    for option, column in columns.items():
        if column is None:
            continue
        if column in seen:
            raise ClinnerError(
                f"{seen[column]} and {option} both name {column!r}. Name two columns."
            )
        seen[column] = option


def check_known(option: str, value: str | None, known: Sequence[str]) -> None:
    """RAISES (ClinnerError): A value is none of those that are known."""
    if value is not None and value not in known:
        raise ClinnerError(f"{option} {value!r}: unknown. Known: {', '.join(known)}.")


def target_of(out: str | None, to: str | None, format: str, files: str | None) -> tuple[str, str]:
    """RETURNS (tuple[str, str]): Where to write, and the kind of files.
    RAISES (ClinnerError): It is not one place, no database, or nothing of that kind is written."""
    from spacy_clinner.tables.database_urls import is_database, is_in_memory
    from spacy_clinner.tables.sinks.file_kinds import FILE_KINDS
    from spacy_clinner.tables.table_formats import FORMATS

    check_known("--format", format, list(FORMATS))
    check_known("--files", files, list(FILE_KINDS))
    only = FORMATS[format].files
    if only and files not in (None, only):
        raise ClinnerError(f"--files {files}: --format {format} is written as {only} only.")
    if (out is None) == (to is None):
        raise ClinnerError("Name where to write: a folder OUT, or a database by --to URL.")
    if to is not None and not is_database(to):
        raise ClinnerError(f"--to {to}: no URL of a database, such as sqlite:///findings.sqlite.")
    if to is not None and is_in_memory(to):
        raise ClinnerError(
            f"--to {to}: a database in memory, which ends with the command. Name a file, such as "
            f"sqlite:///findings.sqlite."
        )
    if to is not None and files is not None:
        raise ClinnerError("--files is for a folder OUT; a database has tables.")
    return str(out if to is None else to), only or files or "parquet"


def database_options(source: str, query: str | None, table: str | None) -> dict[str, str]:
    """RETURNS (dict[str, str]): What to read from a database.
    RAISES (ClinnerError): The source is none."""
    from spacy_clinner.tables.database_urls import is_database

    given = {"query": query, "table": table}
    found = {name: value for name, value in given.items() if value is not None}
    if found and not is_database(source):
        raise ClinnerError(f"--{next(iter(found))} is for a database; {source} is a file.")
    return found
