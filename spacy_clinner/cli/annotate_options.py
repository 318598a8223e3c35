"""The arguments and options of `clinner annotate`, as typer reads them."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(help="An installed pipeline, or its folder")]
Source = Annotated[
    str,
    typer.Argument(
        help="Notes: a .parquet, .csv, .tsv or .jsonl file (the last three also .gz or .zst), "
        "a folder or a glob of them, a folder of .txt files, or the URL of a database"
    ),
]
Out = Annotated[str | None, typer.Argument(help="The folder to write; none with --to")]
To = Annotated[str | None, typer.Option(help="The URL of a database to write to")]
Query = Annotated[str | None, typer.Option(help="What to read from a database, as SQL")]
TableName = Annotated[str | None, typer.Option(help="The table to read from a database")]
Id = Annotated[str, typer.Option(help="The column of ids")]
Text = Annotated[str, typer.Option(help="The column of texts")]
Keep = Annotated[
    list[str] | None, typer.Option(help="A column to pass through; may be given often")
]
FormatName = Annotated[
    str, typer.Option(help="What is written: tables, omop (NOTE_NLP) or fhir (Bundles)")
]
FileKind = Annotated[str | None, typer.Option(help="As parquet, jsonl or csv")]
CodesPath = Annotated[Path | None, typer.Option(help="CSV of codes of terms: omop, fhir")]
SectionsPath = Annotated[Path | None, typer.Option(help="CSV of concepts of sections: omop")]
Possible = Annotated[
    str | None, typer.Option(help="term_exists of what is possible, Y (as a rule) or N: omop")
]
Patient = Annotated[str | None, typer.Option(help="The column of patients: fhir")]
Layers = Annotated[str | None, typer.Option(help="Layers to take, as clinical,bc5cdr")]
Threshold = Annotated[float | None, typer.Option(help="The least confidence", min=0, max=1)]
Only = Annotated[str | None, typer.Option(help="Labels to take, as problem,drug")]
NoText = Annotated[bool, typer.Option("--no-text", help="Offsets, but no words")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        help="Which entities are kept (assertion=present), or which notes read (year>=2020); "
        "may be given often"
    ),
]
PieceSize = Annotated[int, typer.Option(help="Notes that are written at once", min=1)]
EngineName = Annotated[str, typer.Option(help="local or ray")]
Processes = Annotated[int, typer.Option(help="Processes or actors; 0 for what is fastest", min=0)]
Threads = Annotated[int, typer.Option(help="Threads of each; 0 to share the cores", min=0)]
Address = Annotated[str | None, typer.Option(help="The cluster, for ray")]
GpuId = Annotated[int, typer.Option(help="-1 for the CPU")]
ProcessedAt = Annotated[
    datetime | None, typer.Option(help="What `processed_at` says, in UTC; now as a rule")
]
