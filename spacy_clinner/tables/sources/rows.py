"""Rows of strings, one by one, to batches."""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from spacy_clinner.tables.sources.opening import not_utf8, storable
from spacy_clinner.tables.sources.source import FAULT, ROWS_AT_ONCE, Request

# Characters of a batch, so that one of very long notes still fits in memory.
CHARACTERS_AT_ONCE = 4_000_000
# Values by the columns of the request, and why the row cannot be read.
Read = tuple[list[str | None], str | None]


def strings(request: Request) -> pa.Schema:
    """The schema of files whose values are all strings.

    request (Request): Names the columns.
    RETURNS (pa.Schema): These, and `FAULT`.
    """
    return pa.schema([(name, pa.string()) for name in (*request.columns, FAULT)])


def checked(values: Sequence[str | None], request: Request, fault: str | None) -> Read:
    """A row as it can be stored.

    values (Sequence[str | None]): By the columns of the request; bytes that are no UTF-8 are lone
        surrogates.
    request (Request): Names the columns.
    fault (str | None): Why the row cannot be read.
    RETURNS (tuple): Values with U+FFFD for lone surrogates, and the fault, which may be that one of
        them is not UTF-8. A row with a fault has no text: it may be half of one.
    """
    for name, value in zip(request.columns, values, strict=True):
        if fault is None and value and (told := not_utf8(value)):
            fault = told if name == request.text else f"column {name!r} is {told}"
    stored = [None if value is None else storable(value) for value in values]
    if fault is not None:
        stored[request.columns.index(request.text)] = None
    return stored, fault


def as_batches(rows: Iterable[Read], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Collect rows.

    rows (Iterable[Read]): Values, and faults.
    schema (pa.Schema): Their columns, `FAULT` at the end.
    YIELDS (pa.RecordBatch): The same rows.
    """
    waiting: list[list[str | None]] = []
    size = 0
    for values, fault in rows:
        waiting.append([*values, fault])
        size += sum(len(value) for value in values if value is not None)
        if len(waiting) == ROWS_AT_ONCE or size > CHARACTERS_AT_ONCE:
            yield _batch(waiting, schema)
            waiting, size = [], 0
    if waiting:
        yield _batch(waiting, schema)


def _batch(rows: list[list[str | None]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
