"""A folder of files, and its ledger."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole
from spacy_clinner.tables.sinks.file_kinds import FILE_KINDS
from spacy_clinner.tables.sinks.sink import Entry, Sink

# Where this lies, a run wrote: what was found, and no notes.
LEDGER = "_ledger.jsonl"
# In the entry of a piece: by file, its bytes.
BYTES = "bytes"
# Files that a message names.
NAMED = 5


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
        if len(entries) <= 1:
            # What began and did nothing may have failed by what it was asked.
            self._begin(run)
            return run, []
        self._check_files(entries[1:])
        return entries[0], entries[1:]

    def write(self, entry: Entry, tables: Mapping[str, pa.Table]) -> None:
        """Write a piece; see `Sink`."""
        sizes = {}
        for name, table in tables.items():
            part = self._part(name, entry["piece"])
            with written_whole(part, private=True) as path:
                self.write_file(table, path)
                _sync(path)
                sizes[part.relative_to(self.path).as_posix()] = path.stat().st_size
            _sync(part.parent)
        if entry["piece"] == 0:
            _sync(self.path)
        self._append({**entry, BYTES: sizes} if sizes else entry)

    def close(self) -> None:
        """Close the ledger, which another process may then open."""
        if self.ledger is not None:
            self.ledger.close()

    def _part(self, table: str, piece: int) -> Path:
        return self.path / table / f"part-{piece:06}.{self.ending}"

    def _begin(self, run: Entry) -> None:
        """Begin the ledger, and leave nothing of a piece that stands there without an entry."""
        assert self.ledger is not None
        for left in self.path.glob("*/part-000000.*"):
            left.unlink()
            with suppress(OSError):
                left.parent.rmdir()
        self.ledger.seek(0)
        self.ledger.truncate()
        self._append(run)
        _sync(self.path)
        _sync(self.path.parent)

    def _check_files(self, pieces: Sequence[Entry]) -> None:
        """Check that what the ledger says was written is there."""
        wrong = list(self._others_than(pieces))
        if wrong:
            more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
            raise ClinnerError(
                f"{self.path}: {', '.join(wrong[:NAMED])}{more} are missing or not as this run "
                f"wrote them. Put them back, or name a new folder."
            )

    def _others_than(self, pieces: Sequence[Entry]) -> Iterator[str]:
        for entry in pieces:
            for name, size in entry.get(BYTES, {}).items():
                part = self.path / name
                if not part.is_file() or part.stat().st_size != size:
                    yield name

    def _entries(self) -> list[Entry]:
        """The entries of the ledger; a line that was cut off is taken out."""
        assert self.ledger is not None
        data = self.ledger.read()
        whole = data[: data.rfind(b"\n") + 1]
        try:
            entries = [json.loads(line) for line in whole.splitlines()]
        except ValueError:
            entries = [None]
        if not _is_ledger(entries):
            raise ClinnerError(
                f"{self.path / LEDGER}: no ledger of this command. Name a new folder."
            )
        self.ledger.truncate(len(whole))
        self.ledger.seek(len(whole))
        return entries

    def _append(self, entry: Entry) -> None:
        assert self.ledger is not None
        self.ledger.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self.ledger.flush()
        os.fsync(self.ledger.fileno())


def _is_ledger(entries: Sequence[Any]) -> bool:
    """Whether these are a run and its pieces, in order."""
    if not all(isinstance(entry, dict) for entry in entries):
        return False
    pieces = [entry.get("piece") for entry in entries[1:]]
    return not entries or ("settings" in entries[0] and pieces == list(range(len(pieces))))


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
