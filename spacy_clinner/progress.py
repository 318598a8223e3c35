"""How functions that take seconds show how far they are, without knowing how it looks."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """What is called around the items of a long loop."""

    def __call__(self, items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
        """Give back the items, and show how many have gone by.

        items (Iterable[T]): The items.
        what (str): What is done with them, in a word or two; never any text of a note.
        total (int | None): How many there are, where it is known.
        RETURNS (Iterable[T]): The items.
        """


def quiet(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:  # noqa: ARG001
    """Show nothing."""
    return items
