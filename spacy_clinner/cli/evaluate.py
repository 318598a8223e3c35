from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from spacy_clinner.cli.progress import bar, plain_console
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.summary import cells, compared, interval, percent, remarks

CATALOG = Path("configs/corpora.toml")
# The columns of `cells`.
SCORES = ("gold", "P", "R", "F1", "95 %")


def command(
    model: Annotated[str, typer.Argument(help="Any spaCy pipeline: its folder, or installed")],
    corpus: Annotated[
        str,
        typer.Argument(
            help="A .spacy file, a folder with test.spacy, or a name in the catalog: its test split"
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder that gets the reports")] = Path("metrics"),
    against: Annotated[
        str | None, typer.Option(help="Another pipeline, to tell the difference from")
    ] = None,
    kinds: Annotated[
        Path | None, typer.Option(help="A .csv file with the columns note_id and kind")
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help=f"The catalog of corpora, if not {CATALOG}")
    ] = None,
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Score MODEL on the notes of CORPUS, and write a page of its errors, which quotes them."""
    from spacy_clinner.evaluation.evaluate import evaluate
    from spacy_clinner.training.preparation import use_gpu

    if out.is_file():
        raise ClinnerError(f"{out}: is a file. --out names the folder of the reports.")
    if Path(model).suffix == ".spacy" or (Path(corpus) / "meta.json").is_file():
        raise ClinnerError(
            f"{model}, {corpus}: MODEL comes first, a pipeline, and then CORPUS, the notes."
        )
    use_gpu(gpu_id)
    with TemporaryDirectory() as scratch:
        file = test_split(corpus, catalog, Path(scratch))
        found = evaluate(model, file, out, against=against, kinds=kinds, progress=bar)
    show(found)
    typer.echo(f"✔ {out}/metrics.json, metrics.md, errors.jsonl, errors.html")


def test_split(corpus: str, catalog: Path | None, scratch: Path) -> Path:
    """The .spacy file of a corpus; one of the catalog that is not converted yet is, to scratch."""
    from spacy_clinner.corpora.catalog import find_corpus
    from spacy_clinner.corpora.docbin import convert

    converted = Path("corpus") / corpus / "test.spacy"
    if Path(corpus).is_file() or Path(corpus).suffix == ".spacy":
        return Path(corpus)
    if (Path(corpus) / "test.spacy").is_file():
        return Path(corpus) / "test.spacy"
    if Path(corpus).is_dir() and Path(corpus).name != corpus:
        raise ClinnerError(f"{corpus}: holds no test.spacy. Name a file, such as its dev.spacy.")
    if catalog is None and converted.is_file():
        return converted
    catalog = catalog or CATALOG
    found = find_corpus(corpus, catalog)
    if converted.is_file():
        return converted
    import spacy

    tokenizer = {"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}}
    done = convert(found, spacy.blank("en", config=tokenizer), scratch, progress=bar)
    if not done.notes["test"]:
        raise ClinnerError(
            f"{catalog}: [{corpus}] has no test notes to score on. Give it test = [...] or "
            f"holdout = {{ test = 10 }}, or name a .spacy file."
        )
    return scratch / "test.spacy"


def show(metrics: dict[str, Any]) -> None:
    console = plain_console()
    show_layers(console, metrics)
    for sentence in remarks(metrics):
        typer.echo(f"⚠ {sentence}")
    if "against" in metrics:
        show_differences(console, metrics["against"])
    show_labels(console, metrics["strict"])
    for name, first in (("sections", "section"), ("kinds", "kind of note")):
        if metrics.get(name):
            show_groups(console, metrics[name], first)
    show_assertions(console, metrics["assertion"])
    show_negated(console, metrics["negated_end_to_end"])
    if metrics.get("relations"):
        show_relations(console, metrics["relations"])
    typer.echo(f"{metrics['speed']['words_per_second']:,.0f} words a second")


def show_layers(console: Console, metrics: dict[str, Any]) -> None:
    strict = score_table(f"Strict scores on {metrics['notes']} notes (%)", "layer")
    for layer, score in metrics["strict"].items():
        strict.add_row(layer, *cells(score))
    # One table of all columns would be cut in a terminal of the usual width.
    columns = ("overlap F1", "95 %", "token F1", "MCC", "ECE", "95 %")
    further = score_table("Overlap, tokens and calibration (%)", "layer", columns)
    for layer, relaxed in metrics["relaxed"].items():
        tokens = metrics["tokens"].get(layer, {})
        shares = map(percent, (tokens.get("macro_f"), tokens.get("mcc")))
        bounds = {"interval": metrics["calibration_interval"].get(layer)}
        error = percent(metrics["calibration_error"].get(layer))
        overlap = percent(relaxed.get("f")), interval(relaxed)
        further.add_row(layer, *overlap, *shares, error, interval(bounds))
    console.print(strict)
    console.print(further)


def show_differences(console: Console, against: dict[str, Any]) -> None:
    columns = ("F1", f"F1 of {against['model']}", "difference", "95 %")
    table = score_table(f"F1 against {against['model']} (%)", "score", columns)
    for row in compared(against):
        table.add_row(*row)
    console.print(table)


def show_labels(console: Console, strict: dict[str, Any]) -> None:
    table = score_table("Strict scores by label (%)", "label")
    for layer, score in strict.items():
        table.add_section()
        for label, found in score.get("per_type", {}).items():
            table.add_row(f"{layer}/{label}", *cells(found))
    console.print(table)


def show_groups(console: Console, scores: dict[str, Any], first: str) -> None:
    table = score_table(f"Strict F1 by {first} (%)", first, ("gold", "F1", "95 %"))
    for name, score in scores.items():
        table.add_row(name, f"{score['gold']:,}", percent(score["f"]), interval(score))
    console.print(table)


def show_assertions(console: Console, assertion: dict[str, Any]) -> None:
    table = score_table("Assertion of the entities found exactly (%)", "attribute")
    for layer, by_attribute in assertion.items():
        for attribute, by_class in by_attribute.items():
            for name, score in by_class.items():
                table.add_row(f"{layer}: {attribute} {name}", *cells(score))
    if table.rows:
        console.print(table)


def show_negated(console: Console, negated: dict[str, Any]) -> None:
    table = score_table("Negated entities, end to end (%)", "label")
    for layer, by_label in negated.items():
        for label, score in by_label.items():
            table.add_row(f"{layer}/{label}", *cells(score))
    if table.rows:
        console.print(table)


def show_relations(console: Console, found: dict[str, Any]) -> None:
    columns = ("gold", "F1 on gold spans", "P end to end", "R", "F1", "95 %")
    table = score_table("Relations (%)", "pair", columns)
    end, on_gold = found["end_to_end"], found["gold_spans"]
    for pair, score in {"all": end, **end["per_pair"]}.items():
        given = on_gold if pair == "all" else on_gold["per_pair"].get(pair, {})
        gold, *shares = cells(score)
        table.add_row(pair, gold, percent(given.get("f")), *shares)
    console.print(table)


def score_table(title: str, first: str, columns: Sequence[str] = SCORES) -> Table:
    """An empty table with a column of names and others of numbers."""
    table = Table(title=title)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table
