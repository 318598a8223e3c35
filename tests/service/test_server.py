import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families
from servers import SERVED, notes, running

from spacy_clinner.errors import ClinnerError
from spacy_clinner.service import origins
from spacy_clinner.service.server import bind

JSON = {"Content-Type": "application/json"}
LOGGED = re.compile(
    r"^\S+ \S+ INFO (?P<id>[0-9a-f]{16}) (?P<method>[A-Z]+) (?P<route>\S+) (?P<status>\d+) "
    r"notes=(?P<notes>\d+) words=(?P<words>\d+) ms=\d+$",
    re.M,
)


def test_sigterm_finishes_what_is_running_and_ends_with_0(rules, tmp_path):
    with running(tmp_path, rules) as server, ThreadPoolExecutor(2) as threads:
        client = server.client()
        body = b'{"id": "0", "text": "No fever."}\n'
        pause = threading.Event()

        def slow_file():
            yield body
            pause.wait(20)

        streamed = threads.submit(
            client.post, "/v1/annotate/stream", content=slow_file(),
            headers={"Content-Type": "application/x-ndjson"},
        )  # fmt: skip
        asked = threads.submit(client.post, "/v1/annotate", json=notes("slowly slowly fever"))
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        answer = asked.result()
        assert answer.status_code == 200
        assert answer.json()["notes"][0]["n_entities"] == 1
        time.sleep(0.3)
        pause.set()
        lines = streamed.result().text.splitlines()
        assert len(lines) == 2
        assert '"status":503' in lines[1]
        client.close()
        assert server.process.wait(20) == 0
        assert "Traceback" not in server.logged()


def test_sigterm_ends_a_stream_that_is_sent_without_pause(rules, tmp_path):
    with running(tmp_path, rules, "--timeout", 60) as server, ThreadPoolExecutor(1) as threads:
        host, port = server.url.removeprefix("http://").split(":")
        ended = threading.Event()
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            head = "POST /v1/annotate/stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            connection.sendall(f"{head}Content-Type: application/x-ndjson\r\n\r\n".encode())
            line = b'{"id": "0", "text": "No fever."}\n'

            def send():
                with contextlib.suppress(OSError):
                    while not ended.is_set():
                        connection.sendall(b"%x\r\n%b\r\n" % (len(line), line))

            sent = threads.submit(send)
            try:
                assert connection.recv(65536)
                server.process.send_signal(signal.SIGTERM)
                started = time.monotonic()
                # What is sent on is not read: the connection is reset.
                with contextlib.suppress(ConnectionResetError):
                    while connection.recv(65536):
                        assert time.monotonic() - started < 30
            finally:
                ended.set()
            sent.result()
        assert server.process.wait(20) == 0
        assert "Traceback" not in server.logged()
        assert "CancelledError" not in server.logged()


@pytest.mark.parametrize("sent", ["Expect: 100-continue\r\n\r\n", '\r\n{"notes": ['])
def test_who_hangs_up_within_the_body_is_499_and_no_fault_of_ours(rules, tmp_path, sent):
    with running(tmp_path, rules) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            head = "POST /v1/annotate HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n"
            connection.sendall(f"{head}Content-Type: application/json\r\n{sent}".encode())
            time.sleep(0.5)
        until = time.monotonic() + 30
        while not (found := LOGGED.search(server.logged())) and time.monotonic() < until:
            time.sleep(0.1)
        assert found["status"] == "499"
        assert "ERROR" not in server.logged()


def test_a_service_that_is_ending_is_not_ready_but_healthy(rules, tmp_path):
    with running(tmp_path, rules) as server, server.client() as client:
        host, port = server.url.removeprefix("http://").split(":")
        assert client.get("/readyz").json() == {"status": "ready"}
        with ThreadPoolExecutor(1) as threads:
            # A connection that is in use is kept until its answer is given.
            asked = threads.submit(client.post, "/v1/annotate", json=notes("slowly " * 4))
            time.sleep(0.3)
            with socket.create_connection((host, int(port))) as open_one:
                open_one.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\n")
                time.sleep(0.3)
                server.process.send_signal(signal.SIGTERM)
                time.sleep(0.5)
            assert asked.result().status_code == 200
        assert server.process.wait(20) == 0


