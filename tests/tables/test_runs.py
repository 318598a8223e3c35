"""Whole runs of the command, in processes that are killed, too."""

import csv as python_csv
import datetime
import decimal
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pyarrow as pa
import pytest
import spacy
from commands import clinner
from pipelines import BAD, failing, rules
from pyarrow import csv
from pyarrow import parquet as pq

from spacy_clinner.tables.schemas import ENTITIES, LINKS

WHEN = ("--processed-at", "2026-01-02T03:04:05")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    rules().to_disk(folder)
    return folder


@pytest.fixture
def notes(tmp_path):
    """250 notes, two of them empty and one without an id."""
    texts = [f"Denies fever {at}. Took aspirin." for at in range(250)]
    texts[3], texts[77] = "", None
    ids = [f"n{at}" for at in range(250)]
    ids[9] = None
    wards = ["A", "B"] * 125
    pq.write_table(pa.table({"note_id": ids, "text": texts, "ward": wards}), tmp_path / "n.parquet")
    return tmp_path / "n.parquet"


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(folder, name):
    return pa.concat_tables(pq.read_table(path) for path in sorted((folder / name).iterdir()))


def annotate(folder, *arguments, says=(), code=0):
    done = clinner(folder, "annotate", *arguments, "--processes", 1)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for part in says:
        assert part in done.stdout + " ".join(done.stderr.split())


