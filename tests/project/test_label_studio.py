"""Label Studio itself takes what `clinner suggest` writes, and gives it back."""

import json
import os
import shutil
import socket
import subprocess
import time

import pytest

from spacy_clinner.corpora.jsonl import read_jsonl
from spacy_clinner.corpora.note import Attribute, Note, NoteSpan, Relation
from spacy_clinner.corpora.suggestion_files import write_suggestions
from spacy_clinner.corpora.suggestions import LINK, Palette, Suggestion

httpx = pytest.importorskip("httpx")

# Label Studio pins versions of its own, so it lives in an environment of its own.
COMMAND = os.environ.get("LABEL_STUDIO") or shutil.which("label-studio")
USER = {"email": "annotator@example.org", "password": "for-this-test-only"}
TEXT = "No pain in the left knee.\nDenies fever & “chills”."
NOTE = Note(
    "ward-7",
    TEXT,
    (
        NoteSpan("T1", "NEGATION", ((0, 2),)),
        NoteSpan("T2", "PROBLEM", ((3, 24),)),
        NoteSpan("T3", "BODYLOC", ((15, 24),)),
        NoteSpan("T4", "PROBLEM", ((33, 38),)),
    ),
    (Relation("R1", LINK, "T2", "T1"), Relation("R2", LINK, "T2", "T3")),
    (Attribute("A1", "assertion", "T2", "absent"), Attribute("A2", "assertion", "T4", "possible")),
)
PALETTE = Palette(
    {"PROBLEM": "#ff9561", "NEGATION": "#aa9cfc", "BODYLOC": "#7aecec"},
    {"PROBLEM": ("NEGATION", "BODYLOC")},
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not COMMAND,
        reason="needs Label Studio: pip install label-studio in an environment of its own, and "
        "its command in the variable LABEL_STUDIO",
    ),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A client that is logged in to a server of its own."""
    data = tmp_path_factory.mktemp("data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (data / "log").open("w") as log:
        process = subprocess.Popen(
            [COMMAND, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port),
             "--username", USER["email"], "--password", USER["password"]],
            env={**os.environ, "LABEL_STUDIO_BASE_DATA_DIR": str(data), "COLLECT_ANALYTICS": "0"},
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            deadline = time.monotonic() + 900
            while not answers(client):
                assert process.poll() is None, (data / "log").read_text()[-2000:]
                assert time.monotonic() < deadline, (data / "log").read_text()[-2000:]
                time.sleep(1)
            sent = {**USER, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
            assert client.post("/user/login/", data=sent).status_code == 302
            client.headers["X-CSRFToken"] = client.cookies["csrftoken"]
            yield client
    finally:
        process.terminate()
        process.wait(60)


def answers(client):
    """Its first start makes a database, which takes minutes."""
    try:
        return client.get("/user/login/").is_success
    except httpx.TransportError:
        return False


def answer(response):
    assert response.is_success, response.text[:2000]
    return response.json()


def test_label_studio_takes_suggestions_and_gives_them_back(server, tmp_path):
    tokens = ((0, 2), (3, 7))
    found = [Suggestion(NOTE, tokens, ((0, 25),), 0.7)]
    write_suggestions(found, PALETTE, tmp_path / "out", "label-studio", "toy 1")
    config = (tmp_path / "out/config.xml").read_text(encoding="utf8")
    settings = {"title": "notes", "label_config": config}
    project = answer(server.post("/api/projects/", json=settings))["id"]
    tasks = json.loads((tmp_path / "out/tasks.json").read_text())
    imported = answer(server.post(f"/api/projects/{project}/import", json=tasks))
    assert (imported["task_count"], imported["prediction_count"]) == (1, 1)
    (task,) = answer(server.get("/api/tasks/", params={"project": project, "fields": "all"}))[
        "tasks"
    ]
    # An annotator accepts the suggestion as it stands.
    result = task["predictions"][0]["result"]
    sent = {"result": result, "lead_time": 42.0}
    answer(server.post(f"/api/tasks/{task['id']}/annotations/", json=sent))
    exported = server.get(f"/api/projects/{project}/export", params={"exportType": "JSON"})
    (tmp_path / "export.json").write_bytes(exported.content)
    (back,) = read_jsonl(tmp_path / "export.json")

    def content(note):
        at = {span.id: (span.fragments, span.label) for span in note.spans}
        links = {(r.label, at[r.head], at[r.tail]) for r in note.relations}
        said = {(a.label, at[a.target], a.value) for a in note.attributes}
        return note.id, note.text, {*at.values()}, links, said

    assert content(back) == content(NOTE)
    assert back.problems == ()
