"""Notes as JSON, an object a line. Kept values that are no strings are JSON in a string."""

import itertools
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.sources.opening import opened
from spacy_clinner.tables.sources.rows import Read, as_batches, checked, strings
from spacy_clinner.tables.sources.source import Request, check_there

# Lines of a file in which a column is looked for: writers leave out what is null.
FIRST_LINES = 1000
NO_OBJECT = "no JSON object. Each line must hold a note as one."
KINDS = {dict: "an object", list: "a list", bool: "a truth value", int: "a number"}


def schema(paths: Sequence[Path], request: Request) -> pa.Schema:
    """The columns that are meant.

    paths (Sequence[Path]): The files, of which some may be empty.
    request (Request): Names them.
    RETURNS (pa.Schema): All strings.
    RAISES (ClinnerError): Of the first thousand lines of a file that has some none is an object, or
        none has the id or the text; or of no file one has a column that is kept.
    """
    there: dict[str, None] = {}
    for path in paths:
        wanted = {request.id, request.text, *(name for name in request.keep if name not in there)}
        found, lines = _first_fields(path, wanted)
        where = f"{path}:1" if lines < 2 else f"{path}:1-{lines}"
        if lines and not found:
            raise ClinnerError(f"{where}: {NO_OBJECT}")
        if lines:
            check_there([request.id, request.text], list(found), where)
        there.update(found)
    # Without a line, there is no note that could lack a column.
    if not there:
        return strings(request)
    whole = where if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more files"
    check_there(request.columns, list(there), whole)
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


def _first_fields(path: Path, wanted: Collection[str]) -> tuple[dict[str, None], int]:
    """The fields of a file's first lines, read until all that are wanted are there; and how many
    lines that were."""
    found: dict[str, None] = {}
    count = 0
    with opened(path) as file:
        lines = (line for line in file if line.strip())
        for line in itertools.islice(lines, FIRST_LINES):
            count += 1
            record = _parse(line)
            found.update(dict.fromkeys(record if isinstance(record, dict) else ()))
            if found.keys() >= set(wanted):
                break
    return found, count


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
    return checked([_string(record.get(name)) for name in request.columns], request, fault)


def _string(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
