import gzip
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import notes

JSON = {"Content-Type": "application/json"}


def refusal(answer, status):
    """What a refused request is told, in the form that all are."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["status"] == status
    assert error["id"] == answer.headers["X-Request-ID"]
    return error


def test_a_body_that_is_too_large_is_413_whether_it_says_its_size_or_not(limited):
    body = json.dumps(notes("fever " * 500)).encode()
    for content in (body, iter([body[:1500], body[1500:]])):
        error = refusal(limited.post("/v1/annotate", content=content, headers=JSON), 413)
        assert "2,000 bytes" in error["message"]


def test_notes_that_are_too_long_or_too_many_are_422_with_their_place(limited):
    error = refusal(limited.post("/v1/annotate", json=notes("ok", "f" * 101)), 422)
    assert error["message"].startswith("notes[1].text: 101 characters are more than the 100")
    assert [place["where"] for place in error["places"]] == ["notes[1].text"]
    error = refusal(limited.post("/v1/annotate", json=notes(*"abcd")), 422)
    assert error["message"].startswith("notes: 4 are more than the 3")
    assert [place["where"] for place in error["places"]] == ["notes"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "notes"),
        ({"notes": []}, "notes"),
        ({"notes": [{"id": "a"}]}, "notes[0].text"),
        ({"notes": [{"id": 1, "text": ""}]}, "notes[0].id"),
        ({"notes": [{"id": "a", "text": None}]}, "notes[0].text"),
        (notes("a") | {"threshold": 1.5}, "threshold"),
        (notes("a") | {"threshold": "much"}, "threshold"),
        (notes("a") | {"layers": "clinical"}, "layers"),
        (notes("a") | {"layer": ["clinical"]}, "the body"),
        ({"notes": [{"id": "a", "text": "", "more": 1}]}, "notes[0]"),
        ([], "the body"),
    ],
)
def test_what_is_not_as_it_must_be_is_422_with_its_place(api, body, place):
    error = refusal(api.post("/v1/annotate", json=body), 422)
    assert place in [found["where"] for found in error["places"]]


def test_of_thousands_of_wrong_places_the_first_are_told(api):
    wrong = {"notes": [{"id": 1, "text": ""} for _ in range(60)]}
    error = refusal(api.post("/v1/annotate", json=wrong), 422)
    assert [place["where"] for place in error["places"]] == [f"notes[{n}].id" for n in range(20)]
    assert error["message"].endswith("There are 59 further places.")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"notes": [', b"\xff\xfe", b'{"notes": "\\ud800"}', b"[" * 100_000, b"NaNa"],
)
def test_json_that_is_none_is_400_with_the_place(api, body):
    error = refusal(api.post("/v1/annotate", content=body, headers=JSON), 400)
    assert "The body is no JSON:" in error["message"]
    assert " at line 1 column " in error["message"]
    (place,) = error["places"]
    assert place["where"].startswith("line 1 column ")
    assert place["what"]


def test_no_word_of_a_note_stands_in_a_refusal(api):
    bodies = (
        b'{"notes": [{"id": "a", "text": "Zyxwolf"',
        b'{"notes": [{"id": "a", "text": ["Zyxwolf"]}]}',
        b'{"notes": "Zyxwolf"}',
        b'"Zyxwolf"',
        b'{"notes": [{"id": "a", "text": "", "Zyxwolf": 1}]}',
        b'{"notes": [], ' + b", ".join(b'"%d Zyxwolf": 1' % at for at in range(1000)) + b"}",
    )
    for body in bodies:
        answer = api.post("/v1/annotate", content=body, headers=JSON)
        assert answer.status_code in (400, 422)
        assert "Zyxwolf" not in answer.text
        assert len(answer.text) < 1000
    lines = {"Content-Type": "application/x-ndjson"}
    told = api.post("/v1/annotate/stream", content=b'{"Zyxwolf": 1}\n', headers=lines).text
    assert '"status":422' in told
    assert "Zyxwolf" not in told


def test_what_would_mean_nothing_in_the_address_is_422(api):
    for path, asked in (("/v1/annotate", "format"), ("/v1/annotate/stream", "format, layers")):
        error = refusal(api.post(f"{path}?Zyxwolf=1", json=notes("fever")), 422)
        assert f"only {asked}" in error["message"]
        assert "Zyxwolf" not in error["message"]
    refusal(api.post("/v1/annotate?layers=ents&threshold=7", json=notes("fever")), 422)


def test_another_content_type_is_415_so_that_a_page_of_others_cannot_send(api):
    body = json.dumps(notes("fever"))
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        refusal(api.post("/v1/annotate", content=body, headers={"Content-Type": kind}), 415)


def test_a_body_that_is_compressed_is_415_and_says_why(api):
    body = gzip.compress(json.dumps(notes("fever")).encode())
    for path, kind in (
        ("/v1/annotate", "application/json"), ("/v1/annotate/stream", "application/x-ndjson"),
    ):  # fmt: skip
        headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
        error = refusal(api.post(path, content=body, headers=headers), 415)
        assert "Content-Encoding" in error["message"]
    plain = {**JSON, "Content-Encoding": "identity"}
    assert api.post("/v1/annotate", json=notes("fever"), headers=plain).status_code == 200


def test_a_queue_that_is_full_is_503_with_the_time_to_come_again(limited):
    with ThreadPoolExecutor(8) as threads:
        asked = [
            threads.submit(limited.post, "/v1/annotate", json=notes("slowly " + "word " * 10))
            for _ in range(8)
        ]
        answers = [one.result() for one in asked]
    full = [answer for answer in answers if answer.status_code == 503]
    assert full
    assert {answer.status_code for answer in answers} <= {200, 503, 504}
    for answer in full:
        refusal(answer, 503)
        assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_what_takes_too_long_is_504_and_is_not_computed_any_more(limited):
    asked = notes("slowly slowly", "slowly slowly", "slowly slowly")
    started = time.monotonic()
    refusal(limited.post("/v1/annotate", json=asked), 504)
    assert limited.post("/v1/annotate", json=notes("fever")).status_code == 200
    # The third, for half of a second each, was never begun.
    assert time.monotonic() - started < 3


def test_a_body_that_does_not_come_is_408(small):
    host, port = small.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = "POST /v1/annotate HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n"
        body = 'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"notes": '
        connection.sendall((head + body).encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer secre", "Bearer secret2", "Basic secret",
                                   "secret", "Bearer sécret"])  # fmt: skip
def test_without_the_key_nothing_of_the_api_is_answered(small, given):
    headers = {} if given is None else {"Authorization": given.encode("latin1")}
    with small.client(headers=headers) as client:
        for answer in (
            client.post("/v1/annotate", json=notes("fever")),
            client.post("/v1/annotate/stream", content=b"", headers=JSON),
            client.get("/v1/model"),
            client.get("/v1/examples"),
        ):
            refusal(answer, 401)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "secret" not in answer.text
        # What tells nothing of notes, and the page, which asks for the key.
        for path in ("/healthz", "/readyz", "/metrics", "/", "/docs/"):
            assert client.get(path).status_code == 200


def test_only_origins_that_were_named_may_call_from_a_browser(limited, api):
    asked = {"Access-Control-Request-Method": "POST"}
    for client, origin, allowed in (
        (limited, "https://ours.example", True),
        (limited, "https://other.example", False),
        (api, "https://ours.example", False),
    ):
        answer = client.options("/v1/annotate", headers={"Origin": origin, **asked})
        assert ("access-control-allow-origin" in answer.headers) == allowed


def test_an_unknown_path_or_method_is_told_in_the_same_form(api):
    refusal(api.get("/v1/nothing"), 404)
    refusal(api.get("/v1/annotate"), 405)
    refusal(api.post("/v1/annotate?format=xml", json=notes("a")), 422)
