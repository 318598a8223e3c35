"""Columns that count through all pieces of a run."""

import pyarrow as pa

# In the metadata of such a field.
COUNTS = b"counts_through_pieces"


def numbered_field(schema: pa.Schema) -> str | None:
    """The column that counts, of which a table has one at most.

    schema (pyarrow.Schema): The columns.
    RETURNS (str | None): Its name.
    """
    return next((field.name for field in schema if COUNTS in (field.metadata or {})), None)


def numbered(rows: pa.Table, first: int) -> pa.Table:
    """Number rows anew.

    rows (pyarrow.Table): The rows.
    first (int): The number of the first row.
    RETURNS (pyarrow.Table): The same rows, where a column counts with other numbers.
    """
    name = numbered_field(rows.schema)
    if name is None:
        return rows
    field = rows.schema.field(name)
    numbers = pa.array(range(first, first + rows.num_rows), field.type)
    return rows.set_column(rows.schema.get_field_index(name), field, numbers)
