"""What was measured, as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any


def as_markdown(metrics: dict[str, Any], model: str, corpus: str) -> str:
    """The metrics as tables.

    metrics (dict[str, Any]): As `evaluate` returns them.
    model (str), corpus (str): What was measured, and on what.
    RETURNS (str): Markdown; no word of any note.
    """
    speed = metrics["speed"]
    parts = [
        f"# {model} on {corpus}",
        f"{metrics['notes']} notes, {speed['words']:,} words, "
        f"{speed['words_per_second']:,.0f} words a second. Scores in %, with 95 % intervals by "
        f"bootstrap over notes.",
        "## Layers",
        _table(("layer", "gold", "P", "R", "F1", "95 %", "overlap F1", "ECE"), _layers(metrics)),
    ]
    if "against" in metrics:
        against = metrics["against"]
        rows = (
            (layer, percent(found["f"]), f"{found['value']:+.1f}",
             f"{found['low']:+.1f} to {found['high']:+.1f}")
            for layer, found in against["strict"].items()
        )  # fmt: skip
        head = ("layer", f"F1 of {against['model']}", "difference", "95 %")
        parts += [f"## Against {against['model']}", _table(head, rows)]
    parts += ["## Labels", _table(SCORES, _labels(metrics))]
    if metrics.get("sections"):
        rows_of = ((title, *cells(score)) for title, score in metrics["sections"].items())
        parts += ["## Sections", _table(("section", *SCORES[1:]), rows_of)]
    if metrics.get("kinds"):
        kinds = (
            (kind, f"{s['notes']}", f"{s['gold']:,}", percent(s["f"]), interval(s["interval"]))
            for kind, s in metrics["kinds"].items()
        )
        parts += ["## Kinds of note", _table(("kind", "notes", "gold", "F1", "95 %"), kinds)]
    if said := list(_assertions(metrics)):
        parts += ["## Assertion", _table(SCORES, said)]
    if relations := metrics.get("relations"):
        end = relations["end_to_end"]
        links = [("all", *cells(end)), *((k, *cells(s)) for k, s in end["per_pair"].items())]
        parts += ["## Links, end to end", _table(("pair", *SCORES[1:]), links)]
    return "\n\n".join(parts) + "\n"


SCORES = ("label", "gold", "P", "R", "F1")


def _layers(metrics: dict[str, Any]) -> Iterable[Sequence[str]]:
    for layer, score in metrics["strict"].items():
        relaxed = metrics["relaxed"].get(layer, {}).get("f")
        error = metrics["calibration_error"].get(layer)
        yield layer, *cells(score), interval(score["interval"]), percent(relaxed), percent(error)


def _labels(metrics: dict[str, Any]) -> Iterable[Sequence[str]]:
    for layer, score in metrics["strict"].items():
        for label, found in score.get("per_type", {}).items():
            yield f"{layer}/{label}", *cells(found)


def _assertions(metrics: dict[str, Any]) -> Iterable[Sequence[str]]:
    for layer, by_attribute in metrics["assertion"].items():
        for attribute, by_class in by_attribute.items():
            for name, score in by_class.items():
                if score["gold"]:
                    yield f"{layer}: {attribute} {name}", *cells(score)
    for layer, by_label in metrics["negated_end_to_end"].items():
        for label, score in by_label.items():
            yield f"{layer}/{label} negated, end to end", *cells(score)


def cells(score: dict[str, Any]) -> tuple[str, ...]:
    """Gold, precision, recall and F1 as the cells of a row."""
    return (f"{score['gold']:,}", *(percent(score[letter]) for letter in "prf"))


def percent(value: float | None) -> str:
    """A share in percent, empty for None."""
    return "" if value is None else f"{100 * value:.1f}"


def interval(bounds: Sequence[float]) -> str:
    """An interval in percent."""
    return " to ".join(map(percent, bounds))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    marks = ("---", *("---:" for _ in head[1:]))
    lines = (head, marks, *rows)
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")
