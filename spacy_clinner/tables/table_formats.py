"""What tables are made of findings: a line for each format."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from spacy_clinner.tables.schemas import Tables


@dataclass(frozen=True)
class Format:
    """A format.

    make (Callable): Gets the findings of a piece, the texts of its notes in their order (None
        where a note has none), and the options that the command has for the format; gives tables by
        name, the same names for every piece. Runs in the process that found them.
    files (str | None): The only kind of files that it can be written to; None for any.
    """

    make: Callable[[Tables, Sequence[str | None], Mapping[str, Any]], Mapping[str, pa.Table]]
    files: str | None = None


FORMATS: dict[str, Format] = {
    "tables": Format(lambda found, texts, options: found._asdict()),  # noqa: ARG005
}