def test_a_folder_of_parquet_has_a_part_for_each_piece_and_a_ledger(model, notes, tmp_path):
    out = tmp_path / "out"
    annotate(
        tmp_path, model, notes, out, "--piece", 100, "--keep", "ward", code=1,
        says=["notes ok", "247", "notes empty", "2", "ents/PROBLEM", "words per second"],
    )  # fmt: skip
    parts = [f"part-00000{at}.parquet" for at in range(3)]
    assert set(files(out)) == {
        "_ledger.jsonl",
        *(f"{name}/{part}" for name in ("entities", "links", "notes") for part in parts),
    }
    for name, schema in (("entities", ENTITIES), ("links", LINKS)):
        assert table(out, name).schema.equals(schema)
        assert table(out, name).schema.metadata == schema.metadata
    found = table(out, "notes").to_pylist()
    assert [note["ward"] for note in found] == ["A", "B"] * 125
    assert found[9]["note_id"] == "(row 10)"
    assert (found[9]["status"], found[9]["error"]) == ("failed", "the id is null")
    run, *pieces, end = map(json.loads, (out / "_ledger.jsonl").read_text().splitlines())
    assert run["model"] == "en_rules"
    assert run["settings"]["piece"] == 100
    assert [piece["rows"] for piece in pieces] == [100, 200, 250]
    assert end == {"piece": 3, "finished": True}
    assert all(oct(path.stat().st_mode)[-3:] == "600" for path in out.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_database_that_is_made_is_its_users_alone(model, notes, tmp_path, kind):
    pytest.importorskip(kind.replace("sqlite", "sqlalchemy"))
    annotate(tmp_path, model, notes, "--to", f"{kind}:///findings.{kind}", code=1)
    assert (tmp_path / f"findings.{kind}").stat().st_mode & 0o777 == 0o600


def test_the_ledger_holds_no_word_of_a_note(model, notes, tmp_path):
    annotate(tmp_path, model, notes, "out", code=1)
    ledger = (tmp_path / "out/_ledger.jsonl").read_text()
    assert not [word for word in ("fever", "aspirin", "Denies", "Took") if word in ledger]


def test_jsonl_and_csv_say_what_parquet_says(model, notes, tmp_path):
    for kind in ("parquet", "jsonl", "csv"):
        annotate(tmp_path, model, notes, kind, "--files", kind, "--keep", "ward", *WHEN, code=1)
    for name in ("entities", "notes"):
        expected = table(tmp_path / "parquet", name).to_pylist()
        for row in expected:
            if name == "entities":
                row["processed_at"] = row["processed_at"].isoformat()
        lines = (tmp_path / f"jsonl/{name}/part-000000.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == expected
        options = csv.ConvertOptions(
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
            column_types={"processed_at": pa.string()},
        )
        rows = csv.read_csv(
            tmp_path / f"csv/{name}/part-000000.csv", convert_options=options
        ).to_pylist()
        for row in rows:
            if "evidence" in row:
                row["evidence"] = json.loads(row["evidence"])
        assert rows == expected


def test_kept_columns_of_any_type_are_written_as_anything(model, tmp_path):
    kept = {
        "ward": pa.array(["A", None]).dictionary_encode(),
        "seen": pa.array([1_767_268_800_000_000_000, None], pa.timestamp("ns")),
        "exactly": pa.array([1_767_268_800_000_000_001, None], pa.timestamp("ns")),
        "zoned": pa.array([0, None], pa.timestamp("s", "UTC")),
        "price": pa.array([decimal.Decimal("1.20"), None]),
        "share": pa.array([float("nan"), None]),
        "stay": pa.array([5, None], pa.duration("s")),
        "hour": pa.array([datetime.time(1, 2), None]),
        "day": pa.array([datetime.date(2026, 1, 1), None]),
        "raw": pa.array([b"\xffa", None]),
        "codes": pa.array([[1, 2], None]),
        "odd": pa.array([[1.0, float("nan"), float("inf")], None]),
    }
    notes = {"note_id": [1, 2], "text": ["fever", "fever"], **kept}
    pq.write_table(pa.table(notes), tmp_path / "n.parquet")
    keep = ("--keep", ",".join(kept))
    for kind in ("parquet", "jsonl", "csv"):
        annotate(tmp_path, model, "n.parquet", kind, *keep, "--files", kind)
    for url in ("sqlite:///n.sqlite", "duckdb:///n.duckdb"):
        annotate(tmp_path, model, "n.parquet", "--to", url, *keep)
    lines = (tmp_path / "jsonl/notes/part-000000.jsonl").read_text().splitlines()
    first, second = ({n: v for n, v in json.loads(line).items() if n in kept} for line in lines)
    assert first == {
        "ward": "A",
        "seen": "2026-01-01T12:00:00",
        "exactly": "2026-01-01 12:00:00.000000001",
        "zoned": "1970-01-01T00:00:00+00:00",
        "price": "1.20",
        "share": None,
        "stay": "0:00:05",
        "hour": "01:02:00",
        "day": "2026-01-01",
        "raw": "\ufffda",
        "codes": [1, 2],
        "odd": [1.0, None, None],
    }
    assert set(second.values()) == {None}
    written = (tmp_path / "csv/notes/part-000000.csv").read_text().splitlines(keepends=True)
    row = next(python_csv.DictReader(written))
    same = {name: str(value) for name, value in first.items() if name not in ("share", "odd")}
    assert row["odd"] == "[1.0, null, null]"
    assert {name: row[name] for name in same} == same


def test_options_choose_what_is_read_and_written(model, notes, tmp_path):
    annotate(
        tmp_path, model, notes, "out", "--only", "drug,nothing", "--no-text", "--where", "ward=B",
        "--where", "negated=false", "--keep", "ward",
        code=1, says=["nothing was found of nothing"],
    )  # fmt: skip
    entities, found = (table(tmp_path / "out", name) for name in ("entities", "notes"))
    assert set(entities["label"].to_pylist()) == {"DRUG"}
    assert entities["text"].null_count == len(entities) == 122
    assert set(found["ward"].to_pylist()) == {"B"}
    assert sum(found["n_entities"].to_pylist()) == len(entities)


def test_exit_code_is_0_where_all_is_done(model, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("No fever.")
    # More than the million characters that spaCy takes as a rule.
    (tmp_path / "in" / "b.txt").write_text("Nothing is said of it today.\n" * 40_000)
    annotate(tmp_path, model, "in", "out", says=["✔ out"])
    assert table(tmp_path / "out", "entities")["note_id"].to_pylist() == ["a"]
    assert table(tmp_path / "out", "notes")["n_characters"].to_pylist() == [9, 1_160_000]


def test_what_nobody_foresaw_is_exit_code_2_and_quotes_no_note(tmp_path):
    nlp = rules()
    nlp.add_pipe("cannot_be_loaded")
    nlp.to_disk(tmp_path / "model")
    pq.write_table(pa.table({"note_id": [1], "text": ["Denies fever"]}), tmp_path / "n.parquet")
    annotate(
        tmp_path, "model", "n.parquet", "out", code=2,
        says=["RuntimeError: a fault of this program, at", "pipelines.py"],
    )  # fmt: skip
    done = clinner(tmp_path, "annotate", "model", "n.parquet", "out", "--processes", 1)
    assert not {"Denies", "fever"} & {*done.stderr.split()}


def test_without_pyarrow_it_says_what_to_install(tmp_path):
    (tmp_path / "pyarrow.py").write_text("raise ModuleNotFoundError('gone', name='pyarrow')")
    command = [sys.executable, "-m", "spacy_clinner", "annotate", "m", "n.parquet", "out"]
    env = dict(os.environ, PYTHONPATH=str(tmp_path))
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'pip install "spacy-clinner[tables]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_notes_that_fail_are_rows_and_exit_code_is_1(tmp_path):
    failing().to_disk(tmp_path / "model")
    texts = [BAD if at % 40 == 0 else "fever" for at in range(200)]
    pq.write_table(pa.table({"note_id": range(200), "text": texts}), tmp_path / "n.parquet")
    annotate(tmp_path, "model", "n.parquet", "out", "--piece", 30, code=1, says=["notes failed"])
    found = table(tmp_path / "out", "notes").to_pylist()
    assert {note["error"] for note in found} == {None, "RuntimeError in breaks"}
    failed = [note["note_id"] for note in found if note["status"] == "failed"]
    assert failed == [str(at) for at in range(0, 200, 40)]
    assert len(table(tmp_path / "out", "entities")) == 195


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere", "n.parquet", "out"], "nowhere: no such pipeline"),
        (["{model}", "n.csv", "out"], "n.csv: no notes there"),
        (["{model}", "n.parquet", "out", "--text", "body"], "no column 'body'"),
        (["{model}", "n.parquet", "out", "--id", "key"], "no column 'key'"),
        (["{model}", "n.parquet", "out", "--keep", "x"], "no column 'x'"),
        (["{model}", "n.parquet", "out", "--where", "x=1"], "no column 'x'"),
        (["{model}", "n.parquet", "out", "--where", "x"], "not of the form COLUMN=VALUE"),
        (["{model}", "n.parquet", "out", "--only", ""], "--only '' names nothing"),
        (["{model}", "n.parquet", "out", "--layers", " ,"], "--layers ' ,' names nothing"),
        (["{model}", "n.parquet", "out", "--layers", "clincal"], "no layer 'clincal'; it has ents"),
        (["{model}", "n.parquet", "out", "--engine", "dask"], "--engine 'dask': unknown"),
        (["{model}", "n.parquet", "out", "--format", "x"], "--format 'x': unknown"),
        (["{model}", "n.parquet", "out", "--files", "x"], "--files 'x': unknown"),
        (
            ["{model}", "n.parquet", "out", "--threshold", "1.5"],
            "should be less than or equal to 1",
        ),
        (["{model}", "n.parquet", "out", "--address", "auto"], "--address is for --engine ray"),
        (["{model}", "n.parquet", "out", "--id", "text"], "--id and --text both name 'text'"),
        (
            ["{model}", "n.parquet", "out", "--no-text", "--where", "cue_text=no"],
            "--where cue_text: with --no-text there is none",
        ),
        (
            ["{model}", "n.parquet", "--to", "sqlite:///x", "--files", "csv"],
            "--files is for a folder OUT",
        ),
        (["{model}", "n.parquet", "--to", "sqlite://"], "sqlite://: a database in memory"),
        (["{model}", "n.parquet", "--to", "duckdb:///:memory:"], "a database in memory"),
        (["{model}", "n.parquet", "."], ".: holds files, but no run of this command"),
        (["{model}", "n.parquet", "n.parquet"], "n.parquet: File exists"),
    ],
)
def test_what_could_not_run_is_one_message_and_exit_code_2(model, notes, tmp_path, arguments, says):
    arguments = [part.format(model=model) for part in arguments]
    annotate(tmp_path, *arguments, says=[says], code=2)
    assert not (tmp_path / "out" / "entities").exists()


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"note_id": ["a"], "status": ["x"]}, "columns status, which is a name"),
        ({"note_id": ["a"], "STATUS": ["x"]}, "columns STATUS, which is a name"),
        ({"note_id": [["a"]], "status": ["x"]}, "cannot be written as strings"),
    ],
)
def test_a_column_that_cannot_be_used_stops_the_run_before_it_starts(
    model, tmp_path, columns, says
):
    pq.write_table(pa.table({**columns, "text": ["fever"]}), tmp_path / "n.parquet")
    keep = next(name for name in columns if name != "note_id")
    annotate(tmp_path, model, "n.parquet", "out", "--keep", keep, says=[says], code=2)
    assert not (tmp_path / "out").exists()


