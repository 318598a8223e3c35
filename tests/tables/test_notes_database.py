import pickle
import re
from datetime import date, datetime

import pyarrow as pa
import pytest
import sqlalchemy as sa

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.databases import open_database
from spacy_clinner.tables.sources.notes_database import open_notes
from spacy_clinner.tables.sources.source import FAULT, ROWS_AT_ONCE, Request

CREATE = (
    "CREATE TABLE notes (note_id integer, body varchar(4000), ward varchar(10), seen timestamp, "
    "on_day date, age integer, score double precision)"
)
ROWS = [
    "(2, 'Denies fever.', 'B', '2026-01-02 10:00:00', '2026-01-02', 40, 0.5)",
    "(1, 'Took aspirin.', NULL, '2026-01-01 09:00:00', '2026-01-01', NULL, 1.5)",
    "(3, NULL, 'A', NULL, NULL, 7, NULL)",
]


def fill(url, *statements):
    engine = open_database(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def notes(database):
    """The URL of a database with three notes."""
    fill(database, CREATE, f"INSERT INTO notes VALUES {', '.join(ROWS)}")
    return database


def read(url, **request):
    options = {name: request.pop(name) for name in ("query", "table") if name in request}
    source = open_notes(Request(url, text="body", options=options, **request))
    return source, pa.Table.from_batches(source.batches(), source.schema)


def test_a_table_is_read_in_the_order_of_its_ids(notes):
    source, table = read(notes, table="notes")
    # Of DuckDB, in its own order.
    first = [*"213"] if "duckdb" in notes else [*"123"]
    assert table["note_id"].to_pylist() == first
    table = table.sort_by("note_id")
    assert table["body"].to_pylist() == ["Took aspirin.", "Denies fever.", None]
    assert table[FAULT].null_count == 3
    assert source.count() == 3


def test_another_process_may_read_it(notes):
    source, table = read(notes, table="notes")
    again = pickle.loads(pickle.dumps(source))
    assert pa.Table.from_batches(again.batches(), again.schema) == table


def test_columns_that_are_kept_have_types(notes):
    keep = ("ward", "seen", "on_day", "age", "score")
    source, table = read(notes, table="notes", keep=keep)
    first = table.sort_by("note_id").to_pylist()[0]
    assert first["ward"] is None
    assert first["score"] == 1.5
    assert source.schema.field("age").type == pa.int64()
    # SQLite has no days and times.
    assert first["seen"] in (datetime(2026, 1, 1, 9), "2026-01-01 09:00:00")
    assert first["on_day"] in (date(2026, 1, 1), "2026-01-01")


def test_a_view_is_read_in_the_order_of_its_ids(notes):
    fill(notes, "CREATE VIEW ordered AS SELECT * FROM notes")
    _, table = read(notes, table="ordered")
    assert table["note_id"].to_pylist() == [*"123"]


def test_a_query_is_read_with_all_its_signs(notes):
    query = (
        "WITH n AS (SELECT * FROM notes) SELECT * FROM n "
        "WHERE body LIKE '%in.' AND ':x' <> '' -- 2026"
    )
    _, table = read(notes, query=query)
    assert table["note_id"].to_pylist() == ["1"]


def test_a_table_may_be_in_a_schema(notes):
    if "postgresql" not in notes:
        pytest.skip("SQLite and DuckDB call it main")
    fill(notes, "CREATE SCHEMA clinic", "CREATE TABLE clinic.notes AS SELECT * FROM notes")
    _, table = read(notes, table="clinic.notes")
    fill(notes, "DROP SCHEMA clinic CASCADE")
    assert table.num_rows == 3


def test_no_more_rows_than_a_batch_are_in_memory(database):
    fill(database, CREATE)
    rows = ", ".join(f"({at}, 'x', NULL, NULL, NULL, NULL, NULL)" for at in range(1000))
    fill(database, f"INSERT INTO notes VALUES {rows}")
    source, table = read(database, table="notes")
    assert table["note_id"].to_pylist() == [str(at) for at in range(1000)]
    assert max(batch.num_rows for batch in source.batches()) == ROWS_AT_ONCE


def test_postgresql_keeps_the_cursor(postgresql, monkeypatch):
    cursors = []
    fill(postgresql, CREATE, f"INSERT INTO notes VALUES {ROWS[0]}")

    def seen(connection, cursor, statement, parameters, context, executemany):
        cursors.append(type(cursor).__name__)

    sa.event.listen(sa.Engine, "after_cursor_execute", seen)
    try:
        read(postgresql, table="notes")
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", seen)
        fill(postgresql, "DROP TABLE notes")
    assert cursors[-1] == "ServerCursor"


def test_a_text_that_is_none_is_a_fault_of_its_row(tmp_path):
    url = f"sqlite:///{tmp_path}/notes.sqlite"
    fill(
        url,
        "CREATE TABLE notes (note_id, body)",
        "INSERT INTO notes VALUES (1, 7), (2, x'ff41'), (3, CAST(x'c3' AS TEXT)), (NULL, 'x'), "
        "(5, x'c3a9')",
    )
    _, table = read(url, table="notes")
    faults = dict(zip(table["note_id"].to_pylist(), table[FAULT].to_pylist(), strict=True))
    assert faults == {
        None: "the id is null",
        "1": "the text is no string but int",
        "2": "not UTF-8 (byte 0xff at character 0)",
        "3": "not UTF-8 (byte 0xc3 at character 0)",
        "5": None,
    }
    assert table["body"].to_pylist()[-1] == "é"


def test_a_value_of_another_type_costs_no_other_note(tmp_path):
    url = f"sqlite:///{tmp_path}/notes.sqlite"
    rows = ", ".join(f"({at}, 'x', {at})" for at in range(ROWS_AT_ONCE))
    fill(
        url,
        "CREATE TABLE notes (note_id, body, age)",
        f"INSERT INTO notes VALUES {rows}, (1000, 'x', '90+'), ('x7', 'x', 8), (1.5, 'x', 9)",
    )
    _, table = read(url, table="notes", keep=("age",))
    found = {row["note_id"]: (row["age"], row[FAULT]) for row in table.to_pylist()}
    assert len(found) == ROWS_AT_ONCE + 3
    assert found["255"] == (255, None)
    assert found["x7"] == (8, None)
    assert found["1.5"] == (9, None)
    assert found["1000"] == (None, "column 'age' is no int64, as in the first rows")


def test_a_time_that_python_does_not_have_costs_no_other_note(postgresql):
    fill(
        postgresql,
        "CREATE TABLE notes (note_id time, body text, seen timestamptz, day date)",
        "INSERT INTO notes VALUES ('09:00', 'x', '2026-01-01Z', '2026-01-01'), "
        "('10:00', 'x', 'infinity', '2026-01-01'), ('24:00', 'x', NULL, '0044-03-15 BC')",
    )
    try:
        _, table = read(postgresql, table="notes", keep=("seen", "day"))
    finally:
        fill(postgresql, "DROP TABLE notes")
    rows = {row["note_id"]: row for row in table.to_pylist()}
    assert [*rows] == ["09:00:00", "10:00:00", "24:00:00"]
    assert table.schema.field("seen").type == pa.string()
    assert rows["10:00:00"]["seen"] == "infinity"


def test_json_lists_and_structs_are_json(database):
    made = {
        "sqlite": "SELECT 1 AS note_id, 'x' AS body",
        "duckdb": "SELECT 1 AS note_id, 'x' AS body, ['a', 'é'] AS tags, "
        "{'day': DATE '2026-01-01'} AS seen, MAP {DATE '2026-01-01': 1} AS days",
        "postgresql": "SELECT 1 AS note_id, 'x'::text AS body, ARRAY['a', 'é'] AS tags, "
        '\'{"day": "2026-01-01"}\'::jsonb AS seen, \'{"2026-01-01": 1}\'::json AS days',
    }[database.partition(":")[0].partition("+")[0]]
    if "sqlite" in database:
        pytest.skip("SQLite has JSON as strings only")
    _, table = read(database, query=made, keep=("tags", "seen", "days"))
    (row,) = table.to_pylist()
    assert row["tags"] == '["a", "é"]'
    assert row["seen"] == '{"day": "2026-01-01"}'
    assert row["days"] == '{"2026-01-01": 1}'


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({}, "name a --query or a --table"),
        ({"table": "notes", "query": "SELECT 1"}, "name a --query or a --table"),
        ({"table": "nothing"}, "cannot read the notes"),
        ({"query": "SELEC"}, "cannot read the notes"),
        ({"table": "notes", "id": "number"}, "no column 'number'. It has note_id, body"),
    ],
)
def test_what_cannot_be_read_is_told(notes, request_, says):
    with pytest.raises(ClinnerError, match=re.escape(says)):
        read(notes, **request_)


