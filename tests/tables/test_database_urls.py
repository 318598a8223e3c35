import subprocess
import sys

from spacy_clinner.tables.database_urls import (
    is_database,
    is_in_memory,
    source_key,
    without_password,
)

WITHOUT = """
import sys
sys.modules["sqlalchemy"] = None
from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.sinks import open_sink
from spacy_clinner.tables.sources import open_source
from spacy_clinner.tables.sources.source import Request
from spacy_clinner.tables.table_formats import FORMATS
open_sink("folder", "parquet")
for opens in (lambda: open_sink("sqlite:///x", "parquet"), lambda: open_source(Request("sqlite:///x"))):
    try:
        opens()
    except ClinnerError as error:
        assert "pip install 'spacy-clinner[databases]'" in str(error), error
    else:
        raise AssertionError
"""


def test_only_databases_need_what_opens_them():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_url_is_a_database_and_a_path_is_none():
    assert is_database("duckdb:///x.duckdb")
    assert not is_database("C:/notes.csv")


def test_a_database_in_memory_is_told_from_one_in_a_file():
    for url in ("sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+pysqlite://", "duckdb://",
                "duckdb:///:memory:x", "sqlite:///file:x?mode=memory&uri=true"):  # fmt: skip
        assert is_in_memory(url)
    for url in (
        "sqlite:///x",
        "duckdb:////x/y.duckdb?threads=1",
        "postgresql://",
        "duckdb:///md:x",
    ):
        assert not is_in_memory(url)


def test_a_password_is_not_shown_and_no_part_of_what_tells_runs_apart():
    url = "postgresql://me:{}@host/x"
    assert without_password(url.format("a/:b")) == without_password(url.format("a"))
    assert without_password(url.format("half@word")) == without_password(url.format("a"))
    assert without_password("sqlite:////a@b/c") == "sqlite:////a@b/c"
    assert source_key(url.format("a"), {}) == source_key(url.format("b"), {})
    option = "postgresql://host/x?user=me&password={}&sslmode=require"
    assert without_password(option.format("a")) == option.format("***")
    assert source_key(option.format("a"), {}) == source_key(option.format("b"), {})
    assert source_key(url, {"query": "SELECT 1"}) != source_key(url, {"query": "SELECT 2"})


def test_notes_are_the_same_however_their_place_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = tmp_path.as_posix()

    def same(*places, **options):
        return len({source_key(place, options) for place in places}) == 1

    assert same("n.parquet", "./n.parquet", f"{here}/x/../n.parquet")
    assert same("exports/*.csv", "./exports//*.csv")
    assert same("letters", "letters/")
    assert not same("n.parquet", "m.parquet")
    for kind in ("sqlite", "duckdb"):
        assert same(f"{kind}:///c.db", f"{kind}:///./c.db", f"{kind}:///{here}/c.db", table="note")
        assert not same(f"{kind}:///c.db", f"{kind}:///d.db")
    assert same("duckdb:///c.db", "duckdb:///c.db?memory_limit=1GB")
    assert same("postgresql://me@host/x", "postgresql+psycopg://me:secret@HOST/x")
    assert same(
        "postgresql://me@host/x", "postgresql://me@host:5432/x", "postgresql://host/x?user=me",
        "postgresql:///x?user=me&port=5432&host=Host", "postgresql://me@host?dbname=x",
    )  # fmt: skip
    assert not same("postgresql://me@host/x", "postgresql://me@host:5433/x")
    assert not same("postgresql:///x?host=a&host=b&port=1,2", "postgresql:///x?host=a&host=b")
    assert not same("postgresql://me@host/x", "postgresql://host/x?user=you")
    assert not same("postgresql://me@host/x", "postgresql://me@host/x?options=-csearch_path%3Dy")
    for url, schema in [("postgresql://host/x", "public"), ("duckdb:///c.db", "main")]:
        key = source_key(url, {"table": "note"})
        assert source_key(url, {"table": f"{schema}.note"}) == key
        assert source_key(url, {"table": "clinic.note"}) != key
    elsewhere = "postgresql://host/x?options=-csearch_path%3Dy"
    tables = ({"table": "note"}, {"table": "public.note"})
    assert len({source_key(elsewhere, table) for table in tables}) == 2
    assert source_key("sqlite:///c", {"query": "SELECT 1"}) == source_key(
        "sqlite:///c", {"query": " SELECT 1;\n"}
    )
