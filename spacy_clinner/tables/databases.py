"""Tables in databases: opened by an SQLAlchemy URL, made by an Arrow schema, filled from Arrow."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.types import UserDefinedType

from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.tables.database_urls import needs_extra, without_password
from spacy_clinner.tables.plain_json import as_json


class AsGiven(UserDefinedType[Any]):
    """A column of SQLite that stores whole numbers and strings as they come, and makes no floating
    point number of either."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """RETURNS (str): The type in the DDL."""
        return "BLOB"


KINDS: tuple[tuple[Callable[[pa.DataType], bool], Any], ...] = (
    (pa.types.is_boolean, sa.Boolean()),
    (pa.types.is_uint64, sa.Numeric(20).with_variant(AsGiven(), "sqlite")),
    (pa.types.is_int64, sa.BigInteger()),
    (pa.types.is_uint32, sa.BigInteger()),
    (pa.types.is_integer, sa.Integer()),
    (pa.types.is_floating, sa.Double()),
    (pa.types.is_date, sa.Date()),
    (pa.types.is_time, sa.Time()),
    (pa.types.is_binary, sa.LargeBinary()),
    (pa.types.is_large_binary, sa.LargeBinary()),
)
# The greatest number of SQLite; what is greater it gets as a string.
GREATEST = 2**63 - 1
NUL, INSTEAD = "\0", "\ufffd"
QUOTED = re.compile(r"'.*'|\".*\"")


def open_database(url: str) -> Engine:
    """Open a database.

    url (str): Its SQLAlchemy URL, such as `postgresql+psycopg://user@host/name`.
    RETURNS (Engine): The engine, whose errors quote no values.
    RAISES (ClinnerError): It is no such URL, or its driver is not installed.
    """
    try:
        with needs_extra():
            # No connection outlives its use.
            return sa.create_engine(url, hide_parameters=True, poolclass=sa.NullPool)
    except (NoSuchModuleError, ArgumentError) as error:
        raise ClinnerError(
            f"The database URL cannot be read ({one_line(error)}). It must be one of SQLAlchemy's, "
            f"such as postgresql+psycopg://user@host/name, sqlite:///file or duckdb:///file."
        ) from None


@contextmanager
def named_errors(engine: Engine, doing: str) -> Iterator[None]:
    """What a database refuses becomes one message, which quotes no values.

    engine (Engine): The database.
    doing (str): What is done, such as "cannot read".
    """
    try:
        yield
    except SQLAlchemyError as error:
        where = without_password(engine.url.render_as_string())
        raise ClinnerError(f"{where}: {doing} ({_reason(error)}).") from None


def _reason(error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    # What follows the first line may quote a row.
    first = str(cause).strip().split("\n")[0]
    if isinstance(error, DataError):
        # A value that is of another type than its column.
        first = QUOTED.sub("…", first)
    return f"{type(cause).__name__}: {first}".rstrip(". :")


def table_of(name: str, schema: pa.Schema, *, key: str | None = None) -> sa.Table:
    """The table of a database for an Arrow schema.

    name (str): Its name.
    schema (pyarrow.Schema): Its columns. What `max_length` in a field's metadata says is the length
        of its strings; lists and structs are JSON.
    key (str | None): The column that is the primary key.
    RETURNS (Table): The table.
    """
    columns = [
        sa.Column(
            field.name,
            _kind(field),
            nullable=field.nullable,
            primary_key=field.name == key,
            autoincrement=False,
            quote=True,
        )
        for field in schema
    ]
    return sa.Table(name, sa.MetaData(), *columns)


def _kind(field: pa.Field) -> Any:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_timestamp(kind):
        return sa.DateTime(timezone=kind.tz is not None)
    if pa.types.is_decimal(kind):
        return sa.Numeric(kind.precision, kind.scale).with_variant(sa.Text(), "sqlite")
    for is_kind, column in KINDS:
        if is_kind(kind):
            return column
    length = (field.metadata or {}).get(b"max_length")
    return sa.String(int(length)) if length else sa.Text()


def create(connection: Connection, table: sa.Table) -> None:
    """Make a table where it is missing."""
    connection.execute(sa.schema.CreateTable(table, if_not_exists=True))


def insert(connection: Connection, table: sa.Table, rows: pa.Table) -> None:
    """Insert rows, within the connection's transaction.

    connection (Connection): The connection.
    table (Table): The table of the database.
    rows (pyarrow.Table): The rows. A NUL in a string, which PostgreSQL refuses, becomes U+FFFD.
    """
    if not rows.num_rows:
        return
    if connection.dialect.name == "duckdb":
        _insert_arrow(connection, table, rows)
    elif connection.dialect.name == "sqlite":
        connection.execute(table.insert(), _for_sqlite(_storable(rows)))
    else:
        connection.execute(table.insert(), _storable(rows).to_pylist())


def _for_sqlite(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows for a database that knows no zones, no decimals and no number over `GREATEST`: times are
    UTC, and those numbers strings."""
    columns: dict[str, list[Any]] = {}
    for field, column in zip(rows.schema, rows.columns, strict=True):
        if pa.types.is_timestamp(field.type) and field.type.tz:
            column = column.cast(pa.timestamp(field.type.unit, "UTC"))
        values = column.to_pylist()
        if pa.types.is_decimal(field.type):
            values = [None if value is None else f"{value:f}" for value in values]
        elif pa.types.is_uint64(field.type):
            values = [str(v) if v is not None and v > GREATEST else v for v in values]
        columns[field.name] = values
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _insert_arrow(connection: Connection, table: sa.Table, rows: pa.Table) -> None:
    # One by one, DuckDB takes a millisecond for each row. The view is of this connection only, and
    # the next rows replace it.
    view = "clinner_rows"
    names = ", ".join(connection.dialect.identifier_preparer.quote(c.name) for c in table.columns)
    target = connection.dialect.identifier_preparer.format_table(table)
    connection.exec_driver_sql("register", (view, _storable(rows)))
    connection.exec_driver_sql(f"INSERT INTO {target} ({names}) SELECT {names} FROM {view}")


def _storable(rows: pa.Table) -> pa.Table:
    for at, field in enumerate(rows.schema):
        column = rows.column(at)
        if pa.types.is_dictionary(field.type):
            column = column.cast(field.type.value_type)
        if pa.types.is_nested(column.type):
            told = [None if value is None else as_json(value) for value in column.to_pylist()]
            column = pa.array(told, pa.string())
        elif pa.types.is_duration(column.type):
            told = [None if value is None else str(value) for value in column.to_pylist()]
            column = pa.array(told, pa.string())
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = pc.replace_substring(column, NUL, INSTEAD)
        rows = rows.set_column(at, field.name, column)
    return rows
