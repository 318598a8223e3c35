"""Tables as files: a line for each kind."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

from spacy_clinner.tables.plain_json import as_json, as_string

ROWS_AT_ONCE = 1024
# In the metadata of a table's first column, whose strings are JSON.
JSON = b"json"
# What CSV has as it is; all else is written as text.
IN_CSV = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_date,
)


def write_parquet(table: pa.Table, path: Path) -> None:
    """Parquet, with the schema's metadata."""
    pq.write_table(table, path, compression="zstd")


def write_jsonl(table: pa.Table, path: Path) -> None:
    """An object a line, with null for what is null or no number that JSON has."""
    columns = [_plain_column(column) for column in table.columns]
    table = pa.Table.from_arrays(columns, names=table.column_names)
    with path.open("w", encoding="utf8", newline="") as file:
        for row in table.to_pylist():
            file.write(as_json(row) + "\n")


def write_csv(table: pa.Table, path: Path) -> None:
    """A header, and strings in quotes, so that an empty one differs from null, which is nothing.
    Lists and the like are JSON."""
    columns = [_flat(_plain_column(column)) for column in table.columns]
    flat = pa.Table.from_arrays(columns, names=table.column_names)
    options = csv.WriteOptions(quoting_style="needed", batch_size=ROWS_AT_ONCE)
    csv.write_csv(flat, path, options)


def write_lines(table: pa.Table, path: Path) -> None:
    """A column of JSON as it is, a value a line; as JSONL a table that has none."""
    if JSON not in (table.schema.field(0).metadata or {}):
        write_jsonl(table, path)
        return
    with path.open("w", encoding="utf8", newline="") as file:
        file.writelines(f"{line}\n" for line in table.column(0).to_pylist())


# By kind: what files end in, and what writes one.
FILE_KINDS: dict[str, tuple[str, Callable[[pa.Table, Path], None]]] = {
    "parquet": ("parquet", write_parquet),
    "jsonl": ("jsonl", write_jsonl),
    "csv": ("csv", write_csv),
    "lines": ("ndjson", write_lines),
}


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without what depends on how it is stored: categories, and nanoseconds that are none,
    which data frames have by default."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        try:
            return column.cast(pa.timestamp("us", column.type.tz))
        except pa.ArrowInvalid:
            return column.cast(pa.string())
    return column


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if any(is_kind(column.type) for is_kind in IN_CSV):
        return column
    write = as_json if pa.types.is_nested(column.type) else as_string
    values = [None if value is None else write(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, pa.string())])
