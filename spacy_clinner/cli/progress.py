"""Progress bars and tables of the commands."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def plain_console() -> Console:
    """Prints tables whose cells may hold anything: names in brackets are not rich's markup, nor
    those between colons its emoji."""
    return Console(markup=False, emoji=False)


def bar(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """A `Progress` that draws a bar on the terminal, and nothing into a file."""
    console = Console(stderr=True)
    return track(
        items, what, total=total, console=console, transient=True, disable=not sys.stderr.isatty()
    )
