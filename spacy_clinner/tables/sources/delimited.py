"""Notes in CSV and TSV. Values are strings, so that an id keeps its zeros; an empty one is empty,
not null. Quoted line ends, commas and NUL are part of the value."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.sources.opening import not_utf8, opened
from spacy_clinner.tables.sources.rows import Read, as_batches, checked, strings
from spacy_clinner.tables.sources.source import Request, check_there

LONGEST_FIELD = 2**31 - 1
# What names a column. In a file without a header, the first line is a note.
NAME = re.compile(r"[^\W\d][\w.-]{0,39}")


def schema(paths: Sequence[Path], request: Request, delimiter: str) -> pa.Schema:
    """The columns that are meant.

    paths (Sequence[Path]): The files.
    request (Request): Names them.
    delimiter (str): What stands between values.
    RETURNS (pa.Schema): All strings.
    RAISES (ClinnerError): A file has no header, or lacks one of them.
    """
    for path in paths:
        with opened(path) as file:
            header = next(_rows(file, path, delimiter), [])
        if any(not_utf8(name) for name in header):
            raise ClinnerError(
                f"{path}:1: the header is not UTF-8 text. Convert the file to UTF-8."
            )
        if not header:
            raise ClinnerError(f"{path}: the file is empty. Its first line must name the columns.")
        named = all(NAME.fullmatch(name) for name in header)
        shown = None if named else f"{len(header)} columns, and a first line that may be a note"
        check_there(request.columns, header, str(path), shown)
    return strings(request)


def rows(path: Path, request: Request, delimiter: str) -> Iterator[pa.RecordBatch]:
    """The rows of a file.

    path (Path): The file.
    request (Request), delimiter (str): As `schema` takes them.
    YIELDS (pa.RecordBatch): The columns that are meant.
    RAISES (ClinnerError): A quote is never closed, or the file cannot be unpacked.
    """
    yield from as_batches(_read(path, request, delimiter), strings(request))


def _read(path: Path, request: Request, delimiter: str) -> Iterator[Read]:
    with opened(path) as file:
        lines = _rows(file, path, delimiter)
        header = next(lines)
        places = [header.index(name) for name in request.columns]
        for row in lines:
            # What the csv module makes of a blank line.
            if row:
                values = [row[place] if place < len(row) else None for place in places]
                yield checked(values, request, _fault(row, header))


def _rows(file: Iterator[str], path: Path, delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise ClinnerError(
            f"{path}:{reader.line_num}: not CSV ({error}). Correct the quotes there or before."
        ) from None


def _fault(row: list[str], header: list[str]) -> str | None:
    same = len(row) == len(header)
    return None if same else f"the row has {len(row)} fields, the header {len(header)}"