def test_health_may_be_asked_for_without_a_body(api):
    for path in ("/healthz", "/readyz"):
        answer = api.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_a_request_is_one_line_in_the_log_without_a_word_of_it(server, api):
    sent = ("Zyxwolf denies fever.", "Zyxwolf breaks.")
    answers = [api.post("/v1/annotate?format=huggingface", json=notes(text)) for text in sent] + [
        api.post("/v1/annotate", json=notes(*sent)),
        api.post("/v1/annotate", json=notes("Zyxwolf spoils fever.")),
        api.post(
            "/v1/annotate", content=b'{"Zyxwolf', headers={"Content-Type": "application/json"}
        ),
        api.get("/Zyxwolf"),
    ]
    asked = {answer.headers["X-Request-ID"] for answer in answers}
    lines = {}
    # A line is written when its answer has been sent.
    until = time.monotonic() + 30
    while not asked <= lines.keys() and time.monotonic() < until:
        lines = {found["id"]: found.groupdict() for found in LOGGED.finditer(server.logged())}
    for answer, status, count in zip(
        answers, (200, 200, 200, 500, 400, 404), "112000", strict=True
    ):
        assert answer.status_code == status
        line = lines[answer.headers["X-Request-ID"]]
        assert (line["status"], line["notes"]) == (str(status), count)
    assert lines[answers[0].headers["X-Request-ID"]]["words"] == "3"
    assert lines[answers[-1].headers["X-Request-ID"]]["route"] == "other"
    assert f"{answers[3].headers['X-Request-ID']} failed: TypeError in " in server.logged()
    assert "Zyxwolf" not in answers[3].text
    assert "Zyxwolf" not in server.logged()


def test_what_fails_is_told_in_the_log_and_what_others_log_is_not(server, api):
    one, other = (
        api.post("/v1/annotate", json=notes(text)).json()["notes"][0]
        for text in ("Zyxwolf spent.", "No fever.")
    )
    assert one["error"] == "ClinnerError in slow_or_failing"
    assert other["status"] == "ok"
    assert "ERROR The budget is spent." in server.logged()
    assert "WARNING notes failed: 1, ClinnerError in slow_or_failing" in server.logged()
    assert "asked about" not in server.logged()
    assert "Zyxwolf" not in server.logged()


def test_metrics_count_requests_notes_words_and_time_by_route_without_text(api):
    def counted(name, **labels):
        families = text_string_to_metric_families(api.get("/metrics").text)
        samples = (sample for family in families for sample in family.samples)
        found = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
        return sum(found)

    route = {"route": "/v1/annotate"}
    names = ("clinner_requests_total", "clinner_notes_total", "clinner_words_total",
             "clinner_request_seconds_count")  # fmt: skip
    before = [counted(name, **route) for name in names]
    api.post("/v1/annotate", json=notes("Zyxwolf denies fever.", "No cough."))
    after = [counted(name, **route) for name in names]
    assert [now - then for then, now in zip(before, after, strict=True)] == [1, 2, 5, 1]
    assert counted("clinner_queue_words") == 0
    assert counted("clinner_batch_words_count") > 0
    assert counted("process_resident_memory_bytes") > 0
    assert "Zyxwolf" not in api.get("/metrics").text
    newer = api.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert newer.text.endswith("# EOF\n")


def test_every_answer_forbids_to_load_or_send_elsewhere(api):
    for path in ("/", "/healthz", "/v1/model", "/v1/nothing", "/docs/", "/openapi.json"):
        headers = api.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "//" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert api.get("/v1/model").headers["Cache-Control"] == "no-store"


