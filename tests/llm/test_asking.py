"""What is asked about a passage, and what of the reply is the answer."""

import pytest
from chat_servers import completion, serving
from test_component import NOTE, ROWS, content, make

from spacy_clinner.llm.mentions import Mention, Passage
from spacy_clinner.llm.prompts import FORMATS

THOUGHT = (
    "Entity: rash, Label: PROBLEM\nmaybe [] or "
    '{"entities": [{"text": "Severe", "label": "PROBLEM"}]} or <span class="problem">knee</span>'
)


@pytest.mark.parametrize("opened", ["<think>", "<thinking>", "\n<THINK>\n", ""])
@pytest.mark.parametrize("name", FORMATS)
def test_what_a_model_thinks_first_is_no_part_of_its_answer(name, opened):
    fever = Mention("PROBLEM", 7, 12)
    answer = FORMATS[name].render(Passage(NOTE, (fever,)))
    closed = opened.strip().replace("<", "</") or "</think>"
    with serving(lambda *_: f"{opened}{THOUGHT}{closed}\n\n{answer}") as (url, _):
        doc = make(url, format=name)(NOTE)
    assert [(ent.text, ent._.match) for ent in doc.ents] == [("fever", "exact")]
    report = doc.user_data["clinner_llm"]
    assert (report["failed"], report["unreadable"]) == (0, 0)
    assert report["mentions"] == {"exact": 1}


@pytest.mark.parametrize("name", FORMATS)
def test_a_thought_that_was_cut_is_no_answer(name, tmp_path):
    with serving(lambda *_: (200, completion(f"<think>{THOUGHT}", "length"))) as (url, _):
        doc = make(url, format=name, cache=str(tmp_path))(NOTE)
    assert "empty answer; it was cut at `max_tokens`" in doc.user_data["clinner_llm"]["error"]
    assert not list(tmp_path.rglob("*.json"))


def test_the_schema_is_given_and_left_out_where_the_server_has_none():
    def answer(body, _):
        return (400, b"unknown field") if "response_format" in body else content(ROWS[:2])

    with serving(answer) as (url, requests):
        docs = list(make(url, concurrency=1).pipe([NOTE, f"{NOTE} Again."]))
    assert [len(doc.ents) for doc in docs] == [1, 1]
    given = ["response_format" in body for body in requests.bodies]
    assert given == [True, False, False]
    schema = requests.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["entities"]


def test_after_failures_that_pass_the_schema_is_given_again():
    def answer(body, before):
        return (500, b"") if before < 2 else content(ROWS[:2])

    with serving(answer) as (url, requests):
        docs = list(make(url, concurrency=1).pipe([NOTE, f"{NOTE} Again."]))
    assert [len(doc.ents) for doc in docs] == [1, 1]
    given = ["response_format" in body for body in requests.bodies]
    assert given == [True, True, False, True]
