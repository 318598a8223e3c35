"""What was measured, as Markdown."""

from collections.abc import Iterable, Iterator, Sequence
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
        *(f"{sentence}." for sentence in remarks(metrics)),
        "## Layers",
        _table(("layer", *SCORES[1:], "overlap F1", "95 %", "ECE", "95 %"), _layers(metrics)),
    ]
    if "against" in metrics:
        head = ("score", "F1", f"F1 of {metrics['against']['model']}", "difference", "95 %")
        title = f"## Against {metrics['against']['model']}"
        parts += [title, _table(head, compared(metrics["against"]))]
    parts += ["## Labels", _table(SCORES, _labels(metrics))]
    if metrics.get("sections"):
        rows_of = ((title, *cells(score)) for title, score in metrics["sections"].items())
        parts += ["## Sections", _table(("section", *SCORES[1:]), rows_of)]
    if metrics.get("kinds"):
        kinds = (
            (kind, f"{s['notes']}", f"{s['gold']:,}", percent(s["f"]), interval(s))
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


def remarks(metrics: dict[str, Any]) -> Iterator[str]:
    """What the scores do not tell of: layers that gold has and a pipeline does not predict,
    attributes that it does not judge, notes without a kind.

    metrics (dict[str, Any]): As `evaluate` returns them.
    YIELDS (str): Without the full stop.
    """
    for layer in metrics.get("not_predicted", ()):
        yield f"{layer} is annotated and not predicted: no score tells of it"
    for layer, attribute in metrics.get("not_judged", ()):
        yield f"{attribute} of {layer} is annotated and not judged: no score tells of it"
    against = metrics.get("against", {})
    for layer in against.get("not_predicted", ()):
        yield f"{layer} is not predicted by {against['model']}: all of it counts as missed there"
    for layer, attribute in against.get("not_judged", ()):
        yield f"{attribute} of {layer} is not judged by {against['model']}, and not compared"
    if missing := metrics.get("without_kind"):
        yield f"{missing} of {metrics['notes']} notes have no kind, and count in none"


SCORES = ("label", "gold", "P", "R", "F1", "95 %")
# What is compared with another pipeline, and how a row is called: the score, and of which part.
COMPARED = {
    "strict": "strict: {}",
    "relaxed": "overlap: {}",
    "labels": "{}",
    "negated_end_to_end": "negated, end to end: {}",
    "relations": "links, end to end: {}",
    "sections": "section {}",
    "kinds": "kind {}",
}


def compared(against: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The rows of a table of differences.

    against (dict[str, Any]): As `evaluate` returns it.
    YIELDS (tuple[str, ...]): The score, F1, that of the other pipeline, the difference in points
        and its interval.
    """
    for table, title in COMPARED.items():
        for name, found in against.get(table, {}).items():
            own = percent(found["f"] + found["value"] / 100)
            bounds = signed(found["low"], found["high"])
            yield title.format(name), own, percent(found["f"]), f"{found['value']:+.1f}", bounds


def _layers(metrics: dict[str, Any]) -> Iterable[Sequence[str]]:
    for layer, score in metrics["strict"].items():
        relaxed = metrics["relaxed"].get(layer, {})
        error = metrics["calibration_error"].get(layer)
        overlap = (percent(relaxed.get("f")), interval(relaxed))
        bounds = {"interval": metrics["calibration_interval"].get(layer)}
        yield layer, *cells(score), *overlap, percent(error), interval(bounds)


def _labels(metrics: dict[str, Any]) -> Iterable[Sequence[str]]:
    for layer, score in metrics["strict"].items():
        for label, found in score.get("per_type", {}).items():
            yield f"{layer}/{label}", *cells(found)


def _assertions(metrics: dict[str, Any]) -> Iterable[Sequence[str]]:
    for layer, by_attribute in metrics["assertion"].items():
        for attribute, by_class in by_attribute.items():
            for name, score in by_class.items():
                yield f"{layer}: {attribute} {name}", *cells(score)
    for layer, by_label in metrics["negated_end_to_end"].items():
        for label, score in by_label.items():
            yield f"{layer}/{label} negated, end to end", *cells(score)


def cells(score: dict[str, Any]) -> tuple[str, ...]:
    """Gold, precision, recall, F1 and its interval as the cells of a row."""
    shares = (percent(score[letter]) for letter in "prf")
    return f"{score['gold']:,}", *shares, interval(score)


def percent(value: float | None) -> str:
    """A share in percent, empty for None."""
    return "" if value is None else f"{100 * value:.1f}"


def interval(score: dict[str, Any]) -> str:
    """The interval of a score in percent, empty where it has none."""
    return " to ".join(map(percent, score.get("interval") or ()))


def signed(low: float | None, high: float | None) -> str:
    """The interval of a difference in points, empty where it has none."""
    return "" if low is None or high is None else f"{low:+.1f} to {high:+.1f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    marks = ("---", *("---:" for _ in head[1:]))
    lines = (head, marks, *rows)
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")