def test_a_column_whose_name_has_a_comma_is_kept_in_quotes(model, tmp_path):
    columns = {"note_id": ["a"], "text": ["fever"], "ward, bed": ["A, 1"], "day": [1]}
    pq.write_table(pa.table(columns), tmp_path / "n.parquet")
    annotate(tmp_path, model, "n.parquet", "out", "--keep", 'day, "ward, bed"')
    assert table(tmp_path / "out", "notes")["ward, bed"].to_pylist() == ["A, 1"]


def test_a_database_with_a_table_of_ones_own_is_left_as_it_is(model, notes, tmp_path):
    with closing(sqlite3.connect(tmp_path / "mine.sqlite")) as mine, mine:
        mine.execute("CREATE TABLE notes (note_id TEXT, body TEXT)")
    says = ["has a table 'notes' without the columns status"]
    annotate(tmp_path, model, notes, "--to", "sqlite:///mine.sqlite", code=2, says=says)
    with closing(sqlite3.connect(tmp_path / "mine.sqlite")) as mine:
        assert mine.execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]


def test_the_same_command_does_nothing_when_all_is_done(model, notes, tmp_path):
    annotate(tmp_path, model, notes, "out", code=1)
    before = files(tmp_path / "out")
    annotate(tmp_path, model, notes, "out", code=1, says=["notes ok", "247"])
    assert files(tmp_path / "out") == before


