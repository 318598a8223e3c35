from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from spacy_clinner.cli.messages import one_message
from spacy_clinner.errors import ClinnerError

if TYPE_CHECKING:
    from spacy_clinner.tables.conditions import Condition

SOME_FAILED, COULD_NOT_RUN = 1, 2


def command(
    model: Annotated[str, typer.Argument(help="An installed pipeline, or its folder")],
    source: Annotated[
        str,
        typer.Argument(
            help="Notes: a .parquet, .csv, .tsv or .jsonl file (the last three also .gz or .zst), "
            "a folder or a glob of them, or a folder of .txt files"
        ),
    ],
    out: Annotated[str, typer.Argument(help="The folder to write")],
    id: Annotated[str, typer.Option(help="The column of ids")] = "note_id",
    text: Annotated[str, typer.Option(help="The column of texts")] = "text",
    keep: Annotated[
        list[str] | None, typer.Option(help="A column to pass through; may be given often")
    ] = None,
    format: Annotated[str, typer.Option(help="What is written: tables")] = "tables",
    files: Annotated[str, typer.Option(help="As parquet, jsonl or csv")] = "parquet",
    layers: Annotated[str | None, typer.Option(help="Layers to take, as clinical,bc5cdr")] = None,
    threshold: Annotated[float | None, typer.Option(help="The least confidence")] = None,
    only: Annotated[str | None, typer.Option(help="Labels to take, as problem,drug")] = None,
    no_text: Annotated[bool, typer.Option("--no-text", help="Offsets, but no words")] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Which entities are kept (assertion=present), or which notes read (year>=2020); "
            "may be given often"
        ),
    ] = None,
    piece: Annotated[int, typer.Option(help="Notes that are written at once", min=1)] = 1000,
    engine: Annotated[str, typer.Option(help="local or ray")] = "local",
    processes: Annotated[
        int, typer.Option(help="Processes or actors; 0 for what is fastest", min=0)
    ] = 0,
    threads: Annotated[int, typer.Option(help="Threads of each; 0 to share the cores", min=0)] = 0,
    address: Annotated[str | None, typer.Option(help="The cluster, for ray")] = None,
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
    processed_at: Annotated[
        datetime | None, typer.Option(help="What `processed_at` says, in UTC; now as a rule")
    ] = None,
) -> None:
    """Find what MODEL finds in the notes of SOURCE, and write it to OUT as tables.

    The same command goes on with a run that was cut off. Exit code 0: all is done; 1: some notes
    failed, and the table `notes` says why; 2: it could not run.
    """
    with one_message(COULD_NOT_RUN):
        from spacy_clinner.cli import annotate_progress as display
        from spacy_clinner.tables.engines.power import Power
        from spacy_clinner.tables.pieces import Pieces
        from spacy_clinner.tables.runs import run
        from spacy_clinner.tables.sinks import open_sink
        from spacy_clinner.tables.sources import open_source
        from spacy_clinner.tables.sources.source import Request
        from spacy_clinner.tables.worker import Job

        check_names(engine, format, files)
        of_notes, of_entities = read_conditions(where or ())
        kept = tuple(name for value in keep or () for name in listed(value) or ())
        request = Request(source, id, text, (*kept, *(c.column for c in of_notes)))
        notes = open_source(request)
        for condition in of_notes:
            condition.check(notes.schema)
        job = Job(
            model, id, text, listed(layers), threshold, listed(only), no_text, of_entities, format,
            gpu_id=gpu_id, processed_at=processed_at and processed_at.replace(tzinfo=UTC),
        )  # fmt: skip
        pieces = Pieces(notes, request, piece, of_notes, kept)
        sink = open_sink(out, files)
        try:
            power = Power(processes, threads, address)
            done = display.follow(run(pieces, sink, job, engine=engine, power=power), notes)
        finally:
            sink.close()
        display.show(done, [*(listed(layers) or ()), *(listed(only) or ())])
        typer.echo(f"✔ {out}")
    if done.total.notes["failed"]:
        sys.exit(SOME_FAILED)


def listed(value: str | None) -> tuple[str, ...] | None:
    """RETURNS (tuple[str, ...] | None): Names that a comma stands between."""
    if value is None:
        return None
    return tuple(name.strip() for name in value.split(",") if name.strip())


def read_conditions(
    written: Iterable[str],
) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """RETURNS (tuple): Conditions of notes, and those of entities."""
    from spacy_clinner.tables.conditions import read_condition

    found = [read_condition(condition) for condition in written]
    return tuple(c for c in found if c.of_notes), tuple(c for c in found if not c.of_notes)


def check_names(engine: str, format: str, files: str) -> None:
    """RAISES (ClinnerError): There is no engine, format or kind of files of that name."""
    from spacy_clinner.tables.engines import ENGINES
    from spacy_clinner.tables.sinks.file_kinds import FILE_KINDS
    from spacy_clinner.tables.table_formats import FORMATS

    choices: list[tuple[str, str, Sequence[str]]] = [
        ("--engine", engine, list(ENGINES)),
        ("--format", format, list(FORMATS)),
        ("--files", files, list(FILE_KINDS)),
    ]
    for option, value, known in choices:
        if value not in known:
            raise ClinnerError(f"{option} {value!r}: unknown. Known: {', '.join(known)}.")
