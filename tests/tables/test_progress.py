import re

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from spacy_clinner.cli import annotate_progress as display
from spacy_clinner.tables.runs import Total
from spacy_clinner.tables.sources import open_source
from spacy_clinner.tables.sources.source import Request


@pytest.fixture
def notes(tmp_path):
    table = pa.table({"note_id": range(100), "text": ["No fever"] * 100})
    pq.write_table(table, tmp_path / "n.parquet")
    return open_source(Request(str(tmp_path / "n.parquet")))


def totals():
    total = Total()
    yield total
    for rows in (40, 100):
        entry = {"notes": {"ok": rows}, "entities": {"a/B": 1}, "words": 2 * rows, "rows": rows}
        total.add(entry)
        yield total


def test_without_a_terminal_it_is_a_line_a_minute(notes, monkeypatch, capsys):
    display.follow(totals(), notes)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LINES", 0)
    done = display.follow(totals(), notes)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("40 of 100 notes, ")
    assert second.startswith("100 of 100 notes, ")
    assert second.endswith("words/s, 0 min left")
    assert done.words == 280


def test_on_a_terminal_it_is_a_bar(notes, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "150")
    display.follow(totals(), notes)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "100/100 notes" in shown
