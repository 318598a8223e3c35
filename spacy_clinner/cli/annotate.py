from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spacy_clinner.cli.messages import one_message
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import only_for_user

if TYPE_CHECKING:
    from spacy_clinner.tables.conditions import Condition

SOME_FAILED, COULD_NOT_RUN = 1, 2


def command(
    model: Annotated[str, typer.Argument(help="An installed pipeline, or its folder")],
    source: Annotated[
        str,
        typer.Argument(
            help="Notes: a .parquet, .csv, .tsv or .jsonl file (the last three also .gz or .zst), "
            "a folder or a glob of them, a folder of .txt files, or the URL of a database"
        ),
    ],
    out: Annotated[str | None, typer.Argument(help="The folder to write; none with --to")] = None,
    to: Annotated[str | None, typer.Option(help="The URL of a database to write to")] = None,
    query: Annotated[str | None, typer.Option(help="What to read from a database, as SQL")] = None,
    table: Annotated[str | None, typer.Option(help="The table to read from a database")] = None,
    id: Annotated[str, typer.Option(help="The column of ids")] = "note_id",
    text: Annotated[str, typer.Option(help="The column of texts")] = "text",
    keep: Annotated[
        list[str] | None, typer.Option(help="A column to pass through; may be given often")
    ] = None,
    format: Annotated[
        str, typer.Option(help="What is written: tables, omop (NOTE_NLP) or fhir (Bundles)")
    ] = "tables",
    files: Annotated[str | None, typer.Option(help="As parquet, jsonl or csv")] = None,
    codes: Annotated[Path | None, typer.Option(help="CSV of codes of terms: omop, fhir")] = None,
    sections: Annotated[Path | None, typer.Option(help="CSV of concepts of sections: omop")] = None,
    possible: Annotated[
        str | None, typer.Option(help="term_exists of what is possible, Y (as a rule) or N: omop")
    ] = None,
    patient: Annotated[str | None, typer.Option(help="The column of patients: fhir")] = None,
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
    # Databases in files make files of their own, of which some come and go.
    with one_message(COULD_NOT_RUN), only_for_user():
        from spacy_clinner.cli import annotate_progress as display
        from spacy_clinner.tables.database_urls import without_password
        from spacy_clinner.tables.engines.power import Power
        from spacy_clinner.tables.pieces import Pieces
        from spacy_clinner.tables.runs import run
        from spacy_clinner.tables.sinks import open_sink
        from spacy_clinner.tables.sources import open_source
        from spacy_clinner.tables.sources.source import Request
        from spacy_clinner.tables.standards import options_of
        from spacy_clinner.tables.table_formats import FORMATS
        from spacy_clinner.tables.worker import Job

        files = check_names(engine, format, files)
        target = target_of(out, to)
        options = options_of(
            format, codes=codes, sections=sections, possible=possible, patient=patient,
            no_text=no_text,
        )  # fmt: skip
        of_notes, of_entities = read_conditions(where or ())
        kept = tuple(name for value in keep or () for name in listed(value) or ())
        kept += (patient,) if patient and patient not in kept else ()
        columns = (*kept, *(c.column for c in of_notes))
        request = Request(source, id, text, columns, database_options(source, query, table))
        notes = open_source(request)
        for condition in of_notes:
            condition.check(notes.schema)
        job = Job(
            model, id, text, listed(layers) or FORMATS[format].layers, threshold, listed(only),
            no_text, of_entities, format, options, gpu_id=gpu_id,
            processed_at=processed_at and processed_at.replace(tzinfo=UTC),
        )  # fmt: skip
        pieces = Pieces(notes, request, piece, of_notes, kept)
        sink = open_sink(target, files)
        try:
            power = Power(processes, threads, address)
            done = display.follow(run(pieces, sink, job, engine=engine, power=power), notes)
        finally:
            sink.close()
        display.show(done, [*(listed(layers) or ()), *(listed(only) or ())])
        typer.echo(f"✔ {without_password(target)}")
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


def check_names(engine: str, format: str, files: str | None) -> str:
    """RETURNS (str): The kind of files.
    RAISES (ClinnerError): There is no engine, format or kind of files of that name."""
    from spacy_clinner.tables.engines import ENGINES
    from spacy_clinner.tables.sinks.file_kinds import FILE_KINDS
    from spacy_clinner.tables.table_formats import FORMATS

    choices: list[tuple[str, str | None, Sequence[str]]] = [
        ("--engine", engine, list(ENGINES)),
        ("--format", format, list(FORMATS)),
        ("--files", files, list(FILE_KINDS)),
    ]
    for option, value, known in choices:
        if value is not None and value not in known:
            raise ClinnerError(f"{option} {value!r}: unknown. Known: {', '.join(known)}.")
    only = FORMATS[format].files
    if only and files not in (None, only):
        raise ClinnerError(f"--files {files}: --format {format} is written as {only} only.")
    return only or files or "parquet"


def target_of(out: str | None, to: str | None) -> str:
    """RETURNS (str): Where to write.
    RAISES (ClinnerError): It is not one place, or no database."""
    from spacy_clinner.tables.database_urls import is_database

    if (out is None) == (to is None):
        raise ClinnerError("Name where to write: a folder OUT, or a database by --to URL.")
    if to is not None and not is_database(to):
        raise ClinnerError(f"--to {to}: no URL of a database, such as sqlite:///findings.sqlite.")
    return str(out if to is None else to)


def database_options(source: str, query: str | None, table: str | None) -> dict[str, str]:
    """RETURNS (dict[str, str]): What to read from a database.
    RAISES (ClinnerError): The source is none."""
    from spacy_clinner.tables.database_urls import is_database

    given = {"query": query, "table": table}
    found = {name: value for name, value in given.items() if value is not None}
    if found and not is_database(source):
        raise ClinnerError(f"--{next(iter(found))} is for a database; {source} is a file.")
    return found
