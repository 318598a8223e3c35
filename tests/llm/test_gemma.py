"""A real model, Gemma 3 270M, served by llama.cpp: `python scripts/fetch_gemma.py` fetches it."""

import json
import threading
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import spacy
from chat_servers import serving
from test_component import QUICK

MODEL = Path(__file__).parents[2] / "assets/gemma/gemma-3-270m-q4_k_m.gguf"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not MODEL.is_file(), reason="no Gemma: python scripts/fetch_gemma.py"),
]
NOTES = ["Denies fever.", "Severe knee pain for 2 weeks.", "Takes aspirin 81 mg daily."]


@pytest.fixture(scope="module")
def url():
    xllamacpp = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(MODEL)
    params.n_ctx = 4096
    params.n_parallel = 2
    params.port = 0
    params.verbosity = -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


@contextmanager
def between(url, fails):
    """A server before another one: it gives what `fails` does, or the other's answer for "ask"."""
    place = urlsplit(url)
    lock = threading.Lock()
    seen = []

    def answer(body, _):
        with lock:
            seen.append(body)
            failure = fails(len(seen) - 1)
        if failure != "ask":
            return failure
        connection = HTTPConnection(place.hostname, place.port, timeout=600)
        connection.request("POST", f"{place.path}/chat/completions", json.dumps(body))
        found = connection.getresponse()
        return found.status, found.read()

    with serving(answer) as (here, requests):
        yield here, requests


def make(url, **settings):
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    given = {**QUICK, "timeout": 600.0, "max_tokens": 60, "concurrency": 2, "layers": ["clinical"]}
    nlp.add_pipe("clinner_llm", config={"base_url": url, "model": "m", **given, **settings})
    return nlp


def reports(docs):
    return [doc.user_data["clinner_llm"] for doc in docs]


def test_many_notes_come_back_in_order_each_with_what_was_found_or_why_not(url):
    texts = [f"{note} Visit {number}." for number, note in enumerate(NOTES * 4)]
    docs = list(make(url, max_tokens=30).pipe(texts))
    assert [doc.text for doc in docs] == texts
    for doc in docs:
        assert ("error" in doc.user_data["clinner_llm"]) == ("clinical" not in doc.spans)


def test_an_answer_keeps_to_the_schema(url):
    with between(url, lambda _: "ask") as (here, requests):
        (doc,) = make(here, max_tokens=200).pipe(NOTES[:1])
    (asked,) = requests.bodies
    assert asked["response_format"]["type"] == "json_schema"
    report = doc.user_data["clinner_llm"]
    # Of a small model no more is sure: what it wrote is mentions with known labels.
    assert "error" not in report
    assert "unknown label" not in report["mentions"]
    assert report["unreadable"] == 0


def test_a_cut_connection_and_a_429_are_passed(url):
    failures = {0: None, 1: (429, b"")}
    with between(url, lambda number: failures.get(number, "ask")) as (here, requests):
        (report,) = reports(make(here, tries=4).pipe(NOTES[:1]))
    assert len(requests.bodies) == 3
    assert "cut the connection" not in report.get("error", "")
    assert "slow down" not in report.get("error", "")


def test_a_note_whose_connection_is_always_cut_fails_alone(url):
    with between(url, lambda number: None if number in (0, 1) else "ask") as (here, _):
        nlp = make(here, concurrency=1, tries=2)
        first, second = reports(nlp.pipe(NOTES[:2]))
    assert "cut the connection, tried 2 times" in first["error"]
    assert "cut the connection" not in second.get("error", "")
