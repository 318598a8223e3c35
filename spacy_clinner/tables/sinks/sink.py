"""What every sink takes."""

from collections.abc import Mapping
from typing import Any, Protocol

import pyarrow as pa

# A line of the ledger: plain JSON values, never any text of a note.
Entry = dict[str, Any]


class Sink(Protocol):
    """Where tables go, a piece at a time. A piece is there whole, with its entry in the ledger, or
    not at all, however the run ends."""

    @property
    def settings(self) -> Entry:
        """What a run that goes on must have in common with its beginning, as JSON values."""

    def check(self, tables: Mapping[str, pa.Table]) -> None:
        """Check that tables can be written, before anything is.

        tables (Mapping[str, pa.Table]): The tables of a piece, without rows.
        RAISES (ClinnerError): There is a table of this name with other columns.
        """

    def start(self, run: Entry) -> tuple[Entry, list[Entry]]:
        """Begin a run, or go on with it.

        run (dict[str, Any]): The run as it would begin now.
        RETURNS (tuple[dict, list[dict]]): The run as the ledger has it, and the entries of the
            pieces that are done, in order. A new run and none where the ledger is empty.
        RAISES (ClinnerError): There is something else than a run of ours, or another process writes
            there.
        """

    def write(self, entry: Entry, tables: Mapping[str, pa.Table]) -> None:
        """Write a piece.

        entry (dict[str, Any]): Its entry; `piece` is its number.
        tables (Mapping[str, pa.Table]): Its tables by name; the same names for every piece.
        """

    def close(self) -> None:
        """Let go of what is open. What was written stays."""
