from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spacy_clinner.cli.progress import bar, plain_console
from spacy_clinner.errors import ClinnerError

if TYPE_CHECKING:
    from spacy_clinner.corpora.docbin import Conversion


def command(
    corpus: Annotated[str, typer.Argument(help="Name of the corpus in the catalog")],
    catalog: Annotated[
        Path, typer.Option(help="The catalog of corpora: their files, format and labels")
    ] = Path("configs/corpora.toml"),
    out: Annotated[Path, typer.Option(help="Folder that gets a folder per corpus")] = Path(
        "corpus"
    ),
    strict: Annotated[
        bool, typer.Option(help="Any loss is an error: only losses.jsonl is written")
    ] = False,
) -> None:
    """Convert an annotated CORPUS to spaCy's format; print what was kept and what was not."""
    import spacy

    from spacy_clinner.corpora.catalog import find_corpus
    from spacy_clinner.corpora.docbin import convert

    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    folder = out / corpus
    done = convert(find_corpus(corpus, catalog), nlp, folder, strict, progress=bar)
    show(corpus, done)
    if strict and done.losses:
        raise ClinnerError(
            f"{len(done.losses)} losses; each is a line of {folder}/losses.jsonl, and nothing else "
            f"was written. Correct the corpus, or convert without --strict."
        )


def show(name: str, done: Conversion) -> None:
    """Print what a conversion kept and lost."""
    from rich.table import Table

    from spacy_clinner.corpora.catalog import SPLITS
    from spacy_clinner.corpora.docbin import without_spans

    console = plain_console()
    table = Table(title=f"{name}: what was kept")
    table.add_column("")
    for split in SPLITS:
        table.add_column(split, justify="right")
    spans = {split: Counter[str]() for split in SPLITS}
    for split in SPLITS:
        for key, count in done.spans[split].items():
            spans[split][key.split("/")[0]] += count
    rows = {"notes": done.notes, "tokens": done.tokens}
    for layer in sorted(set().union(*done.annotated.values())):
        rows[f"{layer} spans"] = Counter({split: spans[split][layer] for split in SPLITS})
    for row, counts in {**rows, "relations": done.relations}.items():
        table.add_row(row, *(f"{counts[split]:,}" for split in SPLITS))
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
    counts = sum((done.annotated[split] for split in SPLITS), Counter[str]())
    for line in without_spans(counts, chain(*done.spans.values())):
        typer.echo(f"⚠ {line}")
