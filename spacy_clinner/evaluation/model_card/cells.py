"""Numbers, links and tables of a model card, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NONE = "–"
UNKNOWN = "not recorded"
Facts = Mapping[str, Any]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table.

    columns (Sequence[str]): The titles.
    rows (Iterable[Sequence[str]]): As many cells each.
    left (int): How many columns hold text; the others are aligned to the right.
    RETURNS (str): The table.
    """
    rule = ["---" if at < left else "---:" for at in range(len(columns))]
    lines = [list(columns), rule, *(list(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|") or NONE


def percent(value: float | None) -> str:
    """A share in percent, with one decimal."""
    return NONE if value is None else f"{100 * value:.1f}"


def number(value: float | None) -> str:
    """A whole number with separators."""
    return NONE if value is None else f"{value:,.0f}"


def bullets(items: Iterable[str]) -> list[str]:
    """A list, as a block of Markdown."""
    return ["\n".join(f"- {item}" for item in items)]


def link(entry: Mapping[str, str]) -> str:
    """A name, with its address where there is one."""
    return f"[{entry['name']}]({entry['url']})" if entry["url"] else entry["name"]
