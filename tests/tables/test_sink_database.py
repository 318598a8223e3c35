import note_nlp_ddl
import pytest
import sqlalchemy as sa
from finding_rows import entities, entity, links

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.databases import open_database, table_of
from spacy_clinner.tables.omop import NOTE_NLP, note_nlp
from spacy_clinner.tables.schemas import ENTITIES
from spacy_clinner.tables.sinks.database import Database

RUN = {"source": "a", "version": "0.2.0", "settings": {"format": "tables"}}


@pytest.fixture
def opened(database):
    """Sinks of a database, which are closed in the end."""
    sinks = []

    def open_sink():
        sinks.append(Database(database))
        return sinks[-1]

    yield open_sink
    for sink in sinks:
        sink.close()


def stored(url, name, schema):
    table = table_of(name, schema)
    with open_database(url).connect() as connection:
        return connection.execute(table.select()).mappings().all()


def piece(number, *rows):
    return {"piece": number}, {"entities": entities(*rows)}


def test_a_run_begins_and_goes_on(opened, database):
    first = opened()
    assert first.start(RUN) == (RUN, [])
    first.write(*piece(0, entity()))
    first.write(*piece(1, entity(start=30)))
    first.close()
    assert opened().start(RUN | {"version": "0.3.0"}) == (RUN, [{"piece": 0}, {"piece": 1}])
    assert [row["start"] for row in stored(database, "entities", ENTITIES)] == [7, 30]


def test_a_run_that_did_no_piece_does_not_stand_in_the_way_of_another(opened, database):
    opened().start(RUN)
    other = RUN | {"version": "0.3.0"}
    sink = opened()
    assert sink.start(other) == (other, [])
    sink.write(*piece(0, entity()))
    sink.close()
    assert opened().start(RUN) == (other, [{"piece": 0}])


def test_a_run_that_another_process_began_anew_writes_nothing(opened, database):
    if "duckdb" in database:
        pytest.skip("DuckDB lets one process write")
    first, second = opened(), opened()
    first.start(RUN)
    second.start(RUN | {"version": "0.3.0"})
    with pytest.raises(ClinnerError, match="another process began this run"):
        first.write(*piece(0, entity()))
    second.write(*piece(0, entity()))
    assert len(stored(database, "entities", ENTITIES)) == 1


def test_runs_of_other_notes_or_formats_stand_in_the_same_database(opened, database):
    for run in (RUN, RUN | {"source": "b"}, RUN | {"settings": {"format": "omop"}}):
        sink = opened()
        assert sink.start(run) == (run, [])
        sink.write(*piece(0, entity()))
        sink.close()
    assert len(stored(database, "entities", ENTITIES)) == 3


def test_a_table_of_the_users_with_other_columns_is_told_of_before_anything_is_written(
    opened, database
):
    engine = open_database(database)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE notes (note_id integer, body varchar(9))")
        connection.exec_driver_sql("CREATE TABLE links (start integer)")
    tables = {"entities": entities(), "links": links()}
    with pytest.raises(ClinnerError, match="a table 'links' without the columns note_id, entity_"):
        opened().check(tables)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE links")
    sink = opened()
    sink.check(tables)
    sink.start(RUN)
    sink.write({"piece": 0}, tables)
    sink.check(tables)


def test_a_piece_is_there_with_its_entry_or_not_at_all(opened, database):
    sink = opened()
    sink.start(RUN)
    sink.write(*piece(0, entity()))
    with pytest.raises(ClinnerError, match="cannot write the tables"):
        sink.write(*piece(0, entity(start=30)))
    sink.close()
    assert len(stored(database, "entities", ENTITIES)) == 1
    assert opened().start(RUN) == (RUN, [{"piece": 0}])


def test_numbers_go_on_from_the_last_that_is_there_in_the_table_of_the_cdm(opened, database):
    engine = open_database(database)
    with engine.begin() as connection:
        for statement in note_nlp_ddl.statements(engine.dialect.name):
            connection.exec_driver_sql(statement)
    made = note_nlp(entities(entity(), entity(start=30)), links())
    for run in ("a", "b"):
        sink = opened()
        sink.start(RUN | {"source": run})
        sink.write({"piece": 0}, {"note_nlp": made})
        sink.write({"piece": 1}, {"note_nlp": made.slice(0, 0)})
        sink.write({"piece": 2}, {"note_nlp": made})
        sink.close()
    rows = stored(database, "note_nlp", NOTE_NLP)
    assert sorted(row["note_nlp_id"] for row in rows) == list(range(1, 9))


def test_the_table_that_is_made_has_the_columns_of_the_cdm(opened, database):
    sink = opened()
    sink.start(RUN)
    sink.write({"piece": 0}, {"note_nlp": note_nlp(entities(entity()), links())})
    sink.close()
    if "duckdb" in database:
        with open_database(database).connect() as connection:
            rows = connection.exec_driver_sql("DESCRIBE note_nlp").all()
        kinds = {row[0]: row[1] for row in rows}
        assert kinds["nlp_datetime"] == "TIMESTAMP"
    else:
        columns = sa.inspect(open_database(database)).get_columns("note_nlp")
        kinds = {column["name"]: str(column["type"]) for column in columns}
        assert kinds["snippet"] == "VARCHAR(250)"
        assert kinds["term_modifiers"] == "VARCHAR(2000)"
    assert kinds["nlp_date"] == "DATE"
    assert list(kinds) == NOTE_NLP.names


def test_notes_are_read_from_the_database_that_is_written_to(opened, database):
    engine = open_database(database)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE notes (note_id integer, body varchar(9))")
        values = ", ".join(f"({at}, 'x')" for at in range(1000))
        connection.exec_driver_sql(f"INSERT INTO notes VALUES {values}")
    sink = opened()
    sink.start(RUN)
    reads = sa.select(sa.text("*")).select_from(sa.table("notes"))
    with (
        engine.connect() as connection,
        connection.execution_options(yield_per=10).execute(reads) as result,
    ):
        for number, rows in enumerate(result.partitions(500)):
            sink.write(*piece(number, entity(start=len(rows))))
    assert len(stored(database, "entities", ENTITIES)) == 2
