import json
import re
import socket
import time

import pytest
from servers import notes

LINES = {"Content-Type": "application/x-ndjson"}
STREAM = "/v1/annotate/stream"


def line(at, text):
    return json.dumps({"id": str(at), "text": text}).encode() + b"\n"


def read(answer):
    assert answer.status_code == 200, answer.text
    return [json.loads(found) for found in answer.text.splitlines()]


def test_a_line_comes_back_for_each_line_in_order_as_annotate_gives_it(api):
    texts = [f"No fever {at}. Cough {at}." for at in range(300)]
    body = b"".join(line(at, text) for at, text in enumerate(texts))
    found = read(api.post(STREAM, content=body, headers=LINES))
    assert [note["note_id"] for note in found] == [str(at) for at in range(300)]
    alone = api.post("/v1/annotate", json=notes(*texts[:3])).json()["notes"]
    for note in (*alone, *found):
        del note["processed_at"]
    assert found[:3] == alone


def test_lines_may_be_cut_anywhere_on_their_way(api):
    body = line(0, "fever 🙂") + b"\r\n\n" + line(1, "cough").rstrip()
    for size in (1, 7, 1000):
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        found = read(api.post(STREAM, content=pieces, headers=LINES))
        assert [note["n_entities"] for note in found] == [1, 1]


def test_a_line_that_is_none_is_told_with_its_number_and_costs_no_other(api):
    body = b"".join((
        line(0, "fever"), b"no json\n", b'{"id": "x"}\n', line(3, "f" * 200_001),
        b'"' + b"f" * (5 * 2**20) + b'"\n', line(5, "This breaks."), line(6, "cough"), b"[1\n",
    ))  # fmt: skip
    found = read(api.post(STREAM, content=body, headers=LINES))
    failed = [item for item in found if item.get("status") == "failed"]
    told = [(item["line"], item["error"]["status"]) for item in found if "line" in item]
    assert told == [(2, 400), (3, 422), (4, 422), (5, 413), (8, 400)]
    assert "/v1/annotate/stream" not in found[4]["error"]["message"]
    assert [note["note_id"] for note in failed] == ["5"]
    assert [note["n_entities"] for note in found if "line" not in note] == [1, 0, 1]


def test_a_byte_order_mark_is_no_part_of_the_first_line(api):
    body = b"\xef\xbb\xbf" + line(0, "fever") + line(1, "cough")
    for size in (1, 1000):
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        found = read(api.post(STREAM, content=pieces, headers=LINES))
        assert [note["n_entities"] for note in found] == [1, 1]


def test_layers_threshold_and_format_are_asked_for_in_the_address(api, full):
    found = read(api.post(f"{STREAM}?format=huggingface", content=line(0, "No fever"),
                          headers=LINES))  # fmt: skip
    assert [entity["assertion"] for entity in found[0]] == ["absent"]
    with full.client() as client:
        assert client.post(f"{STREAM}?layers=none", content=b"", headers=LINES).status_code == 422
    assert api.post(f"{STREAM}?threshold=2", content=b"", headers=LINES).status_code == 422
    assert api.post(STREAM, content=b"", headers={"Content-Type": "text/plain"}).status_code == 415
    assert read(api.post(STREAM, content=b"", headers=LINES)) == []


def test_a_line_that_fails_costs_no_other_in_the_shapes_of_others_too(api):
    body = line(0, "fever") + line(1, "This breaks.") + line(2, "cough")
    one, failed, other = read(api.post(f"{STREAM}?format=huggingface", content=body, headers=LINES))
    assert [one[0]["word"], other[0]["word"]] == ["fever", "cough"]
    assert failed[0]["error"] == "RuntimeError in slow_or_failing"


def test_a_line_that_cannot_be_told_of_is_an_error_with_its_number(api, server):
    body = line(0, "fever") + line(1, "Zyxwolf spoils fever.") + line(2, "cough")
    one, failed, other = read(api.post(STREAM, content=body, headers=LINES))
    assert [one["note_id"], other["note_id"]] == ["0", "2"]
    assert (failed["line"], failed["error"]["status"]) == (2, 500)
    assert f"{failed['error']['id']} failed: TypeError in " in server.logged()
    assert "Zyxwolf" not in json.dumps(failed)


@pytest.fixture
def connection(server):
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = f"POST {STREAM} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        connection.sendall(f"{head}Content-Type: application/x-ndjson\r\n\r\n".encode())
        yield connection


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_no_more_is_read_than_is_taken(connection, api):
    """A caller that sends without end and takes nothing is stopped, and costs no memory."""
    sent = 0
    connection.setblocking(False)
    data = chunk(line(0, "fever cough " * 1000))
    until = time.monotonic() + 3
    while time.monotonic() < until:
        try:
            sent += connection.send(data)
            until = time.monotonic() + 1.5
        except BlockingIOError:
            time.sleep(0.01)
        assert sent < 50e6
    # And the others are answered.
    assert api.post("/v1/annotate", json=notes("fever")).status_code == 200


def test_answers_come_while_the_rest_is_still_to_be_sent(connection):
    for at in range(3):
        connection.sendall(chunk(line(at, "No fever.")))
        received = b""
        while b"\n" not in received.rpartition(b"{")[2] or b'"note_id"' not in received:
            received += connection.recv(65536)
        assert f'"note_id":"{at}"'.encode() in received
    connection.sendall(b"0\r\n\r\n")


def hang_up(connection, server):
    """Close the connection, and wait until the log has the line of its request."""
    before = server.logged().count(f"POST {STREAM}")
    connection.close()
    until = time.monotonic() + 60
    while server.logged().count(f"POST {STREAM}") == before and time.monotonic() < until:
        time.sleep(0.1)


def test_who_hangs_up_is_forgotten(connection, server, api):
    connection.sendall(chunk(line(0, "slowly " * 3) + line(1, "slowly " * 3)))
    hang_up(connection, server)
    for _ in range(100):
        metrics = api.get("/metrics").text
        if "clinner_queue_notes 0.0" in metrics:
            break
        time.sleep(0.1)
    assert "clinner_queue_notes 0.0" in metrics
    assert "Traceback" not in server.logged()


def test_what_was_sent_before_a_caller_hung_up_is_computed_no_more(connection, server):
    count = 40
    connection.sendall(chunk(b"".join(line(at, "slowly") for at in range(count))))
    received = b""
    while b'"note_id"' not in received:
        received += connection.recv(65536)
    hang_up(connection, server)
    logged = [one for one in server.logged().splitlines() if f"POST {STREAM}" in one][-1]
    assert int(re.search(r"notes=(\d+)", logged)[1]) < count
