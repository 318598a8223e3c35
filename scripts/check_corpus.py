"""Our own checks of a converted corpus, beside spaCy's debug data."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from rich.console import Console
from rich.table import Table
from spacy.cli._util import parse_config_overrides
from spacy.tokens import Doc

from spacy_clinner.cli import run
from spacy_clinner.corpora.catalog import SPLITS
from spacy_clinner.corpora.docbin import annotation_overrides, read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.training.run import load_settings, resolve_encoder, validate


def main(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A converted corpus: corpus/NAME")],
    config: Annotated[
        Path | None, typer.Option(help="Also run spaCy's debug data with this config")
    ] = None,
) -> None:
    """Print label counts per split; stop when a split would train or score nothing, or leaks.

    Further options such as --variables.encoder override values of the config.
    """
    nlp = spacy.blank("en")
    overrides = parse_config_overrides(context.args)
    overrides |= {f"paths.{name}": str(folder / f"{name}.spacy") for name in ("train", "dev")}
    settings = None if config is None else load_settings(config, overrides)
    if settings and (encoder := settings.get("variables", {}).get("encoder")):
        resolve_encoder(str(encoder))
    splits: dict[str, list[Doc]] = {}
    for split in SPLITS:
        path = folder / f"{split}.spacy"
        if not path.is_file():
            raise ClinnerError(f"{path}: missing. Run `spacy project run convert` first.")
        splits[split] = read_docs(path, nlp.vocab)
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
    if config is not None and settings is not None:
        spacy_debug_data(
            config,
            overrides | annotation_overrides(settings, splits["train"], [folder / "train.spacy"]),
        )


def spacy_debug_data(config: Path, overrides: dict[str, Any]) -> None:
    """Run `spacy debug data`, which by itself does not resolve a config's variables."""
    from spacy.cli.debug_data import debug_data

    # Validated here, since debug data exits for a bad config as it does for advice.
    resolved = validate(config, load_settings(config, overrides))
    with tempfile.TemporaryDirectory() as scratch:
        resolved.to_disk(Path(scratch) / "config.cfg")
        # What is left to exit for is the summary, which counts advice such as "fewer than 100
        # examples"; what really cannot be trained raises an error of its own.
        with suppress(SystemExit):
            debug_data(Path(scratch) / "config.cfg", silent=False, no_format=False)


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
