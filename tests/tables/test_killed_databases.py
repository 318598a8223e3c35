"""From a database into the same one, with a kill in the middle."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import spacy

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


def annotate(starting, model, url, *options):
    notes = ("--table", "clinic_notes", "--text", "body", "--keep", "ward")
    how = ("--to", url, "--piece", str(PIECE), "--processes", "1")
    command = [sys.executable, *starting, "annotate", str(model), url, *notes, *how, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rows_of(url, query):
    with open_database(url).connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


@pytest.mark.parametrize("done", [7])
def test_notes_go_from_a_database_into_it_once_though_the_run_is_killed(model, clinic, done):
    killed = annotate([KILLED, str(done)], model, clinic)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert rows_of(clinic, "SELECT count(*) FROM notes") == [(done * PIECE,)]
    resumed = annotate(["-m", "spacy_clinner"], model, clinic)
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
    times = rows_of(clinic, "SELECT count(DISTINCT processed_at) FROM entities")
    assert times == [(1,)]


def test_ids_of_note_nlp_are_those_of_an_unbroken_run(model, clinic):
    omop = ("--format", "omop")
    killed = annotate([KILLED, "3"], model, clinic, *omop)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = annotate(["-m", "spacy_clinner"], model, clinic, *omop)
    assert resumed.returncode == 0, resumed.stderr
    found = rows_of(clinic, "SELECT note_nlp_id, note_id FROM note_nlp ORDER BY note_nlp_id")
    assert found == [(at + 1, at) for at in range(NOTES)]
    again = annotate(["-m", "spacy_clinner"], model, clinic, *omop)
    assert again.returncode == 0, again.stderr
    assert rows_of(clinic, "SELECT count(*) FROM note_nlp") == [(NOTES,)]
    other = annotate(["-m", "spacy_clinner"], model, clinic, *omop, "--possible", "N")
    assert other.returncode == 2
    assert "another setting options" in " ".join(other.stderr.split())
