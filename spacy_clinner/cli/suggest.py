from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spacy_clinner.cli.progress import bar
from spacy_clinner.errors import ClinnerError

if TYPE_CHECKING:
    from spacy_clinner.corpora.unlabelled import Known
    from spacy_clinner.tables.pieces import Pieces

ROWS_AT_ONCE = 1000
# So many kinds of faults are told of.
FAULTS = 5
# Where a fault is, which is another place in each note.
WHERE = re.compile(r" (\(byte .*\)|in line \d+ of .*)$")


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
    exclude: Annotated[
        list[Path] | None,
        typer.Option(help="A file whose texts are left out, such as what was suggested before"),
    ] = None,
    query: Annotated[str | None, typer.Option(help="What to read from a database, as SQL")] = None,
    table: Annotated[str | None, typer.Option(help="The table to read from a database")] = None,
    id: Annotated[str, typer.Option(help="The column of ids")] = "note_id",
    text: Annotated[str, typer.Option(help="The column of texts")] = "text",
    once: Annotated[
        bool, typer.Option("--once", help="Where OUT holds suggestions, leave them as they are")
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides what is drawn by chance")] = 0,
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Choose the notes of SOURCE from which MODEL would learn most, and write what it finds in them
    to OUT, to be corrected in a tool for annotation."""
    from spacy_clinner.cli.annotate import database_options
    from spacy_clinner.corpora.suggestion_files import SUGGESTED
    from spacy_clinner.corpora.unlabelled import Known
    from spacy_clinner.tables.pieces import Pieces
    from spacy_clinner.tables.sources import open_source
    from spacy_clinner.tables.sources.source import Request
    from spacy_clinner.training.preparation import use_gpu
    from spacy_clinner.training.suggesting import suggest

    if once and (out / SUGGESTED).is_file():
        typer.echo(f"ℹ {out}: was suggested before. Delete it to have notes chosen anew.")
        return
    use_gpu(gpu_id)
    request = Request(source, id, text, options=database_options(source, query, table))
    pieces = Pieces(open_source(request), request, ROWS_AT_ONCE)
    notes = Notes(pieces, Known.of(exclude or ()))
    found = suggest(
        model, notes, out, tool, count=count, by=by, layers=layer or (), pool=pool, seed=seed,
        progress=bar,
    )  # fmt: skip
    spans = sum(len(suggestion.note.spans) for suggestion in found)
    files = ", ".join(sorted(path.name for path in out.iterdir()))
    if notes.left_out:
        typer.echo(f"⚠ left out, {notes.told}: clinner annotate tells which.")
    typer.echo(f"✔ {out}: {len(found)} notes with {spans:,} spans; {files}")


@dataclass
class Notes:
    """The ids and texts of those notes that have both.

    pieces (Pieces): All notes.
    known (Known): Texts that are left out.
    left_out (Counter[str]): By fault, how many of those that were read have not.
    """

    pieces: Pieces
    known: Known
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def told(self) -> str:
        """How many were left out and why, by the most frequent faults."""
        faults = [f"{n:,} ({fault})" for fault, n in self.left_out.most_common(FAULTS)]
        rest = self.left_out.total() - sum(n for _, n in self.left_out.most_common(FAULTS))
        return ", ".join([*faults, f"{rest:,} for other reasons"] if rest else faults)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """YIELDS (tuple[str, str]): Id and text. The same id may come again.
        RAISES (ClinnerError): There are notes, and all are left out.
        """
        from spacy_clinner.tables.annotate import as_strings, texts_and_faults
        from spacy_clinner.tables.pieces import TWICE

        some = False
        request = self.pieces.request
        for piece in self.pieces:
            ids = as_strings(piece.notes.column(request.id)).to_pylist()
            texts, unread = texts_and_faults(piece.notes.column(request.text))
            for name, note, *faults in zip(ids, texts, piece.faults, unread, strict=True):
                # Whoever has several notes may be their id.
                fault = next((fault for fault in faults if fault not in (None, TWICE)), None)
                if fault is None and note and note in self.known:
                    fault = "excluded"
                if fault is None and note is not None and note.strip():
                    some = True
                    yield name, note
                else:
                    told = fault or ("no text" if note is None else "an empty text")
                    self.left_out[WHERE.sub("", told)] += 1
        if self.left_out and not some:
            raise ClinnerError(f"no note is left to suggest anything for: {self.told}.")
