from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spacy_clinner.cli.progress import bar

if TYPE_CHECKING:
    from spacy_clinner.tables.pieces import Pieces

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
    from spacy_clinner.tables.pieces import Pieces
    from spacy_clinner.tables.sources import open_source
    from spacy_clinner.tables.sources.source import Request
    from spacy_clinner.training.preparation import use_gpu
    from spacy_clinner.training.suggesting import suggest

    use_gpu(gpu_id)
    request = Request(source, id, text, options=database_options(source, query, table))
    pieces = Pieces(open_source(request), request, ROWS_AT_ONCE)
    notes = Notes(pieces)
    found = suggest(
        model, notes, out, tool, count=count, by=by, layers=layer or (), pool=pool, seed=seed,
        progress=bar,
    )  # fmt: skip
    spans = sum(len(suggestion.note.spans) for suggestion in found)
    files = ", ".join(sorted(path.name for path in out.iterdir()))
    if notes.left_out:
        typer.echo(
            f"⚠ {notes.left_out:,} notes have no id of their own or no text to read, and were left "
            f"out: clinner annotate tells which."
        )
    typer.echo(f"✔ {out}: {len(found)} notes with {spans:,} spans; {files}")


@dataclass
class Notes:
    """The ids and texts of those notes that have both.

    pieces (Pieces): All notes.
    left_out (int): How many of those that were read have not.
    """

    pieces: Pieces
    left_out: int = 0

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """YIELDS (tuple[str, str]): Id and text."""
        from spacy_clinner.tables.annotate import as_strings, texts_of

        request = self.pieces.request
        for piece in self.pieces:
            ids = as_strings(piece.notes.column(request.id)).to_pylist()
            texts = texts_of(piece.notes.column(request.text))
            for name, note, fault in zip(ids, texts, piece.faults, strict=True):
                if note is None or not note.strip() or fault is not None:
                    self.left_out += 1
                else:
                    yield name, note
