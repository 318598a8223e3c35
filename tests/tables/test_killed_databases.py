"""From a database into the same one, with a kill in the middle."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import spacy
import sqlalchemy as sa
from commands import clinner

from spacy_clinner.tables.databases import create, insert, open_database, table_of

NOTES, PIECE = 20_000, 1000
KILLED = Path(__file__).parent / "killed_annotate.py"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A pipeline that takes milliseconds for a hundred notes."""
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "PROBLEM", "pattern": "fever"}])
    folder = tmp_path_factory.mktemp("model")
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def clinic(database):
    """The URL of a database with notes, each of which has a fever somewhere."""
    rows = pa.table(
        {
            "note_id": list(range(NOTES)),
            "body": [f"{'Seen. ' * (at % 7)}Has fever." for at in range(NOTES)],
            "ward": [f"W{at % 5}" for at in range(NOTES)],
        }
    )
    table = table_of("clinic_notes", rows.schema)
    with open_database(database).begin() as connection:
        create(connection, table)
        insert(connection, table, rows)
    return database


def arguments(model, url, *options):
    notes = ("--table", "clinic_notes", "--text", "body", "--keep", "ward")
    how = ("--to", url, "--piece", str(PIECE), "--processes", "1")
    return ["annotate", str(model), url, *notes, *how, *options]


def killed_after(pieces, *command):
    done = subprocess.run(
        [sys.executable, KILLED, str(pieces), *command], capture_output=True, text=True, check=False
    )
    return done.returncode == -signal.SIGKILL, done.stderr


def rows_of(url, query):
    with open_database(url).connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


@pytest.mark.long
def test_notes_go_from_a_database_into_it_once_though_the_run_is_killed(model, clinic, tmp_path):
    command = arguments(model, clinic)
    killed, told = killed_after(7, *command)
    assert killed, told
    # On a busy machine it tells how far it is.
    assert all("of 20,000 notes, " in line for line in told.splitlines())
    assert rows_of(clinic, "SELECT count(*) FROM notes") == [(7 * PIECE,)]
    resumed = clinner(tmp_path, *command)
    assert resumed.returncode == 0, resumed.stderr
    found = rows_of(clinic, 'SELECT note_id, "start", text FROM entities')
    assert sorted(found, key=lambda row: int(row[0])) == [
        (str(at), 6 * (at % 7) + 4, "fever") for at in range(NOTES)
    ]
    found = rows_of(clinic, "SELECT note_id, status, ward FROM notes")
    assert sorted(found, key=lambda row: int(row[0])) == [
        (str(at), "ok", f"W{at % 5}") for at in range(NOTES)
    ]
    entries = rows_of(clinic, "SELECT piece, entry FROM clinner_ledger ORDER BY piece")
    assert [piece for piece, _ in entries] == list(range(-1, NOTES // PIECE + 1))
    assert "fever" not in json.dumps(entries)
    assert len(rows_of(clinic, "SELECT DISTINCT processed_at FROM entities")) == 1


@pytest.fixture
def breaks_at_third_piece():
    """The transaction of the third piece fails when all is in it."""
    seen = []

    full = pytest.importorskip("duckdb").IOException("no more space")

    def look(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith("INSERT INTO clinner_ledger"):
            seen.append(statement)
            if len(seen) == 4:
                raise sa.exc.OperationalError(statement, None, full)

    sa.event.listen(sa.Engine, "after_cursor_execute", look)
    yield seen
    sa.event.remove(sa.Engine, "after_cursor_execute", look)


@pytest.mark.parametrize("database", ["duckdb"], indirect=True)
def test_ids_of_note_nlp_are_those_of_an_unbroken_run(
    model, clinic, tmp_path, breaks_at_third_piece
):
    command = arguments(model, clinic, "--format", "omop")
    broken = clinner(tmp_path, *command)
    assert broken.returncode == 2
    assert "cannot write the tables (IOException: no more space)" in broken.stderr
    assert rows_of(clinic, "SELECT count(*) FROM note_nlp") == [(2 * PIECE,)]
    for _ in range(2):
        again = clinner(tmp_path, *command)
        assert again.returncode == 0, again.stderr
        found = rows_of(clinic, "SELECT note_nlp_id, note_id FROM note_nlp ORDER BY note_nlp_id")
        assert found == [(at + 1, at) for at in range(NOTES)]
    other = clinner(tmp_path, *command, "--possible", "N")
    assert other.returncode == 2
    assert "The setting options was" in " ".join(other.stderr.split())
