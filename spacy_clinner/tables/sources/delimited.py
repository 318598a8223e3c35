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
    RAISES (ClinnerError): No file has a header, or one lacks one of them.
    """
    empty = True
    for path in paths:
        with opened(path) as file:
            header, fault = next(_rows(file, path, delimiter), ([], None))
        if fault is not None:
            raise ClinnerError(f"{path}: the header is {fault}. Correct its quotes.")
        if any(not_utf8(name) for name in header):
            raise ClinnerError(
                f"{path}:1: the header is not UTF-8 text. Convert the file to UTF-8."
            )
        if header:
            empty = False
            named = all(NAME.fullmatch(name) for name in header)
            shown = None if named else f"{len(header)} columns, and a first line that may be a note"
            check_there(request.columns, header, str(path), shown)
    if empty:
        raise ClinnerError(f"{paths[0]}: the file is empty. Its first line must name the columns.")
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
        header, _ = next(lines, ([], None))
        places = [header.index(name) for name in request.columns if header]
        for row, fault in lines:
            values = [row[place] if place < len(row) else None for place in places]
            yield checked(values, request, fault or _fault(row, header))


def _rows(
    file: Iterator[str], path: Path, delimiter: str
) -> Iterator[tuple[list[str], str | None]]:
    """Rows, and what is wrong with the quotes of one; blank lines are none."""
    csv.field_size_limit(LONGEST_FIELD)
    lines: list[str] = []
    reader = csv.reader(_taken_down(file, lines), delimiter=delimiter, strict=True)
    while True:
        lines.clear()
        fault = None
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if sum(line.count('"') for line in lines) % 2:
                # Where the row ends, nobody knows.
                raise ClinnerError(
                    f"{path}:{reader.line_num}: not CSV ({error}). Correct the quotes there or "
                    f"before."
                ) from None
            row = next(csv.reader([*lines], delimiter=delimiter))
            fault = f"no CSV in line {reader.line_num} of {path.name}"
        if row:
            yield row, fault


def _taken_down(file: Iterator[str], lines: list[str]) -> Iterator[str]:
    for line in file:
        lines.append(line)
        yield line


def _fault(row: list[str], header: list[str]) -> str | None:
    same = len(row) == len(header)
    return None if same else f"the row has {len(row)} fields, the header {len(header)}"
