"""Rows of strings, one by one, to batches."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

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
