"""What each part of `clinner.clinical_augmenter.v1` gives: trainings with one part on, then with
all but one, scored on notes as they are and as others would have typed them.

    clinner convert notes
    python scripts/ablate_augmenter.py assets/encoder metrics/augmenter

Every training is a cell of its own on disk, so that a run that is cut off, or out of its time, goes
on where it was. An encoder without capitals, as the default one, has nothing to learn from `case`.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from cells import fill, keep_settings, read
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_clinner.cli import run
from spacy_clinner.evaluation.intervals import f_difference, f_score, span_counts
from spacy_clinner.evaluation.spans import annotated_layers, predict, read_gold
from spacy_clinner.files import written_whole
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.training.augmenter import create_clinical_augmenter
from spacy_clinner.training.run import train

CONFIG = Path("configs/clinner.cfg")
RATES = "corpora.train.augmenter"
# Rates of the augmenter that are one part.
PARTS = {
    "line breaks": ("line_breaks",),
    "punctuation": ("punctuation",),
    "spacing": ("spacing",),
    "abbreviations": ("abbreviations",),
    "typing errors": ("typos",),
    "masks": ("masks",),
    "drugs": ("drugs",),
    "case": ("upper", "lower"),
}
# How dev is written otherwise, by the augmenter's own rates.
COPIES: dict[str, dict[str, float]] = {
    "as it is": {},
    "capitals": {"upper": 1.0},
    "line breaks lost": {"line_breaks": 1.0},
    "typing errors": {"typos": 0.15},
    "abbreviations": {"abbreviations": 1.0},
}
NONE = "none"
# Another than any training's.
SEED = 1000
# Notes of dev that a training looks at; the scores are of all.
GLANCE = 8
# What only costs time where layers are scored.
NEEDLESS = ("relations", "sentences", "sections", "context")


def main(
    start: Annotated[str, typer.Argument(help="An encoder; or, with --from, a pipeline")],
    out: Annotated[Path, typer.Argument(help="Folder that gets cells and table")],
    go_on: Annotated[bool, typer.Option("--from", help="Go on from a trained pipeline")] = False,
    corpus: Annotated[Path, typer.Option(help="Folder with train and dev.spacy")] = Path(
        "corpus/notes"
    ),
    updates: Annotated[int, typer.Option(help="Updates of each training")] = 120,
    words: Annotated[int, typer.Option(help="Words of an update")] = 1000,
    learn_rate: Annotated[float, typer.Option(help="The highest one")] = 3e-4,
    level: Annotated[float, typer.Option(help="The share of notes that are augmented")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the training and the augmenter")] = 1,
    minutes: Annotated[float, typer.Option(help="Begin no training after so long")] = 25,
) -> None:
    """Train from START without, with each, and with all but each part of the augmenter."""
    settings = {"start": start, "from": go_on, "corpus": str(corpus), "updates": updates,
                "words": words, "learn_rate": learn_rate, "level": level, "seed": seed}  # fmt: skip
    keep_settings(out, settings)
    asked = {
        f"{name.replace(' ', '-')}.json": partial(measured, settings, name) for name in cells()
    }
    left = fill(out, asked, minutes)
    files = [out / "cells" / name for name in asked]
    told = table([read(path) for path in files if path.is_file()])
    with written_whole(out / "augmenter.md") as path:
        path.write_text(told, encoding="utf8")
    typer.echo(told)
    typer.echo(f"✔ {out}/augmenter.md; {left} trainings are left")


def cells() -> dict[str, list[str]]:
    """The trainings by name, with the parts that are on: those that tell most come first."""
    every = list(PARTS)
    found = {NONE: [], "all": every}
    found |= {f"only {part}": [part] for part in every}
    return found | {f"all but {part}": [p for p in every if p != part] for part in every}


def measured(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Train with some parts of the augmenter, and score on each copy of dev.

    settings (Mapping[str, Any]): As `main` keeps them.
    name (str): The training, of those in `cells`.
    RETURNS (dict[str, Any]): Its "name", "seconds" of training, and "counts" of spans by copy.
    """
    parts = cells()[name]
    corpus = Path(settings["corpus"])
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        train(
            CONFIG,
            Path(scratch) / "out",
            overrides=overrides(settings, parts),
            start=settings["start"] if settings["from"] else None,
        )
        seconds = time.perf_counter() - began
        nlp = load_pipeline(Path(scratch) / "out/model-last")
    nlp.select_pipes(disable=[name for name in NEEDLESS if name in nlp.pipe_names])
    gold = read_gold(nlp, corpus / "dev.spacy")
    counts = {}
    for copy, rates in COPIES.items():
        examples = predict(nlp, written_otherwise(nlp, gold, rates))
        counts[copy] = span_counts(examples, annotated_layers(examples)).tolist()
    return {"name": name, "seconds": round(seconds, 1), "counts": counts}


