"""Score a pipeline on a converted corpus: tables, metrics.json, and the errors to look through."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from spacy.training import Example

from spacy_clinner.cli import run
from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation import error_report, spans
from spacy_clinner.evaluation.assertion import assertion_scores, negated_end_to_end
from spacy_clinner.evaluation.calibration import expected_calibration_error, plot_reliability
from spacy_clinner.evaluation.relations import relations
from spacy_clinner.files import written_whole
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.training.run import use_gpu


def main(
    model: Annotated[Path, typer.Argument(help="A trained pipeline")],
    corpus: Annotated[Path, typer.Argument(help="A .spacy file, the test split as a rule")],
    out: Annotated[Path, typer.Option(help="Folder that gets the reports")] = Path("metrics"),
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Run MODEL over the texts of CORPUS and compare with its gold spans."""
    use_gpu(gpu_id)
    nlp = load_pipeline(model)
    gold = read_docs(corpus, nlp.vocab)
    if not gold:
        raise ClinnerError(f"{corpus}: holds no note.")
    texts = (doc.text for doc in gold)
    predicted = track(nlp.pipe(texts), total=len(gold), description="Predicting", transient=True)
    examples = [Example(guess, doc) for guess, doc in zip(predicted, gold, strict=True)]
    spans.use_ents_as_layer(examples)
    layers = spans.predicted_layers(examples)
    metrics = {
        "notes": len(gold),
        "strict": spans.strict(examples, layers),
        "relaxed": spans.relaxed(examples, layers),
        "tokens": spans.tokens(examples, layers),
    }
    confidences = {layer: spans.confidences(examples, layer) for layer in layers}
    confidences = {layer: pair for layer, pair in confidences.items() if len(pair[0])}
    metrics["calibration_error"] = {
        layer: expected_calibration_error(*pair) for layer, pair in confidences.items()
    }
    metrics["assertion"] = {
        layer: assertion_scores(((e.reference, e.predicted) for e in examples), layer)
        for layer in layers
    }
    metrics["negated_end_to_end"] = {
        layer: negated_end_to_end(
            ((e.reference, e.predicted) for e in examples if layer in e.reference.spans), layer
        )
        for layer in layers
    }
    if "clinner_relations" in nlp.pipe_factories.values():
        metrics["relations"] = relations(nlp, examples)
    if confidences:
        with written_whole(out / "reliability.png") as path:
            plot_reliability(confidences, path)
    with written_whole(out / "metrics.json") as path:
        srsly.write_json(path, metrics)
    error_report.write_errors(examples, layers, out)
    show(metrics)
    typer.echo(f"✔ {out}/metrics.json, errors.jsonl, errors.html")


def show(metrics: dict[str, Any]) -> None:
    console = Console()
    table = Table(title=f"Scores on {metrics['notes']} notes (%)")
    for column in ("layer", "gold", "P", "R", "F1", "overlap F1", "token F1", "MCC", "ECE"):
        table.add_column(column, justify="left" if column == "layer" else "right")
    for layer, score in metrics["strict"].items():
        relaxed = metrics["relaxed"].get(layer, {}).get("f")
        tokens = metrics["tokens"].get(layer, {})
        error = metrics["calibration_error"].get(layer)
        shown = (
            score["p"],
            score["r"],
            score["f"],
            relaxed,
            tokens.get("macro_f"),
            tokens.get("mcc"),
            error,
        )
        table.add_row(layer, f"{score['gold']:,}", *map(percent, shown))
    console.print(table)
    by_label = score_table("Strict scores by label (%)", "label")
    for layer, score in metrics["strict"].items():
        if layer == "all":
            continue
        by_label.add_section()
        for label, s in score["per_type"].items():
            by_label.add_row(f"{layer}/{label}", *score_cells(s))
    console.print(by_label)
    show_assertions(console, metrics["assertion"])
    show_negated(console, metrics["negated_end_to_end"])
    if metrics.get("relations"):
        show_relations(console, metrics["relations"])


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


if __name__ == "__main__":
    run(main)
