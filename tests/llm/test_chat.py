"""Requests to real servers that fail in every way."""

import socket
import threading
import time
from dataclasses import replace
from email.utils import formatdate

import pytest
from chat_servers import completion, dripping, serving

from spacy_clinner.errors import ClinnerError
from spacy_clinner.llm.chat import (
    Address,
    Budget,
    BudgetSpent,
    Chat,
    Patience,
    RequestFailed,
    seconds_to_wait,
)

BODY = {"messages": [{"role": "user", "content": "Text:\nDenies fever."}]}
# On a busy machine a server that answers at once may take seconds.
QUICK = Patience(timeout=20, tries=3, first_wait=0.01)


def ask(url, budget=None, patience=QUICK, key=""):
    chat = Chat(Address(url, "m", key), patience, budget or Budget())
    try:
        return chat.ask(BODY)
    finally:
        chat.close()


def test_an_answer_comes_with_its_tokens():
    with serving(lambda *_: "Entity: fever") as (url, requests):
        reply = ask(url, key="secret")
    assert (reply.content, reply.cut, reply.asked, reply.answered) == (
        "Entity: fever",
        False,
        100,
        10,
    )
    assert requests.bodies[0]["model"] == "m"
    assert requests.bodies[0]["path"] == "/v1/chat/completions"
    assert requests.headers[0]["Authorization"] == "Bearer secret"


def test_an_answer_that_was_stopped_says_so():
    with serving(lambda *_: (200, completion("Entity:", "length"))) as (url, _):
        assert ask(url).cut


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(status):
    def answer(_, before):
        return (status, b"busy") if before < 2 else "fine"

    with serving(answer) as (url, requests):
        assert ask(url).content == "fine"
    assert len(requests.bodies) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 501])
def test_what_will_not_pass_is_not_tried_again(status):
    with (
        serving(lambda *_: (status, b"{}")) as (url, requests),
        pytest.raises(RequestFailed) as told,
    ):
        ask(url)
    assert len(requests.bodies) == 1
    assert str(status) in str(told.value)
    assert told.value.status == status