def overrides(settings: Mapping[str, Any], parts: Sequence[str]) -> dict[str, Any]:
    """The values of the config for a training; rates that are on are the config's own."""
    corpus, updates = Path(settings["corpus"]), settings["updates"]
    found: dict[str, Any] = {f"paths.{n}": str(corpus / f"{n}.spacy") for n in ("train", "dev")}
    found |= {
        "system.seed": settings["seed"],
        "variables.augmentation": settings["level"] if parts else 0.0,
        "variables.batch_words": settings["words"],
        "variables.learn_rate": settings["learn_rate"],
        "variables.max_steps": updates,
        "variables.warmup_steps": max(1, updates // 10),
        "variables.eval_frequency": updates,
        "corpora.dev.limit": GLANCE,
    }
    if not settings["from"]:
        found["variables.encoder"] = settings["start"]
    off = [rate for part, rates in PARTS.items() if part not in parts for rate in rates]
    return found | {f"{RATES}.{rate}": 0.0 for rate in off}


def written_otherwise(nlp: Language, gold: Sequence[Doc], rates: Mapping[str, float]) -> list[Doc]:
    """Notes with all their gold, as others would have typed them; the same ones each time.

    nlp (Language): A pipeline with the tokenizer.
    gold (Sequence[Doc]): The notes.
    rates (Mapping[str, float]): What is done to them; nothing else is.
    RETURNS (list[Doc]): A note for each.
    """
    if not rates:
        return list(gold)
    shares = {rate: 0.0 for names in PARTS.values() for rate in names} | dict(rates)
    augment = create_clinical_augmenter(level=1.0, seed=SEED, **shares)
    return [e.reference for doc in gold for e in augment(nlp, Example(nlp.make_doc(doc.text), doc))]


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: strict F1 on each copy of dev, and what it differs from no augmentation."""
    lines = ["| augmentation | " + " | ".join(COPIES) + " |", "|---|" + "---:|" * len(COPIES)]
    base = next((cell["counts"] for cell in found if cell["name"] == NONE), None)
    for cell in found:
        lines.append(f"| {cell['name']} | " + " | ".join(row(cell, base)) + " |")
    lines.append("\nStrict F1 over all labels; in brackets the difference to no augmentation, with")
    lines.append("a star where its 95 % interval (bootstrap over notes, paired) leaves out zero.")
    return "\n".join(lines) + "\n"


def row(cell: Mapping[str, Any], base: Mapping[str, Any] | None) -> Iterator[str]:
    """A training's figures, one for each copy."""
    for copy in COPIES:
        counts = np.array(cell["counts"][copy])
        value = f"{100 * f_score(counts.sum(axis=0)):.1f}"
        if base is not None and cell["name"] != NONE:
            gain, low, high = f_difference(counts, np.array(base[copy]))
            chance = low is None or high is None or low <= 0 <= high
            value += f" ({gain:+.1f}{'' if chance else '*'})"
        yield value


if __name__ == "__main__":
    run(main)
