"""Convert a corpus of the catalog to DocBin, with its loss report."""

from pathlib import Path
from typing import Annotated

import spacy
import typer
from rich.console import Console
from rich.table import Table

from spacy_clinner.cli import run
from spacy_clinner.corpora.catalog import SPLITS, find_corpus
from spacy_clinner.corpora.docbin import Conversion, convert
from spacy_clinner.errors import ClinnerError


def main(
    corpus: Annotated[str, typer.Argument(help="Name in the catalog")],
    catalog: Annotated[Path, typer.Option(help="The catalog")] = Path("configs/corpora.toml"),
    out: Annotated[Path, typer.Option(help="Folder that gets a folder per corpus")] = Path(
        "corpus"
    ),
    strict: Annotated[
        bool, typer.Option(help="Any loss is an error: only losses.jsonl is written")
    ] = False,
) -> None:
    """Convert CORPUS and print what was kept and what was not."""
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    folder = out / corpus
    done = convert(find_corpus(corpus, catalog), nlp, folder, strict)
    show(corpus, done)
    if strict and done.losses:
        raise ClinnerError(
            f"{len(done.losses)} losses; each is a line of {folder}/losses.jsonl, and nothing else "
            f"was written. Correct the corpus, or convert without --strict."
        )


def show(name: str, done: Conversion) -> None:
    console = Console()
    table = Table(title=f"{name}: what was kept")
    table.add_column("split")
    layers = sorted({key.split("/")[0] for spans in done.spans.values() for key in spans})
    for column in ("notes", "tokens", *(f"{layer} spans" for layer in layers), "relations"):
        table.add_column(column, justify="right")
    for split in SPLITS:
        by_layer = [
            sum(n for key, n in done.spans[split].items() if key.startswith(f"{layer}/"))
            for layer in layers
        ]
        counts = (done.notes[split], done.tokens[split], *by_layer, done.relations[split])
        table.add_row(split, *(f"{count:,}" for count in counts))
    console.print(table)
    losses = Table(title=f"{name}: what could not be kept exactly, of {done.gold_spans:,} spans")
    losses.add_column("reason")
    losses.add_column("count", justify="right")
    losses.add_column("of spans", justify="right")
    for reason, count in done.losses_by_reason().items():
        losses.add_row(reason, f"{count:,}", f"{count / max(1, done.gold_spans):.3%}")
    console.print(losses if done.losses else "No losses.")
    if done.left_out_by_view:
        console.print(f"{done.left_out_by_view:,} spans left out by the view or the scheme.")
    console.print(
        f"{sum(done.relations.values()):,} of {done.gold_relations:,} relations kept; "
        f"{done.illegal_relations():,} are of pairs that the schemes do not allow."
    )


if __name__ == "__main__":
    run(main)
