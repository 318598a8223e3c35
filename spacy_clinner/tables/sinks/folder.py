"""A folder of files, and its ledger."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pyarrow as pa

from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole
from spacy_clinner.tables.sinks.file_kinds import FILE_KINDS
from spacy_clinner.tables.sinks.sink import Entry, Sink

LEDGER = "_ledger.jsonl"


class Folder:
    """A folder with a folder of files for each table, a file for each piece; a `Sink`.

    A file is written under a temporary name, synced and renamed; then the ledger gets its line.

    path (Path): The folder.
    files (str): A key of `FILE_KINDS`.
    """

    def __init__(self, path: Path, files: str) -> None:
        self.path = path
        self.settings: Entry = {"files": files}
        self.ending, self.write_file = FILE_KINDS[files]
        self.ledger: IO[bytes] | None = None

    def check(self, tables: Mapping[str, pa.Table]) -> None:
        """Nothing is there but files of its own; see `Sink`."""

    def start(self, run: Entry) -> tuple[Entry, list[Entry]]:
        """Begin a run or go on with it; see `Sink`."""
        self.path.mkdir(parents=True, exist_ok=True)
        ledger = self.path / LEDGER
        if not ledger.exists() and any(self.path.iterdir()):
            raise ClinnerError(
                f"{self.path}: holds files, but no run of this command. Name a new folder."
            )
        ledger.touch(0o600)
        self.ledger = ledger.open("rb+")
        try:
            fcntl.flock(self.ledger, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClinnerError(f"{self.path}: another process writes there. Wait for it.") from None
        entries = self._entries()
        for left in self.path.glob("*/.*.partial"):
            left.unlink()
        if not entries:
            self._append(run)
            _sync(self.path)
            _sync(self.path.parent)
            return run, []
        return entries[0], entries[1:]

    def write(self, entry: Entry, tables: Mapping[str, pa.Table]) -> None:
        """Write a piece; see `Sink`."""
        for name, table in tables.items():
            folder = self.path / name
            with written_whole(
                folder / f"part-{entry['piece']:06}.{self.ending}", private=True
            ) as path:
                self.write_file(table, path)
                _sync(path)
            _sync(folder)
        if entry["piece"] == 0:
            _sync(self.path)
        self._append(entry)

    def close(self) -> None:
        """Close the ledger, which another process may then open."""
        if self.ledger is not None:
            self.ledger.close()

    def _entries(self) -> list[Entry]:
        """The entries of the ledger; a line that was cut off is taken out."""
        assert self.ledger is not None
        data = self.ledger.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.ledger.truncate(len(whole))
        self.ledger.seek(len(whole))
        try:
            return [dict(json.loads(line)) for line in whole.splitlines()]
        except (ValueError, TypeError):
            raise ClinnerError(
                f"{self.path / LEDGER}: no ledger of this command. Name a new folder."
            ) from None

    def _append(self, entry: Entry) -> None:
        assert self.ledger is not None
        self.ledger.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self.ledger.flush()
        os.fsync(self.ledger.fileno())


def open_folder(location: str, files: str) -> Sink:
    """Open a folder.

    location (str): The folder; made when missing.
    files (str): A key of `FILE_KINDS`.
    RETURNS (Sink): The sink.
    RAISES (ClinnerError): The kind of files is unknown.
    """
    if files not in FILE_KINDS:
        known = ", ".join(FILE_KINDS)
        raise ClinnerError(f"unknown kind of files {files!r}. Known: {known}.")
    return Folder(Path(location), files)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