def silent():
    """An address where nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}/v1"


FAILURES = {
    "429": (lambda *_: (429, b"Denies fever."), "asks to slow down; lower `concurrency` (429)"),
    "500": (lambda *_: (500, b"Denies fever."), "failed (500)"),
    "cut connection": (lambda *_: None, "cut the connection"),
    "wrong JSON": (lambda *_: (200, b'{"choices": [Denies'), "is no chat completion"),
    "other JSON": (lambda *_: (200, b'{"choices": []}'), "is no chat completion"),
    "no number": (
        lambda *_: (200, completion("x").replace(b": 100", b": Infinity")),
        "is no chat completion",
    ),
    "a page": (lambda *_: (200, b"<html>Denies fever."), "is no chat completion"),
}


@pytest.mark.parametrize(("answer", "says"), FAILURES.values(), ids=FAILURES)
def test_each_failure_has_one_clear_message_without_text(answer, says):
    with serving(answer) as (url, _), pytest.raises(RequestFailed) as told:
        ask(url)
    message = str(told.value)
    assert says in message
    assert url in message
    assert "fever" not in message
    assert "\n" not in message


def test_a_server_that_is_down_is_said_to_be():
    with pytest.raises(RequestFailed, match=r"cannot be reached; is it up.*tried 3 times"):
        ask(silent())


def test_a_slow_server_is_not_waited_for():
    with serving(lambda *_: "late", delay=0.5) as (url, _):
        patience = Patience(timeout=0.1, tries=2, first_wait=0.01)
        with pytest.raises(RequestFailed, match=r"no answer within 0\.1 s.*tried 2 times"):
            ask(url, patience=patience)


@pytest.mark.parametrize(
    "first",
    [b"HTTP/1.1 200 OK\r\nX-Note: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{"],
    ids=["of its header", "of its answer"],
)
def test_a_server_that_sends_a_byte_now_and_then_is_not_waited_for(first):
    patience = Patience(timeout=0.3, tries=2, first_wait=0.01)
    with (
        dripping(first) as url,
        pytest.raises(RequestFailed, match=r"no answer within 0\.3 s.*tried 2 times"),
    ):
        ask(url, patience=patience)


def in_two_seconds():
    """A date of HTTP, which has whole seconds: one to two from now."""
    return formatdate(time.time() + 2, usegmt=True)


@pytest.mark.parametrize(
    ("says", "least"), [(lambda: "0.3", 0.29), (in_two_seconds, 0.9)], ids=["seconds", "a date"]
)
def test_a_server_that_says_how_long_to_wait_is_heard(says, least):
    times = []

    def answer(_, before):
        times.append(time.monotonic())
        return (429, b"", {"Retry-After": says()}) if before == 0 else "fine"

    with serving(answer) as (url, _):
        ask(url)
    assert times[1] - times[0] >= least


PAST = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize("says", ["0", PAST, PAST.replace("GMT", "-0000")])
def test_a_server_that_need_not_be_waited_for_is_asked_at_once(says):
    def answer(_, before):
        return (429, b"", {"Retry-After": says}) if before == 0 else "fine"

    # In a quarter of an hour this test is stopped.
    patience = replace(QUICK, first_wait=900.0)
    with serving(answer) as (url, _):
        assert ask(url, patience=patience).content == "fine"


@pytest.mark.parametrize(
    ("says", "waits"),
    [
        ("300", 60.0),
        (formatdate(time.time() + 1e6, usegmt=True), 60.0),
        ("inf", None),
        ("nan", None),
        ("-1", None),
        ("soon", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("", None),
    ],
)
def test_no_server_is_waited_for_more_than_a_minute_nor_for_what_is_no_time(says, waits):
    assert seconds_to_wait(says) == waits


def test_whoever_asks_is_let_go_when_the_chat_stops():
    release, failures = threading.Event(), []

    def asked(chat):
        with pytest.raises(RequestFailed, match="no longer waited for"):
            chat.ask(BODY)
        failures.append(chat)

    def answer(_, before):
        return (500, b"") if before else "late" if release.wait(60) else ""

    with serving(answer) as (url, requests):
        chat = Chat(Address(url, "m"), Patience(timeout=60, first_wait=900), Budget(), 2)
        threads = [threading.Thread(target=asked, args=(chat,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        while len(requests.bodies) < 2:
            time.sleep(0.01)
        chat.stop()
        for thread in threads:
            thread.join()
        asked(chat)
        chat.close()
        release.set()
    assert len(failures) == 3
    assert len(requests.bodies) == 2


def test_no_redirect_is_followed():
    with serving(lambda *_: "stolen") as (elsewhere, asked):

        def answer(*_):
            return 307, b"", {"Location": f"{elsewhere}/chat/completions"}

        with serving(answer) as (url, _), pytest.raises(RequestFailed, match="307"):
            ask(url)
    assert asked.bodies == []


def test_no_proxy_of_the_environment_is_used(monkeypatch):
    with serving(lambda *_: "stolen") as (proxy, asked), serving(lambda *_: "fine") as (url, _):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.removesuffix("/v1"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert ask(url).content == "fine"
    assert asked.bodies == []


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://host/v1", "http://", "file:///etc", "http://a:b/v1", "http://[a"],
)
def test_an_address_must_be_given(url):
    with pytest.raises(ClinnerError, match="give the address of the server"):
        Address(url, "m")


@pytest.mark.parametrize("url", ["http://exa\tmple/v1", "http://[v1.x]/v1", "http://xn--/v1"])
def test_an_address_that_no_request_can_be_sent_to_is_none(url):
    with pytest.raises(ClinnerError, match="give the address of the server"):
        ask(url)


@pytest.mark.parametrize("url", ["http://a/v1?api-key=secret", "http://a/v1#secret"])
def test_an_address_holds_no_parameters(url):
    with pytest.raises(ClinnerError, match="nothing behind the path") as told:
        Address(url, "m")
    assert "secret" not in str(told.value)


def test_an_address_holds_no_password():
    with pytest.raises(ClinnerError, match="no password") as told:
        Address("http://me:secret@host/v1", "m")
    assert "secret" not in str(told.value)


def test_a_model_must_be_named():
    with pytest.raises(ClinnerError, match="CLINNER_LLM_MODEL"):
        Address("http://host/v1", "")


def test_a_key_is_not_shown():
    assert "secret" not in repr(Address("http://host/v1", "m", "secret"))


@pytest.mark.parametrize("key", ["secret\n", "secr\u00e9t"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(key):
    with pytest.raises(ClinnerError, match="`key_env` names") as told:
        Address("http://host/v1", "m", key)
    assert "sec" not in str(told.value)


def test_nothing_is_asked_when_the_budget_is_spent():
    budget = Budget(150)
    with serving(lambda *_: "fine") as (url, requests):
        ask(url, budget)
        ask(url, budget)
        with pytest.raises(BudgetSpent, match="220 tokens are spent of a `budget` of 150"):
            ask(url, budget)
    assert len(requests.bodies) == 2


def test_tokens_are_estimated_where_the_server_does_not_count_them():
    body = b'{"choices": [{"message": {"content": "12345678"}}]}'
    with serving(lambda *_: (200, body)) as (url, _):
        reply = ask(url)
    assert reply.answered == 2
    assert reply.asked > 10
