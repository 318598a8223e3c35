"""What the pages of the documentation show is run here, or in test_run_all.py where it trains."""

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
from pages import blocks, commands, pages, program, shell_lines
from spacy.cli import app as spacy_commands
from typer.testing import CliRunner

from spacy_clinner.cli import app
from spacy_clinner.cli.train import read_arguments
from spacy_clinner.corpora.catalog import find_corpus
from spacy_clinner.schemes import read_scheme
from spacy_clinner.training.learning_on import CONFIG as LEARN_ON
from spacy_clinner.training.preparation import load_settings

ROOT = Path(__file__).parents[2]
WITH_PYTHON = [page for page in pages(ROOT) if program(page)]
EACH_IN_A_PROCESS = """
import json, multiprocessing, os, sys, tempfile, traceback
import spacy, spacy_clinner
from pathlib import Path

def follow(code, outcome):
    os.chdir(tempfile.mkdtemp(dir="."))
    try:
        exec(compile(code, "page", "exec"), {"__name__": "__main__"})
        outcome.put(None)
    except BaseException:
        outcome.put(traceback.format_exc() + code)

# By which spaCy imports all that it has entry points for.
spacy.blank("en").add_pipe("clinner_sentences")
found = {}
processes = multiprocessing.get_context("fork")
for page, code in json.load(sys.stdin).items():
    outcome = processes.Queue()
    process = processes.Process(target=follow, args=(code, outcome))
    process.start()
    found[page] = outcome.get(timeout=300)
    process.join()
Path("outcomes.json").write_text(json.dumps(found))
"""
HEADING = re.compile(r"^#+ (.+)$", re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def run(arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, **options
    )


@pytest.fixture(scope="module")
def outcomes(installed, tmp_path_factory):
    """By page, what went wrong in it; spaCy is imported once, and each page has a process."""
    programs = {str(page): program(page) for page in WITH_PYTHON}
    folder = tmp_path_factory.mktemp("pages")
    env = dict(os.environ, PYTHONPATH=str(installed))
    done = run(["-c", EACH_IN_A_PROCESS], cwd=folder, env=env, input=json.dumps(programs))
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "outcomes.json").read_text(encoding="utf8"))


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_of_a_page_runs_as_one_program(page, outcomes):
    assert outcomes[str(page)] is None, outcomes[str(page)]


def project_runs(root):
    """The project commands of all shell blocks, and of the tables of figures."""
    found = [line for line in shell_lines(root) if "project run" in line]
    for name in ("README.md", "docs/benchmarks.md"):
        text = (root / name).read_text(encoding="utf8")
        found += re.findall(r"`(spacy project run [^`]+)`", text)
    words = [shlex.split(line[line.index("spacy project run") :]) for line in found]
    return sorted({tuple(part[: part.index("&&")] if "&&" in part else part) for part in words})


@pytest.mark.parametrize("command", project_runs(ROOT), ids=" ".join)
def test_a_project_command_names_steps_and_variables_that_exist(command, root, monkeypatch):
    monkeypatch.chdir(root)
    arguments = command[1:]
    done = CliRunner().invoke(spacy_commands, [*arguments, "--dry", "--force"])
    assert done.exit_code == 0, done.output
    # weasel takes the dashes out of a value that it gets as --name=value.
    given = [value.strip() for value in command if value.startswith(" --")]
    assert all(value in done.output for value in given)


def clinner_commands(root):
    inline = [
        line
        for name in ("README.md", "docs/benchmarks.md", "docs/tutorial.md")
        for line in re.findall(r"`(clinner [^`…]+)`", (root / name).read_text(encoding="utf8"))
        if " " in line and "|" not in line
    ]
    lines = [line for line in shell_lines(root) if line.startswith("clinner ")]
    return sorted(line for line in {*lines, *inline} if len(line.split()) > 2)


@pytest.mark.parametrize("line", clinner_commands(ROOT))
def test_a_command_has_the_arguments_and_options_that_are_shown(line, root, monkeypatch):
    monkeypatch.chdir(root)
    _, name, *arguments = shlex.split(line)
    command = vars(typer.main.get_command(app))["commands"][name]
    context = command.make_context(name, arguments)
    assert context.params
    # What is no option of this command is a value of the config.
    if name == "train":
        given, start = context.params["config_and_out"], context.params["start"]
        config, _, overrides = read_arguments(given, context.args, start)
        load_settings(config or LEARN_ON, overrides)


