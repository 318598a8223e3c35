"""What the documentation shows is run here, or in test_run_all.py where it needs a model."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = ["README.md", "docs/components.md"]
# The released model, whose snippet test_release.py runs.
RELEASED = "en_clinner_cpu"
SNIPPET = re.compile(r"```python\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"<!-- command: (\w+) -->\n```bash\n(.*?)```", re.DOTALL)


def snippets(root, needs_model):
    found = []
    for name in DOCS:
        path = root / name
        if path.is_file():
            found += SNIPPET.findall(path.read_text(encoding="utf8"))
    found = [code for code in found if RELEASED not in code]
    return [code for code in found if ("en_clinner" in code) == needs_model]


def commands(root):
    return dict(COMMAND.findall((root / "README.md").read_text(encoding="utf8")))


def test_every_snippet_that_needs_no_model_runs(root, tmp_path):
    codes = snippets(root, needs_model=False)
    assert codes
    for code in codes:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, code + done.stderr


def test_every_shell_block_is_a_named_command(root):
    text = (root / "README.md").read_text(encoding="utf8")
    assert text.count("```bash") == len(commands(root))


def test_every_project_command_of_the_figures_names_what_exists(root):
    text = (root / "README.md").read_text(encoding="utf8")
    runs = set(re.findall(r"`spacy project run ([^`]+)`", text))
    assert any("--vars.config transition" in run for run in runs)
    for run in runs:
        done = subprocess.run(
            [sys.executable, "-m", "spacy", "project", "run", *run.split(), "--dry", "--force"],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, run + done.stdout + done.stderr


@pytest.mark.parametrize("name", ["real", "gpu", "cpu", "release"])
def test_project_commands_name_steps_and_variables_that_exist(root, name):
    lines = [line for line in commands(root)[name].splitlines() if "project run" in line]
    for line in lines:
        arguments = shlex.split(line.replace("python ", "", 1))
        done = subprocess.run(
            [sys.executable, *arguments, "--dry", "--force"],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        # weasel takes the dashes out of a value that it gets as --name=value.
        given = [value.strip() for value in arguments if value.startswith(" --")]
        assert all(value in done.stdout for value in given)


def test_the_reformat_command_runs(root, tmp_path):
    (tmp_path / "corpus").symlink_to(root / "corpus")
    folder = Path(sys.executable).parent
    done = subprocess.run(
        commands(root)["reformat"],
        shell=True,
        cwd=tmp_path,
        env=dict(os.environ, PATH=f"{folder}{os.pathsep}{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "notes.jsonl").is_file()


def test_the_catalog_entry_shown_for_a_corpus_of_ones_own_is_valid(root, tmp_path):
    from spacy_clinner.corpora.catalog import find_corpus

    text = (root / "README.md").read_text(encoding="utf8")
    path = tmp_path / "corpora.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1], encoding="utf8")
    assert find_corpus("mine", path).format == "brat"
