"""Notes in a database, read by a cursor that the server keeps, always in the same order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.annotate import as_strings
from spacy_clinner.tables.database_urls import without_password
from spacy_clinner.tables.databases import named_errors, open_database
from spacy_clinner.tables.plain_json import as_json
from spacy_clinner.tables.sources.opening import not_utf8, storable
from spacy_clinner.tables.sources.rows import CHARACTERS_AT_ONCE
from spacy_clinner.tables.sources.source import FAULT, ROWS_AT_ONCE, Request, Source, check_there

QUERY, TABLE = "query", "table"
# In this order, as a truth value is a number and a time is a day, too.
TYPES: tuple[tuple[type, pa.DataType], ...] = (
    (bool, pa.bool_()),
    (int, pa.int64()),
    (float, pa.float64()),
    (datetime, pa.timestamp("us")),
    (date, pa.date32()),
)
# What PostgreSQL may say of a time that Python does not have, such as infinity or 24:00.
TIMES = ("date", "time", "timetz", "timestamp", "timestamptz", "interval")
DO_NOT_FIT = (pa.ArrowException, TypeError, OverflowError)
DOING = "cannot read the notes"


@dataclass(frozen=True)
class Database:
    """The rows of a query, always in the same order; a `Source` that another process may read.

    request (Request): Names the database, the query and the columns.
    schema (pa.Schema): Their types, and `FAULT`.
    sort (bool): Whether the database must sort them, by ids and then by texts.
    """

    request: Request
    schema: pa.Schema
    sort: bool

    def count(self) -> int | None:
        """RETURNS (int | None): The number of rows."""
        query = sa.select(sa.func.count()).select_from(_select(self.request, sort=False).subquery())
        engine = open_database(self.request.location)
        with named_errors(engine, DOING), engine.connect() as connection:
            return int(connection.scalars(query).all()[0])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """YIELDS (pa.RecordBatch): The rows, as many as fit in memory."""
        engine = open_database(self.request.location)
        for rows in _rows(engine, _select(self.request, self.sort)):
            yield _batch(rows, self.request, self.schema)


def open_notes(request: Request) -> Source:
    """Open notes in a database.

    request (Request): Its location is an SQLAlchemy URL. Of its options, `query` is an SQL query
        and `table` the name of a table or view, SCHEMA.NAME or NAME.
    RETURNS (Source): The notes. Ids are strings. Columns that are kept have the types of the first
        rows: truth values, numbers, days and times; strings for all else, of lists and structs
        JSON.
    RAISES (ClinnerError): The database cannot be read, or a column is missing.
    """
    engine = open_database(request.location)
    source = _source(request)
    with named_errors(engine, DOING), engine.connect() as connection:
        nothing = sa.select(sa.text("*")).select_from(source).where(sa.false())
        there = list(connection.execute(nothing).keys())
    where = without_password(engine.url.render_as_string())
    check_there(request.columns, there, where)
    sort = not _has_order(engine, request.options.get(TABLE))
    first = next(_rows(engine, _select(request, sort).limit(ROWS_AT_ONCE)), [])
    kept = {*request.keep} - {request.id, request.text}
    fields = [
        pa.field(name, _type([row[at] for row in first]) if name in kept else pa.string())
        for at, name in enumerate(request.columns)
    ]
    return Database(request, pa.schema([*fields, pa.field(FAULT, pa.string())]), sort)


def _select(request: Request, sort: bool) -> sa.Select[Any]:
    columns: list[Any] = [sa.column(name) for name in request.columns]
    select = sa.select(*columns).select_from(_source(request))
    order: list[Any] = [sa.column(name) for name in (request.id, request.text)]
    return select.order_by(*order) if sort else select


def _source(request: Request) -> Any:
    query: str | None = request.options.get(QUERY)
    table: str | None = request.options.get(TABLE)
    if (query is None) == (table is None):
        raise ClinnerError("To read notes from a database, name a --query or a --table.")
    if table is not None:
        schema, _, name = table.rpartition(".")
        return sa.table(name, schema=schema or None)
    # A colon would be a parameter, and a comment may end the query.
    escaped = str(query).strip().rstrip(";").replace(":", r"\:")
    return sa.text(f"({escaped}\n) AS clinner_notes")


def _has_order(engine: Engine, table: str | None) -> bool:
    """Whether rows come in the same order at every turn: those of a table of DuckDB, which would
    sort whole notes in the memory of this process."""
    if engine.dialect.name != "duckdb" or table is None:
        return False
    name = table.rpartition(".")[2]
    query = sa.text("SELECT table_type FROM information_schema.tables WHERE table_name = :name")
    with named_errors(engine, DOING), engine.connect() as connection:
        return set(connection.scalars(query, {"name": name})) == {"BASE TABLE"}


def _rows(engine: Engine, select: sa.Select[Any]) -> Iterator[list[Sequence[Any]]]:
    """Rows, in lists that fit in memory."""
    options = {"stream_results": True, "yield_per": ROWS_AT_ONCE}
    with named_errors(engine, DOING), engine.connect() as connection:
        _take_anything(connection)
        with connection.execution_options(**options).execute(select) as result:
            waiting: list[Sequence[Any]] = []
            size = 0
            for row in result:
                waiting.append(row)
                size += sum(len(value) for value in row if isinstance(value, str | bytes))
                if len(waiting) == ROWS_AT_ONCE or size > CHARACTERS_AT_ONCE:
                    yield waiting
                    waiting, size = [], 0
            if waiting:
                yield waiting


def _take_anything(connection: Connection) -> None:
    """A value that Python does not have must cost no other note: SQLite checks no text that it
    stores, and PostgreSQL has more times."""
    raw: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        raw.text_factory = lambda data: data.decode("utf8", "surrogateescape")
    elif connection.dialect.driver == "psycopg":
        for name in TIMES:
            loader = raw.adapters.get_loader(raw.adapters.types[name].oid, 0)
            raw.adapters.register_loader(name, _or_string(loader))


def _or_string(loader: Any) -> Any:
    """What reads a type of PostgreSQL, and gives a string where it cannot."""
    from psycopg import DataError
    from psycopg.adapt import Loader

    class OrString(Loader):
        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self.inner = loader(oid, context)

        def load(self, data: Any) -> Any:
            try:
                return self.inner.load(data)
            except DataError:
                return bytes(data).decode("utf8", "replace")

    return OrString


def _batch(rows: list[Sequence[Any]], request: Request, schema: pa.Schema) -> pa.RecordBatch:
    at = {name: place for place, name in enumerate(request.columns)}
    read = [_text(row[at[request.text]]) for row in rows]
    faults = [
        "the id is null" if row[at[request.id]] is None else fault
        for row, (_, fault) in zip(rows, read, strict=True)
    ]
    arrays = []
    for field in list(schema)[:-1]:
        values = [row[at[field.name]] for row in rows]
        if field.name == request.text:
            arrays.append(pa.array([text for text, _ in read], pa.string()))
        elif field.name == request.id:
            arrays.append(pa.array([_id(value) for value in values], pa.string()))
        else:
            array, wrong = _array(values, field.type)
            arrays.append(array)
            for row in wrong:
                told = f"column {field.name!r} is no {field.type}, as in the first rows"
                faults[row] = faults[row] or told
    return pa.RecordBatch.from_arrays([*arrays, pa.array(faults, pa.string())], schema=schema)


def _text(value: Any) -> tuple[str | None, str | None]:
    """A text, and why it cannot be read."""
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value).decode("utf8", "surrogateescape")
    if value is None:
        return None, None
    if isinstance(value, str):
        fault = not_utf8(value)
        return (storable(value), None) if fault is None else (None, fault)
    return None, f"the text is no string but {type(value).__name__}"


def _type(values: list[Any]) -> pa.DataType:
    there = [value for value in values if value is not None]
    for kind, found in TYPES:
        if there and all(isinstance(value, kind) for value in there):
            aware = kind is datetime and there[0].tzinfo is not None
            return pa.timestamp("us", "UTC") if aware else found
    return pa.string()


def _id(value: Any) -> str | None:
    """An id as Arrow writes a column of such values."""
    if isinstance(value, bool | float | date):
        told: str = as_strings(pa.array([value], _type([value])))[0].as_py()
        return told
    return None if value is None else _string(value)


def _array(values: list[Any], kind: pa.DataType) -> tuple[pa.Array, list[int]]:
    """Values of a column, and the places of those that are of another type, which are null."""
    if pa.types.is_string(kind):
        return pa.array([None if value is None else _string(value) for value in values], kind), []
    try:
        return pa.array(values, kind), []
    except DO_NOT_FIT:
        wrong = [at for at, value in enumerate(values) if not _fits(value, kind)]
        return pa.array([None if at in wrong else v for at, v in enumerate(values)], kind), wrong


def _fits(value: Any, kind: pa.DataType) -> bool:
    try:
        pa.array([value], kind)
    except DO_NOT_FIT:
        return False
    return True


def _string(value: Any) -> str:
    if isinstance(value, dict | list | tuple):
        value = as_json(value)
    return storable(value.decode("utf8", "replace") if isinstance(value, bytes) else str(value))
