from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli.progress import bar

ROWS_AT_ONCE = 1000


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
    from spacy_clinner.tables.annotate import as_strings, texts_of
    from spacy_clinner.tables.pieces import Pieces
    from spacy_clinner.tables.sources import open_source
    from spacy_clinner.tables.sources.source import Request
    from spacy_clinner.training.preparation import use_gpu
    from spacy_clinner.training.suggesting import suggest

    use_gpu(gpu_id)
    request = Request(source, id, text, options=database_options(source, query, table))
    pieces = Pieces(open_source(request), request, ROWS_AT_ONCE)
    left_out = 0

    def rows() -> Iterator[tuple[str, str]]:
        nonlocal left_out
        for piece in pieces:
            ids = as_strings(piece.notes.column(id)).to_pylist()
            texts = texts_of(piece.notes.column(text))
            for name, note, fault in zip(ids, texts, piece.faults, strict=True):
                if note is None or not note.strip() or fault is not None:
                    left_out += 1
                else:
                    yield name, note

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
    if left_out:
        typer.echo(
            f"⚠ {left_out:,} notes have no id of their own or no text to read, and were left out: "
            f"clinner annotate tells which."
        )
    typer.echo(f"✔ {out}: {len(found)} notes with {spans:,} spans; {files}")
