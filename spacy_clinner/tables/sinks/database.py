"""Tables of a database, and the ledger in one of them."""

import json
from collections.abc import Mapping

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.database_urls import without_password
from spacy_clinner.tables.databases import create, insert, named_errors, open_database, table_of
from spacy_clinner.tables.numbering import numbered, numbered_field
from spacy_clinner.tables.sinks.sink import Entry

# Where a run's own entry stands, before its pieces.
RUN = -1
LEDGER = sa.Table(
    "clinner_ledger",
    sa.MetaData(),
    sa.Column("run", sa.String(100), primary_key=True),
    sa.Column("piece", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("entry", sa.Text, nullable=False),
)
DOING = "cannot write the tables"


class Database:
    """Tables of a database; a `Sink`. A piece's rows and its entry in the ledger are one
    transaction.

    url (str): The SQLAlchemy URL. There may be runs of other notes, or in other formats, in it.
    """

    def __init__(self, url: str) -> None:
        self.engine = open_database(url)
        self.settings: Entry = {}
        self.run = ""
        self.begun: Entry = {}
        self.made: dict[str, sa.Table] = {}
        self.connection: Connection | None = None

    def check(self, tables: Mapping[str, pa.Table]) -> None:
        """Look at the tables that are there; see `Sink`."""
        for name, rows in tables.items():
            there = self._columns(name)
            lacking = [one for one in rows.schema.names if there and one.casefold() not in there]
            if lacking:
                where = without_password(self.engine.url.render_as_string())
                raise ClinnerError(
                    f"{where}: has a table {name!r} without the columns {', '.join(lacking)}. "
                    f"Rename it, or write to another database."
                )

    def _columns(self, name: str) -> set[str]:
        """The columns of a table, in lower case; none where there is no such table."""
        with named_errors(self.engine, DOING), self.engine.connect() as connection:
            if not sa.inspect(connection).has_table(name):
                return set()
            nothing = sa.select(sa.text("*")).select_from(sa.table(name)).where(sa.false())
            return set(map(str.casefold, connection.execute(nothing).keys()))

    def start(self, run: Entry) -> tuple[Entry, list[Entry]]:
        """Begin a run or go on with it; see `Sink`."""
        self.run = f"{run['settings']['format']}:{run['source']}"
        with named_errors(self.engine, DOING):
            self.connection = self.engine.connect()
            if self.engine.dialect.name == "sqlite":
                # Or nobody could read notes there while we write.
                self.connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                self.connection.rollback()
            with self.connection.begin():
                create(self.connection, LEDGER)
                mine = LEDGER.select().where(LEDGER.c.run == self.run).order_by(LEDGER.c.piece)
                entries = [json.loads(row.entry) for row in self.connection.execute(mine)]
                if len(entries) <= 1:
                    # What began and did nothing may have failed by what it was asked.
                    self.connection.execute(LEDGER.delete().where(LEDGER.c.run == self.run))
                    self._enter(self.connection, RUN, run)
                    entries = [run]
        self.begun = entries[0]
        return entries[0], entries[1:]

    def write(self, entry: Entry, tables: Mapping[str, pa.Table]) -> None:
        """Write a piece; see `Sink`. Tables are made where they are missing; what counts up goes on
        from the last row that is there, whoever wrote it."""
        assert self.connection is not None
        with named_errors(self.engine, DOING), self.connection.begin():
            self._check_run(self.connection)
            for name, rows in tables.items():
                table = self._table(self.connection, name, rows.schema)
                if field := numbered_field(rows.schema):
                    # DuckDB wants its results read to the end.
                    last = self.connection.scalars(sa.select(sa.func.max(table.c[field]))).all()
                    rows = numbered(rows, (last[0] or 0) + 1)
                insert(self.connection, table, rows)
            self._enter(self.connection, entry["piece"], entry)

    def close(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            self.connection.close()

    def _table(self, connection: Connection, name: str, schema: pa.Schema) -> sa.Table:
        if name not in self.made:
            table = table_of(name, schema, key=numbered_field(schema))
            create(connection, table)
            self.made[name] = table
        return self.made[name]

    def _check_run(self, connection: Connection) -> None:
        """Another process may have begun the run anew before its first piece was there."""
        mine = sa.select(LEDGER.c.entry).where(LEDGER.c.run == self.run, LEDGER.c.piece == RUN)
        if [json.loads(entry) for entry in connection.scalars(mine)] != [self.begun]:
            where = without_password(self.engine.url.render_as_string())
            raise ClinnerError(f"{where}: another process began this run. Wait for it.")

    def _enter(self, connection: Connection, piece: int, entry: Entry) -> None:
        row = {"run": self.run, "piece": piece, "entry": json.dumps(entry, ensure_ascii=False)}
        connection.execute(LEDGER.insert(), row)