def refused(*arguments):
    done = subprocess.run(
        [sys.executable, str(SERVED), "serve", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def test_a_port_that_is_taken_and_a_model_that_is_none_are_told_in_one_message(rules):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(rules, "--port", port)
    assert f"127.0.0.1:{port}: cannot listen there (Address already in use)" in said
    assert "nothing_here: no such pipeline" in refused("nothing_here", "--port", 0)
    assert "cannot listen there" in refused(rules, "--host", "203.0.113.9", "--port", 0)
    for host in ("a..b", 72 * "a"):
        with pytest.raises(ClinnerError, match=r"cannot listen there \(no name of a host\)"):
            bind(host, 0)


def test_a_model_that_cannot_be_loaded_is_one_message(rules, tmp_path):
    shutil.copytree(rules, tmp_path / "model")
    config = tmp_path / "model/config.cfg"
    config.write_text(re.sub("factory = .*", 'factory = "no_such_one"', config.read_text()))
    said = refused(tmp_path / "model", "--port", 0)
    assert "no pipeline that can be loaded" in said


def test_it_warns_where_others_reach_it_without_a_key(rules, tmp_path):
    with running(tmp_path, rules, "--host", "0.0.0.0") as server:
        assert "there is no key" in server.logged()
        assert server.end() == 0
    env = {"CLINNER_API_KEY": "secret"}
    with running(tmp_path, rules, "--host", "0.0.0.0", env=env) as server:
        assert "there is no key" not in server.logged()
        assert "secret" not in server.logged()


def test_by_default_only_this_machine_reaches_it(server):
    assert server.url.startswith("http://127.0.0.1:")
    assert "there is no key" not in server.logged()


def test_the_others_are_answered_while_a_long_note_is_computed(full):
    with full.client() as client, ThreadPoolExecutor(1) as threads:
        asked = threads.submit(client.post, "/v1/annotate", json=notes("Denies fever. " * 7000))
        answered = 0
        while not asked.done():
            assert client.get("/healthz").status_code == 200
            answered += 1
        assert asked.result().status_code == 200
    assert answered > 10


def test_a_key_may_have_any_sign_in_either_encoding_that_callers_use(rules, tmp_path):
    key = "sécret à"
    with running(tmp_path, rules, env={"CLINNER_API_KEY": key}) as server:
        for sent, status in (
            (key.encode(), 200), (key.encode("latin1"), 200), (key.encode("utf-16-le"), 400),
            ("sécret".encode(), 401), ("sécret á".encode(), 401), (b"s\xffcret", 401),
        ):  # fmt: skip
            # By hand: clients refuse to send some of these.
            with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as one:
                head = b"GET /v1/examples HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
                one.sendall(head + sent + b"\r\n\r\n")
                assert one.recv(100).startswith(b"HTTP/1.1 %d" % status), sent
        assert server.end() == 0


@pytest.mark.parametrize("key", [" ", "secret\n", "\tsecret", "sec\rret", "sec\x7fret"])
def test_a_key_that_nobody_could_send_is_told_at_the_start(key):
    said = refused("no_such_model", "--port", 0, "--api-key", key)
    assert "The API key" in said
    assert "callers could never send it" in said
    assert "sec" not in said


@pytest.mark.parametrize(
    "origin",
    ["https://their.example/", "their.example", "https://Their.example", "https://a.example:443"],
)
def test_an_origin_that_no_browser_sends_is_told_at_the_start(origin):
    with pytest.raises(ClinnerError, match="no origin that a browser sends"):
        origins.check(origin)


def test_origins_as_browsers_send_them_are_taken():
    for origin in ("https://a.example", "http://localhost:8000", "http://[::1]:80000", "*"):
        origins.check(origin)
    said = refused("no_such_model", "--port", 0, "--cors", "https://their.example/")
    assert "https://their.example/: no origin that a browser sends" in said


@pytest.mark.parametrize("option", ["--timeout", "--wait"])
def test_a_time_that_is_none_is_told_at_the_start(option):
    said = refused("no_such_model", "--port", 0, option, "inf")
    assert f"{option} inf: no time" in said
