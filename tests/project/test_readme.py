"""The README, from top to bottom."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import tracked_files
from pages import BLOCK, blocks, commands

LINES = 120
# Training on the sample is what test_run_all.py does, and the tests would run themselves.
RUN_ELSEWHERE = ("run", "tests")
CONFIDENCE = re.compile(r"[01]\.\d\d")


def as_script(readme):
    """Its shell and Python blocks in order, as one shell script."""
    parts = ["set -euo pipefail"]
    for block in BLOCK.finditer(readme.read_text(encoding="utf8")):
        if block["kind"] == "python":
            parts.append(f"python - <<'PYTHON'\n{block['code']}PYTHON\n")
        elif block["kind"] == "bash" and block["name"] not in RUN_ELSEWHERE:
            parts.append(block["code"])
    return "\n".join(parts)


@pytest.mark.slow
def test_it_runs_from_top_to_bottom_in_a_new_environment_and_gives_what_it_shows(root, tmp_path):
    for path in tracked_files(root):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes((root / path).read_bytes())
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    script = as_script(root / "README.md")
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (shown,) = blocks(root / "README.md", "text")
    # Another CPU rounds confidences otherwise.
    printed, shown = (CONFIDENCE.sub("", text).split() for text in (done.stdout, shown))
    assert printed == shown


def test_the_commands_that_run_elsewhere_are_what_runs_there(root):
    named = commands(root)
    assert named["run"].rstrip().endswith("python -m spacy project run all")
    assert "python -m pytest" in named["tests"]


def test_it_can_be_read_in_a_minute(root):
    assert len((root / "README.md").read_text(encoding="utf8").splitlines()) <= LINES


def test_every_shell_block_of_it_is_a_named_command(root):
    found = list(BLOCK.finditer((root / "README.md").read_text(encoding="utf8")))
    assert all(block["name"] for block in found if block["kind"] == "bash")


def test_its_figures_name_a_processor_and_a_command(root):
    text = (root / "README.md").read_text(encoding="utf8")
    section = text[text.index("## Figures") : text.index("## Where things are")]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert len(rows) == 6
    assert "AMX" in section
    assert all(row.split("|")[3].strip() for row in rows)
