from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from spacy_clinner.cli.progress import bar


def command(
    model: Annotated[str, typer.Argument(help="Any spaCy pipeline: its folder, or installed")],
    corpus: Annotated[
        str, typer.Argument(help="A .spacy file, or a name in the catalog, of which the test split")
    ],
    out: Annotated[Path, typer.Option(help="Folder that gets the reports")] = Path("metrics"),
    against: Annotated[
        str | None, typer.Option(help="Another pipeline, to tell the difference from")
    ] = None,
    kinds: Annotated[
        Path | None, typer.Option(help="A .csv file with the columns note_id and kind")
    ] = None,
    catalog: Annotated[Path, typer.Option(help="The catalog of corpora")] = Path(
        "configs/corpora.toml"
    ),
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Score MODEL on the notes of CORPUS, and write a page of its errors, which quotes them."""
    from spacy_clinner.evaluation.evaluate import evaluate
    from spacy_clinner.training.preparation import use_gpu

    use_gpu(gpu_id)
    with TemporaryDirectory() as scratch:
        file = test_split(corpus, catalog, Path(scratch))
        found = evaluate(model, file, out, against=against, kinds=kinds, progress=bar)
    show(found)
    typer.echo(f"✔ {out}/metrics.json, metrics.md, errors.jsonl, errors.html")


def test_split(corpus: str, catalog: Path, scratch: Path) -> Path:
    """The .spacy file of a corpus; one of the catalog that is not converted yet is, to scratch."""
    from spacy_clinner.corpora.catalog import find_corpus
    from spacy_clinner.corpora.docbin import convert

    converted = Path("corpus") / corpus / "test.spacy"
    if Path(corpus).is_file() or Path(corpus).suffix == ".spacy":
        return Path(corpus)
    if not converted.is_file():
        import spacy

        found = find_corpus(corpus, catalog)
        tokenizer = {"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}}
        convert(found, spacy.blank("en", config=tokenizer), scratch, progress=bar)
        converted = scratch / "test.spacy"
    return converted


def show(metrics: dict[str, Any]) -> None:
    console = Console()
    table = Table(title=f"Scores on {metrics['notes']} notes (%)")
    for column in ("layer", "gold", "P", "R", "F1", "95 %", "overlap F1", "token F1", "MCC", "ECE"):
        table.add_column(column, justify="left" if column == "layer" else "right")
    for layer, score in metrics["strict"].items():
        relaxed = metrics["relaxed"].get(layer, {}).get("f")
        tokens = metrics["tokens"].get(layer, {})
        error = metrics["calibration_error"].get(layer)
        rest = (relaxed, tokens.get("macro_f"), tokens.get("mcc"), error)
        interval = " to ".join(map(percent, score["interval"]))
        table.add_row(layer, *score_cells(score), interval, *map(percent, rest))
    console.print(table)
    if "against" in metrics:
        show_differences(console, metrics)
    by_label = score_table("Strict scores by label (%)", "label")
    for layer, score in metrics["strict"].items():
        if layer == "all":
            continue
        by_label.add_section()
        for label, s in score["per_type"].items():
            by_label.add_row(f"{layer}/{label}", *score_cells(s))
    console.print(by_label)
    for name, first in (("sections", "section"), ("kinds", "kind of note")):
        if metrics.get(name):
            show_groups(console, metrics[name], first)
    show_assertions(console, metrics["assertion"])
    show_negated(console, metrics["negated_end_to_end"])
    if metrics.get("relations"):
        show_relations(console, metrics["relations"])
    speed = metrics["speed"]
    typer.echo(f"{speed['words_per_second']:,.0f} words a second")


def show_differences(console: Console, metrics: dict[str, Any]) -> None:
    against = metrics["against"]
    table = Table(title=f"Strict F1 against {against['model']} (%)")
    for column in ("layer", "F1", f"F1 of {against['model']}", "difference", "95 %"):
        table.add_column(column, justify="left" if column == "layer" else "right")
    for layer, other in against["strict"].items():
        own = other["f"] + other["value"] / 100
        interval = f"{other['low']:+.1f} to {other['high']:+.1f}"
        table.add_row(layer, percent(own), percent(other["f"]), f"{other['value']:+.1f}", interval)
    console.print(table)


def show_groups(console: Console, scores: dict[str, Any], first: str) -> None:
    table = Table(title=f"Strict F1 by {first} (%)")
    for column in (first, "gold", "F1"):
        table.add_column(column, justify="left" if column == first else "right")
    for name, score in scores.items():
        table.add_row(name, f"{score['gold']:,}", percent(score["f"]))
    console.print(table)


def show_assertions(console: Console, assertion: dict[str, Any]) -> None:
    table = score_table("Assertion of the entities found exactly (%)", "attribute")
    for layer, by_attribute in assertion.items():
        for attribute, by_class in by_attribute.items():
            for name, s in by_class.items():
                if s["gold"]:
                    table.add_row(f"{layer}: {attribute} {name}", *score_cells(s))
    if table.rows:
        console.print(table)


def show_negated(console: Console, negated: dict[str, Any]) -> None:
    table = score_table("Negated entities, end to end (%)", "label")
    for layer, by_label in negated.items():
        for label, s in by_label.items():
            table.add_row(f"{layer}/{label}", *score_cells(s))
    if table.rows:
        console.print(table)


def show_relations(console: Console, found: dict[str, Any]) -> None:
    table = Table(title="Relations (%)")
    for column in ("pair", "gold", "F1 on gold spans", "P end to end", "R", "F1"):
        table.add_column(column, justify="left" if column == "pair" else "right")
    end, gold = found["end_to_end"], found["gold_spans"]
    rows = {"all": (gold, end)}
    rows |= {pair: (gold["per_pair"].get(pair, {}), s) for pair, s in end["per_pair"].items()}
    for pair, (on_gold, s) in rows.items():
        shown = map(percent, (on_gold.get("f"), s["p"], s["r"], s["f"]))
        table.add_row(pair, f"{s['gold']:,}", *shown)
    console.print(table)


def score_table(title: str, first: str) -> Table:
    """An empty table for `score_cells`, with a column before them."""
    table = Table(title=title)
    table.add_column(first)
    for column in ("gold", "P", "R", "F1"):
        table.add_column(column, justify="right")
    return table


def score_cells(score: dict[str, Any]) -> list[str]:
    return [f"{score['gold']:,}", *map(percent, (score["p"], score["r"], score["f"]))]


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"
