"""What docs/how-to/serve.md shows is run against a real service."""

import re
import shutil
import subprocess
import sys

import pytest

PAGE = "docs/how-to/serve.md"
ADDRESS = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


def blocks(root, kind):
    text = (root / PAGE).read_text(encoding="utf8")
    return [code for found, code in BLOCK.findall(text) if found == kind]


@pytest.fixture(scope="module")
def address(full):
    return full.url


def test_the_python_of_the_page_runs(root, address):
    (code,) = blocks(root, "py")
    done = subprocess.run(
        [sys.executable, "-c", code.replace(ADDRESS, address)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is missing")
def test_the_commands_of_the_page_that_ask_a_service_run(root, address, tmp_path):
    asking = [code for code in blocks(root, "bash") if "curl" in code]
    assert len(asking) == 3
    printed = []
    for code in asking:
        done = subprocess.run(
            ["bash", "-e", "-c", code.replace("curl -s", "curl -sf").replace(ADDRESS, address)],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, code + done.stderr
        printed.append(done.stdout)
    assert '"assertion":"absent"' in printed[0]
    assert '"Type":"STRENGTH"' in printed[1]
    found = (tmp_path / "found.jsonl").read_text(encoding="utf8").splitlines()
    assert ['"note_id":"a"' in found[0], '"note_id":"b"' in found[1], len(found)] == [True, True, 2]


def test_every_option_that_the_page_tells_of_has_the_default_that_it_tells(root):
    import inspect

    from spacy_clinner.cli.serve import command
    from spacy_clinner.service.limits import Limits

    defaults = {n: p.default for n, p in inspect.signature(command).parameters.items()}
    limits = Limits()
    assert limits == Limits(*(defaults[name] for name in (
        "max_body", "max_note", "max_notes", "queue", "timeout", "batch", "wait")))  # fmt: skip
    text = (root / PAGE).read_text(encoding="utf8")
    told = dict(re.findall(r"^\| `--([\w-]+)` \| ([\d,]+)", text, re.M))
    assert told == {
        "max-body": "4", "max-note": f"{limits.note:,}", "max-notes": f"{limits.notes:,}",
        "queue": f"{limits.queue:,}", "timeout": f"{limits.seconds:.0f}",
    }  # fmt: skip
