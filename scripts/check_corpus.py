"""Our own checks of a converted corpus, beside spaCy's debug data."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import spacy
import typer
from rich.console import Console
from rich.table import Table
from spacy.tokens import Doc, DocBin

from clinner.cli import run
from clinner.corpora.catalog import SPLITS
from clinner.errors import ClinnerError


def main(
    folder: Annotated[Path, typer.Argument(help="A converted corpus: corpus/NAME")],
) -> None:
    """Print label counts per split; stop when a split would train or score nothing, or leaks."""
    nlp = spacy.blank("en")
    splits: dict[str, list[Doc]] = {}
    for split in SPLITS:
        path = folder / f"{split}.spacy"
        if not path.is_file():
            raise ClinnerError(f"{path}: missing. Run `spacy project run convert` first.")
        splits[split] = list(DocBin().from_disk(path).get_docs(nlp.vocab))
    counts = {split: count_labels(docs) for split, docs in splits.items()}
    show(folder.name, counts)
    for line in complaints(splits, counts):
        typer.echo(f"⚠ {line}")
    for split in SPLITS:
        if not counts[split]:
            raise ClinnerError(
                f"{folder / split}.spacy: not one span, so there is nothing to learn or score."
            )
    seen: dict[str, str] = {}
    for split, docs in splits.items():
        for doc in docs:
            if seen.setdefault(doc.text, split) != split:
                raise ClinnerError(f"{folder}: a note of {seen[doc.text]} stands in {split} too.")
    typer.echo("✔ no note stands in two splits, and every split has spans")


def count_labels(docs: list[Doc]) -> Counter[str]:
    """Spans by "layer/LABEL"."""
    return Counter(
        f"{layer}/{span.label_}"
        for doc in docs
        for layer, group in doc.spans.items()
        for span in group
    )


def complaints(splits: dict[str, list[Doc]], counts: dict[str, Counter[str]]) -> list[str]:
    """What is worth a look, but no reason to stop."""
    found = []
    for label in sorted(set().union(*counts.values())):
        if not counts["train"][label]:
            found.append(f"{label} is in dev or test but never in train")
        elif counts["train"][label] < 20:
            found.append(f"{label} has only {counts['train'][label]} examples in train")
    for split, docs in splits.items():
        bare = sum(not any(doc.spans.values()) for doc in docs)
        if bare:
            found.append(f"{split}: {bare} of {len(docs)} notes hold no span at all")
    return found


def show(name: str, counts: dict[str, Counter[str]]) -> None:
    table = Table(title=f"{name}: spans by label")
    table.add_column("layer/label")
    for split in SPLITS:
        table.add_column(split, justify="right")
    for label in sorted(set().union(*counts.values())):
        table.add_row(label, *(f"{counts[split][label]:,}" for split in SPLITS))
    Console().print(table)


if __name__ == "__main__":
    run(main)