@pytest.mark.parametrize("files_as", ["parquet", "jsonl", "csv"])
def test_a_source_without_notes_gives_tables_without_rows(model, tmp_path, files_as):
    empty = {"note_id": pa.array([], pa.int64()), "text": pa.array([], pa.string())}
    pq.write_table(pa.table({**empty, "day": pa.array([], pa.date32())}), tmp_path / "n.parquet")
    arguments = (model, "n.parquet", "out", "--keep", "day", "--files", files_as)
    for _ in range(2):
        annotate(tmp_path, *arguments)
    written = {path for path in files(tmp_path / "out") if not path.startswith("_")}
    assert written == {f"{n}/part-000000.{files_as}" for n in ("entities", "links", "notes")}
    if files_as == "parquet":
        assert table(tmp_path / "out", "entities").schema.equals(ENTITIES)
        assert table(tmp_path / "out", "notes").schema.field("day").type == pa.date32()
    if files_as == "csv":
        header = files(tmp_path / "out")["links/part-000000.csv"].decode()
        assert header.strip().replace('"', "").split(",") == LINKS.names


def test_all_parts_of_a_table_have_one_schema(model, tmp_path):
    # Of two pieces, one has a null id.
    pq.write_table(
        pa.table({"note_id": [1, None, 3, 4], "text": ["fever"] * 4}), tmp_path / "n.parquet"
    )
    annotate(tmp_path, model, "n.parquet", "out", "--piece", 2, code=1)
    first, second = (pq.read_schema(p) for p in sorted((tmp_path / "out/notes").iterdir()))
    assert first.equals(second, check_metadata=True)
    assert first.field("note_id").metadata[b"type_in_source"] == b"int64"