FAILING = {
    "duckdb": (
        "json_extract(body, '$.a')", "strptime(body, '%Y')", "error(body)", "CAST(body AS INTEGER)",
        "regexp_matches('a', '[' || body)",
    ),
    "postgresql": (
        "CAST(body AS integer)", "CAST(body AS date)", "CAST(body AS json)", "told(body)",
        "body ~ ('[' || body)",
    ),
    "sqlite": ("json_extract(body, '$.a')", "json_extract('{}', body)"),
}  # fmt: skip
TOLD = (
    "CREATE FUNCTION told(t text) RETURNS text AS "
    "$$ BEGIN RAISE EXCEPTION '%%', t; END $$ LANGUAGE plpgsql"
)


def test_what_a_query_does_with_a_note_does_not_quote_it(notes):
    kind = next(kind for kind in FAILING if kind in notes)
    if kind == "postgresql":
        fill(notes, TOLD)
    fill(notes, "UPDATE notes SET body = 'Denies chest\n\"pain' WHERE note_id = 2")
    for failing in FAILING[kind]:
        with pytest.raises(ClinnerError, match="cannot read the notes") as told:
            read(notes, query=f"SELECT note_id, {failing} AS body FROM notes WHERE note_id = 2")
        assert not [word for word in ("Denies", "chest", "pain") if word in str(told.value)]


def test_what_is_wrong_with_a_query_is_told(notes):
    for query, says in [("SELECT * FROM nothing", "nothing"), ("SELEC 1", 'near "1"')]:
        with pytest.raises(ClinnerError, match=rf"cannot read the notes \(.*{says}"):
            read(notes, query=query)


def test_a_server_that_is_not_there_is_told_without_the_password():
    with pytest.raises(ClinnerError, match="cannot read the notes") as told:
        read("postgresql+psycopg://me:secret@127.0.0.1:9/x", table="notes")
    assert "secret" not in str(told.value)
