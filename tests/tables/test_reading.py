"""Of a pipeline with a language model: what is one note's fault, and what stops a run."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import spacy
from chat_servers import serving
from commands import clinner

from spacy_clinner.tables.reading import Failure, read

ANSWER = json.dumps({"entities": [{"text": "fever", "label": "PROBLEM"}]})
TEXTS = [f"A fever in {year}." for year in range(2000, 2006)]


def write_model(folder, **settings):
    nlp = spacy.blank("en")
    config = {"model": "m", "concurrency": 1, "tries": 1, "constrained": False, **settings}
    nlp.add_pipe("clinner_llm", config=config)
    nlp.to_disk(folder)
    return nlp


def annotate(folder, code):
    rows = {"note_id": range(len(TEXTS)), "text": TEXTS}
    pq.write_table(pa.table(rows), folder / "notes.parquet")
    done = clinner(folder, "annotate", "model", "notes.parquet", "out", "--piece", 2,
                   "--processes", 1)  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def statuses(folder):
    return [
        row["status"]
        for path in sorted((folder / "out/notes").glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def test_a_budget_that_is_spent_stops_a_run_and_the_same_command_goes_on(tmp_path):
    # Each question costs 110 tokens.
    with serving(lambda *_: ANSWER) as (url, requests):
        write_model(tmp_path / "model", base_url=url, budget=330, cache=str(tmp_path / "answers"))
        said = annotate(tmp_path, code=2)
        assert "330 tokens are spent of a `budget` of 330" in said
        assert "`cache`" in said
        assert statuses(tmp_path) == ["ok"] * 2
        annotate(tmp_path, code=0)
    assert statuses(tmp_path) == ["ok"] * 6
    assert len(requests.bodies) == 6


def test_an_address_that_is_missing_stops_a_run(tmp_path, monkeypatch):
    monkeypatch.delenv("CLINNER_LLM_URL", raising=False)
    write_model(tmp_path / "model")
    assert "give the address of the server: `base_url`" in annotate(tmp_path, code=2)
    assert statuses(tmp_path) == []


def test_a_request_that_fails_costs_its_note_alone(tmp_path):
    def answer(_, before):
        return (400, b"") if before == 1 else ANSWER

    with serving(answer) as (url, _):
        write_model(tmp_path / "model", base_url=url)
        annotate(tmp_path, code=1)
    assert statuses(tmp_path) == ["ok", "failed", *["ok"] * 4]


def test_who_does_not_ask_to_be_stopped_is_told_of_each_note(tmp_path, monkeypatch):
    monkeypatch.delenv("CLINNER_LLM_URL", raising=False)
    nlp = write_model(tmp_path / "model")
    assert list(read(nlp, TEXTS)) == [Failure("ClinnerError", "clinner_llm")] * len(TEXTS)