def test_another_model_setting_or_input_is_refused_and_named(model, notes, tmp_path):
    annotate(tmp_path, model, notes, "out", "--piece", 100, code=1)
    before = files(tmp_path / "out")
    nlp = spacy.load(model)
    nlp.meta["version"] = "0.0.1"
    nlp.to_disk(tmp_path / "newer")
    nlp.meta["version"] = "0.0.0"
    nlp.get_pipe("entity_ruler").add_patterns([{"label": "DRUG", "pattern": "ibuprofen"}])
    nlp.to_disk(tmp_path / "retrained")
    for arguments, says in [
        (("newer", notes, "--piece", 100), "The model version was '0.0.0'"),
        (("retrained", notes, "--piece", 100), "The model sha256 was"),
        ((model, notes, "--piece", 99), "The setting piece was 100 when this run began, and is 99"),
        ((model, notes, "--piece", 100, "--no-text"), "The setting no text was False"),
        ((model, notes, "--piece", 100, "--threshold", 0.5), "The setting threshold was None"),
        ((model, notes, "--piece", 100, "--files", "csv"), "The setting files was 'parquet'"),
        ((model, notes, "--piece", 100, "--where", "ward=A"), "The setting where was []"),
    ]:
        annotate(tmp_path, *arguments[:2], "out", *arguments[2:], code=2, says=[says])
    table = pq.read_table(notes)
    for changed, says in [
        (table.slice(0, 249), "in piece 2 the notes are others than"),
        (table.slice(0, 200), "in piece 2 there are fewer notes than"),
        (pa.concat_tables([table.slice(0, 100), table.slice(101)]), "in piece 1 the notes are"),
    ]:
        pq.write_table(changed, tmp_path / "changed.parquet")
        arguments = (model, "changed.parquet", "out", "--piece", 100)
        annotate(tmp_path, *arguments, code=2, says=["The input has changed", says])
    assert files(tmp_path / "out") == before


def start(folder, *arguments):
    command = [sys.executable, "-m", "spacy_clinner", "annotate", *map(str, arguments)]
    # A group of its own, so that what it started can be looked for.
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def lines(folder):
    path = folder / "_ledger.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def group_is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(("processes", "kills"), [(1, (5, 20)), (2, (15,))])
def test_after_kill_9_the_same_command_gives_the_same_bytes(
    model, notes, tmp_path, processes, kills
):
    arguments = (model, notes, "--piece", 5, "--processes", processes, *WHEN)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    annotate(tmp_path, *arguments[:2], whole, *arguments[2:4], *WHEN, code=1)
    for least in kills:
        running = start(tmp_path, *arguments[:2], killed, *arguments[2:])
        while lines(killed) < least and running.poll() is None:
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        running.communicate()
        deadline = time.monotonic() + 60
        # Nothing that it started goes on.
        while group_is_alive(running.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not group_is_alive(running.pid)
    # What a disk that lost power may show: half a line, and a file that was not renamed.
    with (killed / "_ledger.jsonl").open("ab") as ledger:
        ledger.write(b'{"piece": 99, "rows"')
    (killed / "notes" / ".part-000099.parquet.1.partial").write_bytes(b"PAR1")
    assert 5 <= lines(killed) < 51
    annotate(tmp_path, *arguments[:2], killed, *arguments[2:4], *WHEN, code=1)
    assert files(killed) == files(whole)


def test_what_is_interrupted_says_how_to_go_on(model, notes, tmp_path):
    running = start(tmp_path, model, notes, "out", "--piece", 1, "--processes", 1)
    while lines(tmp_path / "out") < 3 and running.poll() is None:
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate()
    assert running.returncode == 2
    assert told.decode().strip() == "✘ Stopped. The same command goes on where it was."


def test_two_processes_do_not_write_to_one_folder(model, notes, tmp_path):
    from spacy_clinner.errors import ClinnerError
    from spacy_clinner.tables.sinks import open_sink

    first, second = (open_sink(str(tmp_path / "out"), "parquet") for _ in range(2))
    first.start({"model": "a"})
    with pytest.raises(ClinnerError, match="another process writes there"):
        second.start({"model": "a"})
    second.close()
    first.close()
