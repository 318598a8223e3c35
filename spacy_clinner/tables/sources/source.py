"""What every source of notes gives."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from spacy_clinner.errors import ClinnerError

# A column beside those of the source: why a row cannot be read, or null. No word of a note.
FAULT = "clinner:fault"
# Rows that a source hands over at once; it may give fewer.
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Request:
    """Which notes are meant.

    location (str): A file, folder or glob, or the URL of a database.
    id (str), text (str): The columns of ids and texts.
    keep (tuple[str, ...]): Further columns.
    options (Mapping[str, Any]): What only one kind of source has, such as `query` and `table`.
    """

    location: str
    id: str = "note_id"
    text: str = "text"
    keep: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The columns that are meant, each once."""
        return list(dict.fromkeys((self.id, self.text, *self.keep)))


class Source(Protocol):
    """A table of notes, which can be read again and gives the same rows in the same order."""

    @property
    def schema(self) -> pa.Schema:
        """The columns of the request, and `FAULT` where the source knows of any."""

    def count(self) -> int | None:
        """RETURNS (int | None): The number of rows; None where only reading them would tell."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """YIELDS (pa.RecordBatch): The rows, in batches of `schema` that fit in memory. The id of a
        row may be null where `FAULT` says why it cannot be read."""


def check_there(
    wanted: Sequence[str], there: Sequence[str], where: str, shown: str | None = None
) -> None:
    """Check that a table has the columns that are meant, each once.

    wanted (Sequence[str]): Their names.
    there (Sequence[str]): The names of all columns.
    where (str): The table, for the message.
    shown (str | None): What the message says that it has; None for the names.
    RAISES (ClinnerError): One is missing or there twice.
    """
    for name in wanted:
        if name not in there:
            raise ClinnerError(
                f"{where}: no column {name!r}. It has {shown or ', '.join(there) or 'none'}. Name "
                f"columns that are there, as with --id and --text."
            )
        if list(there).count(name) > 1:
            raise ClinnerError(f"{where}: two columns {name!r}. Rename one.")
