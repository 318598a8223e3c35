import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import note_nlp_ddl
import pyarrow as pa
import pytest
import sqlalchemy as sa
from finding_rows import EVERYTHING, entities, entity, links

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.databases import create, insert, named_errors, open_database, table_of
from spacy_clinner.tables.omop import NOTE_NLP, note_nlp
from spacy_clinner.tables.schemas import ENTITIES


@pytest.fixture
def engine(database):
    engine = open_database(database)
    yield engine
    engine.dispose()


def test_the_ddl_of_the_cdm_takes_the_table(engine):
    table = note_nlp(
        entities(*(entity("chest\0pain", **said) for said in EVERYTHING[::7])),
        links(),
        {"1": "Denies chest\0pain."},
    )
    with engine.begin() as connection:
        for statement in note_nlp_ddl.statements(engine.dialect.name):
            connection.exec_driver_sql(statement)
        insert(connection, table_of("note_nlp", NOTE_NLP), table)
    with engine.connect() as connection:
        stored = connection.exec_driver_sql(
            'SELECT "offset", term_exists, lexical_variant FROM note_nlp ORDER BY note_nlp_id'
        ).all()
    assert [row[0] for row in stored] == ["7"] * table.num_rows
    assert [row[1] for row in stored] == table["term_exists"].to_pylist()
    assert stored[0][2] == "chest\ufffdpain"


def test_what_is_stored_is_what_was_found(engine):
    found = entities(entity(negated=True, evidence=["cue:denies", "x"]), entity(start=30))
    table = table_of("entities", ENTITIES)
    with engine.begin() as connection:
        create(connection, table)
        create(connection, table)
        insert(connection, table, found)
        insert(connection, table, found.slice(0, 0))
    with engine.connect() as connection:
        first, second = connection.execute(table.select().order_by(table.c.start)).mappings()
    assert first["negated"] is True
    assert second["negated"] is None
    assert first["evidence"] == '["cue:denies", "x"]'
    stored = first["processed_at"]
    assert stored.replace(tzinfo=stored.tzinfo or UTC) == found["processed_at"][0].as_py()
    same = set(ENTITIES.names) - {"evidence", "processed_at"}
    expected = found.to_pylist()[0]
    assert {name: first[name] for name in same} == {name: expected[name] for name in same}


def test_columns_that_are_passed_through_keep_their_types(engine):
    rows = pa.table(
        {
            "day": [date(2026, 3, 1), None],
            "at": [datetime(2026, 3, 1, 12), None],
            "n": pa.array([2**40, None], pa.int64()),
            "part": [0.25, None],
            "on": [True, None],
            "raw": [b"\x00\xff", None],
            "ward": pa.array(["A\0", None]).dictionary_encode(),
            "tags": [{"a": [1]}, None],
            "nothing": pa.array([None, None]),
            "Order": ["select", "from"],
        }
    )
    table = table_of("Notes of today", rows.schema)
    with engine.begin() as connection:
        create(connection, table)
        insert(connection, table, rows)
        first, second = connection.execute(table.select().order_by(table.c.n.nulls_last())).all()
    assert tuple(first) == (
        date(2026, 3, 1), datetime(2026, 3, 1, 12), 2**40, 0.25, True, b"\x00\xff", "A\ufffd",
        '{"a": [1]}', None, "select",
    )  # fmt: skip
    assert tuple(second) == (*[None] * 9, "from")


def test_what_sqlite_has_no_type_for_is_stored_as_it_is_and_not_nearly(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path}/notes.sqlite")
    zoned = pa.array([datetime(2020, 1, 1, 15, tzinfo=UTC)] * 2, pa.timestamp("us", "UTC"))
    rows = pa.table(
        {
            "at": zoned.cast(pa.timestamp("us", "America/New_York")),
            "n": pa.array([9007199254740993, 2**64 - 1], pa.uint64()),
            "exact": pa.array([Decimal("12345678901234567890.12"), None]),
        }
    )
    table = table_of("notes", rows.schema)
    with engine.begin() as connection:
        create(connection, table)
        insert(connection, table, rows)
        stored = connection.exec_driver_sql("SELECT * FROM notes").all()
    engine.dispose()
    assert stored == [
        ("2020-01-01 15:00:00.000000", 9007199254740993, "12345678901234567890.12"),
        ("2020-01-01 15:00:00.000000", "18446744073709551615", None),
    ]


def test_lists_and_the_like_are_the_json_that_files_have(engine):
    seen = [{"at": datetime(2026, 3, 1, 12), "raw": b"a\xff", "share": [math.nan, 0.5]}, None]
    rows = pa.table({"seen": seen})
    table = table_of("notes", rows.schema)
    with engine.begin() as connection:
        create(connection, table)
        insert(connection, table, rows)
        stored = set(connection.execute(table.select()).scalars())
    assert stored == {'{"at": "2026-03-01T12:00:00", "raw": "a\ufffd", "share": [null, 0.5]}', None}


def test_rows_are_there_with_their_transaction_or_not_at_all(engine):
    table = table_of("entities", ENTITIES)
    with engine.begin() as connection:
        create(connection, table)
    with engine.connect() as connection:
        insert(connection, table, entities(entity()))
        connection.rollback()
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 0


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nodatabase:///x", "The database URL cannot be read"),
        ("notes.csv", "The database URL cannot be read"),
        ("mysql+pymysql://me:secret@host/x", "pip install 'spacy-clinner[databases]'"),
    ],
)
def test_a_url_that_cannot_be_opened_is_told(url, says):
    with pytest.raises(ClinnerError, match=re.escape(says)) as told:
        open_database(url)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("lacks", [True, False])
def test_what_a_database_refuses_is_told_without_a_word_of_a_note(engine, lacks):
    if engine.dialect.name == "sqlite" and not lacks:
        pytest.skip("SQLite stores any value in any column")
    numbers = pa.field("text", pa.int64())
    place = ENTITIES.get_field_index("text")
    with engine.begin() as connection:
        there = pa.schema([numbers]) if lacks else ENTITIES.set(place, numbers)
        create(connection, table_of("entities", there))

    def write():
        with named_errors(engine, "cannot write"), engine.begin() as connection:
            insert(connection, table_of("entities", ENTITIES), entities(entity()))

    with pytest.raises(ClinnerError, match=r"cannot write \(") as told:
        write()
    assert "chest pain" not in str(told.value)
    assert "\n" not in str(told.value)
