"""Files of notes: one, those of a folder or of a glob, plain or compressed."""

import glob
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.sinks.folder import LEDGER
from spacy_clinner.tables.sources import delimited, json_lines, parquet_files, text_files
from spacy_clinner.tables.sources.source import Request, Source

COMPRESSED = (".gz", ".zst")
PACKED = (*COMPRESSED, ".bz2", ".xz", ".zip")
PACKED_OTHERWISE = (".parquet", ".pq", ".txt")


@dataclass(frozen=True)
class Reader:
    """How files of one kind are read.

    schema (Callable[[Sequence[Path], Request], pa.Schema]): The columns that are meant; raises an
        error where files lack one, or are not alike.
    rows (Callable[[Path, Request], Iterator[pa.RecordBatch]]): The rows of a file.
    count (Callable[[Path], int] | None): The number of its rows, where that is known at once.
    """

    schema: Callable[[Sequence[Path], Request], pa.Schema]
    rows: Callable[[Path, Request], Iterator[pa.RecordBatch]]
    count: Callable[[Path], int] | None = None


PARQUET = Reader(parquet_files.schema, parquet_files.rows, parquet_files.count)
JSON_LINES = Reader(json_lines.schema, json_lines.rows)
CSV, TSV = (
    Reader(partial(delimited.schema, delimiter=mark), partial(delimited.rows, delimiter=mark))
    for mark in (",", "\t")
)
READERS = {
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".csv": CSV,
    ".tsv": TSV,
    ".tab": TSV,
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".txt": Reader(text_files.schema, text_files.rows, text_files.count),
}


@dataclass(frozen=True)
class Files:
    """Files of one kind, in the order of their names; a `Source`."""

    paths: tuple[Path, ...]
    reader: Reader
    request: Request
    schema: pa.Schema

    def count(self) -> int:
        """RETURNS (int): The number of rows, for which files that do not tell it are read."""
        if self.reader.count is None:
            return sum(len(batch) for batch in self.batches())
        return sum(self.reader.count(path) for path in self.paths)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """YIELDS (pa.RecordBatch): The rows of all files."""
        for path in self.paths:
            yield from self.reader.rows(path, self.request)


def open_files(request: Request) -> Source:
    """Open files of notes.

    request (Request): Its location is a file, a folder (read at any depth) or a glob.
    RETURNS (Source): The notes.
    RAISES (ClinnerError): There are none, they are of several kinds or have other columns.
    """
    paths = find(request.location)
    kinds = sorted({_kind(path) for path in paths})
    if len(kinds) > 1:
        raise ClinnerError(
            f"{request.location}: files of several kinds ({', '.join(kinds)}). Name those of one, "
            f"such as '{request.location.rstrip('/')}/*{kinds[0]}'."
        )
    reader = READERS[kinds[0]]
    if kinds == [".txt"]:
        request = text_files.within(request, folder_of(request.location))
    return Files(tuple(paths), reader, request, reader.schema(paths, request))


def find(location: str) -> list[Path]:
    """The files of a location, in the order of their names; hidden ones, those that begin with an
    underscore and, within a folder, those of a folder that `clinner annotate` wrote are none.

    location (str): A file, a folder or a glob.
    RETURNS (list[Path]): At least one file.
    RAISES (ClinnerError): There is none that can be read.
    """
    path = Path(location)
    if path.is_file():
        if _kind(path) not in READERS:
            raise ClinnerError(f"{path}: {_unknown()}")
        return [path]
    if path.is_dir():
        found = [file for file in path.rglob("*") if _kind(file) in READERS or _is_packed(file)]
    else:
        # Path.glob takes no pattern that begins at the root.
        found = [Path(name) for name in glob.glob(location, recursive=True)]  # noqa: PTH207
    folder = folder_of(location)
    within = {parent for file in found for parent in file.parents if folder in parent.parents}
    written = {parent for parent in within if (parent / LEDGER).is_file()}
    found = [
        file
        for file in found
        if file.is_file()
        and not any(p[0] in "._" for p in file.relative_to(folder).parts)
        and written.isdisjoint(file.parents)
    ]
    if unknown := [file for file in found if _kind(file) not in READERS]:
        raise ClinnerError(f"{min(unknown)}: {_unknown()}")
    if not found:
        raise ClinnerError(f"{location}: no notes there. {_unknown().capitalize()}")
    return sorted(found)


def folder_of(location: str) -> Path:
    """RETURNS (Path): A folder itself; what stands before the first sign of a glob; the folder of
    a file."""
    path = Path(location)
    if path.exists():
        return path if path.is_dir() else path.parent
    return Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    within = path.with_suffix("").suffix.lower()
    return within if kind in COMPRESSED and within not in PACKED_OTHERWISE else kind


def _is_packed(path: Path) -> bool:
    """Whether a file holds notes in a way that is not read, which must not be passed over."""
    return path.suffix.lower() in PACKED and path.with_suffix("").suffix.lower() in READERS


def _unknown() -> str:
    return (
        f"what is read are files that end in {', '.join(READERS)}, or folders of them; "
        f"{' and '.join(COMPRESSED)} may follow, but for .parquet and .txt."
    )
