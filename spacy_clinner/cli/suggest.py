from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli.progress import bar


def command(
    model: Annotated[str, typer.Argument(help="An installed pipeline, or its folder")],
    source: Annotated[str, typer.Argument(help="Notes, as `clinner annotate` takes them")],
    out: Annotated[Path, typer.Argument(help="The folder to write")],
    tool: Annotated[
        str,
        typer.Option("--to", help="label-studio, prodigy, doccano, brat, inception or jsonl"),
    ],
    count: Annotated[int, typer.Option(help="How many notes to choose", min=1)] = 50,
    by: Annotated[str, typer.Option(help="uncertainty, diversity or random")] = "uncertainty",
    layer: Annotated[
        list[str] | None,
        typer.Option(help="A layer to suggest; may be given often; by default the entities'"),
    ] = None,
    pool: Annotated[
        int, typer.Option(help="How many notes to choose among, drawn by chance", min=1)
    ] = 2000,
    query: Annotated[str | None, typer.Option(help="What to read from a database, as SQL")] = None,
    table: Annotated[str | None, typer.Option(help="The table to read from a database")] = None,
    id: Annotated[str, typer.Option(help="The column of ids")] = "note_id",
    text: Annotated[str, typer.Option(help="The column of texts")] = "text",
    seed: Annotated[int, typer.Option(help="Decides what is drawn by chance")] = 0,
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Choose the notes of SOURCE from which MODEL would learn most, and write what it finds in them
    to OUT, to be corrected in a tool for annotation."""
    from spacy_clinner.cli.annotate import database_options
    from spacy_clinner.tables.sources import open_source
    from spacy_clinner.tables.sources.source import Request
    from spacy_clinner.training.preparation import use_gpu
    from spacy_clinner.training.suggesting import suggest

    use_gpu(gpu_id)
    options = database_options(source, query, table)
    notes = open_source(Request(source, id, text, options=options))

    def rows() -> Iterator[tuple[str, str]]:
        for batch in notes.batches():
            columns = (batch.column(name).to_pylist() for name in (id, text))
            for name, note in zip(*columns, strict=True):
                # Rows that cannot be read have no text.
                if name is not None and note:
                    yield str(name), str(note)

    found = suggest(
        model,
        rows(),
        out,
        tool,
        count=count,
        by=by,
        layers=layer or (),
        pool=pool,
        seed=seed,
        progress=bar,
    )
    spans = sum(len(suggestion.note.spans) for suggestion in found)
    files = ", ".join(sorted(path.name for path in out.iterdir()))
    typer.echo(f"✔ {out}: {len(found)} notes with {spans:,} spans; {files}")
