"""Notes as JSON, an object a line. Kept values that are no strings are JSON in a string."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.sources.opening import not_utf8, opened, storable
from spacy_clinner.tables.sources.rows import Read, as_batches, strings
from spacy_clinner.tables.sources.source import Request, check_there

KINDS = {dict: "an object", list: "a list", bool: "a truth value", int: "a number"}


def schema(path: Path, request: Request) -> pa.Schema:
    """The columns that are meant.

    path (Path): The file.
    request (Request): Names them.
    RETURNS (pa.Schema): All strings.
    RAISES (ClinnerError): The first line is no object, or lacks the id or the text.
    """
    with opened(path) as file:
        first = next((line for line in file if line.strip()), "")
    record = _parse(first)
    if not isinstance(record, dict):
        raise ClinnerError(f"{path}:1: no JSON object. Each line must hold a note as one.")
    check_there([request.id, request.text], list(record), f"{path}:1")
    return strings(request)


def rows(path: Path, request: Request) -> Iterator[pa.RecordBatch]:
    """The rows of a file.

    path (Path), request (Request): As `schema` takes them.
    YIELDS (pa.RecordBatch): The columns that are meant.
    RAISES (ClinnerError): The file cannot be unpacked.
    """
    yield from as_batches(_read(path, request), strings(request))


def _read(path: Path, request: Request) -> Iterator[Read]:
    columns = request.columns
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            record = _parse(line)
            if isinstance(record, dict):
                yield _values(record, request)
            else:
                yield [None] * len(columns), f"no JSON object in line {number} of {path.name}"


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _values(record: dict[str, Any], request: Request) -> Read:
    fault = None
    note = record.get(request.text)
    if note is not None and not isinstance(note, str):
        fault = f"the text is no string but {KINDS.get(type(note), 'a number')}"
    elif request.text not in record:
        fault = f"no field {request.text!r}"
    found = [_string(record.get(name)) for name in request.columns]
    if fault is not None:
        found[request.columns.index(request.text)] = None
    fault = fault or next((told for value in found if value and (told := not_utf8(value))), None)
    return [None if value is None else storable(value) for value in found], fault


def _string(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