def test_scripts_that_the_pages_name_exist(root):
    named = {
        script
        for page in pages(root)
        for script in re.findall(r"python (scripts/[\w/]+\.py)", page.read_text("utf8"))
    }
    assert "scripts/benchmarks/speed.py" in named
    assert all((root / script).is_file() for script in named), named


def test_the_reformat_command_runs(root, tmp_path):
    (tmp_path / "corpus").symlink_to(root / "corpus")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        commands(root)["reformat"],
        shell=True,
        cwd=tmp_path,
        env=dict(os.environ, PATH=path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "notes.jsonl").is_file()


def test_the_catalog_entries_shown_for_a_corpus_of_ones_own_are_valid(root, tmp_path):
    path = tmp_path / "corpora.toml"
    entries = blocks(root / "docs/how-to/own-corpus.md", "toml")
    path.write_text("\n".join(entries), encoding="utf8")
    assert find_corpus("mine", path).format == "brat"
    assert find_corpus("mine-drugs", path).labels == ("DRUG",)


def test_the_schemes_shown_for_labels_of_ones_own_are_valid(root, tmp_path):
    path = tmp_path / "scheme.toml"
    shown = []
    for scheme in blocks(root / "docs/how-to/own-scheme.md", "toml"):
        path.write_text(scheme, encoding="utf8")
        shown.append(read_scheme(path).layer)
    assert shown == ["mine", "words"]


def slug(heading):
    """The anchor of a heading, as GitHub makes it."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


@pytest.mark.parametrize("page", pages(ROOT), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_or_heading_leads_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf8")):
        if target.startswith(("http", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file) if file else page
        assert linked.exists(), target
        if anchor and anchor != "registered-names":
            assert anchor in map(slug, HEADING.findall(linked.read_text(encoding="utf8"))), target


def test_every_figure_names_the_kind_of_processor_and_its_command(root):
    text = (root / "docs/benchmarks.md").read_text(encoding="utf8")
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line[:2] == "| "]
    rows = [row for row in rows if row[0].strip() != "figure"]
    assert len(rows) > 30
    assert all(len(row) == 5 and row[3].strip() and row[4].strip() for row in rows)


def test_every_room_has_a_page_in_the_reference(root):
    rooms = {path.parent.name for path in (root / "spacy_clinner").glob("*/__init__.py")}
    text = "".join(path.read_text("utf8") for path in (root / "docs/reference").glob("*.md"))
    # The options of the commands are their reference.
    assert all(f"::: spacy_clinner.{room}\n" in text for room in rooms - {"cli"})


def test_every_room_is_in_the_picture_of_the_house(root):
    picture = blocks(root / "docs/architecture.md", "text")[0]
    rooms = {path.parent.name for path in (root / "spacy_clinner").glob("*/__init__.py")}
    assert all(re.search(rf"\b{room}\b", picture) for room in rooms)


@pytest.mark.skipif(not find_spec("mkdocs"), reason="mkdocs is missing: pip install .[docs]")
def test_the_pages_are_built_without_a_warning_and_load_nothing_from_elsewhere(root, tmp_path):
    env = dict(os.environ, PYTHONPATH=str(root / "tests/project/offline"))
    done = run(["-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)], cwd=root, env=env)
    assert done.returncode == 0, done.stderr
    built = {path: path.read_text(encoding="utf8") for path in tmp_path.rglob("*.html")}
    assert len(built) > 25
    for path, html in built.items():
        loaded = re.findall(r"<(?:script|img|iframe)[^>]* src=\"([^\"]+)\"", html)
        loaded += re.findall(r"<link[^>]* rel=\"stylesheet\"[^>]* href=\"([^\"]+)\"", html)
        assert not [url for url in loaded if "//" in url], path
    commands_page = built[tmp_path / "reference/commands/index.html"]
    assert all(f"clinner {name}" in commands_page for name in ("convert", "train", "benchmark"))
    assert "RETURNS" not in built[tmp_path / "reference/annotation/index.html"]
