import errno
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import spacy
from commands import clinner, refused
from typer.main import get_command
from typer.testing import CliRunner

from spacy_clinner.cli import app, run
from spacy_clinner.corpora.jsonl import write_jsonl
from spacy_clinner.corpora.note import Attribute, Note, NoteSpan
from spacy_clinner.errors import ClinnerError

COMMANDS = (
    "convert", "check", "train", "evaluate", "label", "adapt", "optimize", "package", "reformat",
    "view", "benchmark",
)  # fmt: skip
NOTE = '{"id": "a", "text": "No fever.", "spans": []}\n'


def outcome(monkeypatch, capsys, command, *arguments):
    monkeypatch.setattr("sys.argv", ["clinner", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        run(command)
    captured = capsys.readouterr()
    return exit_.value.code, " ".join(captured.err.split())


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ClinnerError("what to do"), "✘ what to do"),
        (OSError(errno.ENOSPC, "No space left on device", "a.txt"), "✘ a.txt: No space left on"),
        (OSError(errno.EACCES, "Permission denied", "a.partial", None, "a.txt"), "✘ a.txt: Perm"),
        (OSError("the disk\n  is gone"), "✘ the disk is gone"),
    ],
)
def test_an_error_of_the_user_or_the_disk_is_one_message(monkeypatch, capsys, error, says):
    code, message = outcome(monkeypatch, capsys, raising(error))
    assert code == 1
    assert message.startswith(says)


def test_an_error_of_click_keeps_its_words_and_exit_code(monkeypatch, capsys):
    code, message = outcome(monkeypatch, capsys, raising(click.NoSuchOption("--nope")))
    assert code == 2
    assert "--nope" in message
    code, message = outcome(monkeypatch, capsys, raising(click.ClickException("why")))
    assert (code, message) == (1, "Error: why")


def test_a_bug_of_ours_is_not_hidden(monkeypatch):
    monkeypatch.setattr("sys.argv", ["clinner"])
    with pytest.raises(ZeroDivisionError):
        run(raising(ZeroDivisionError()))


@pytest.mark.parametrize("target", ["folder", "file/out.jsonl"])
def test_reformat_to_where_nothing_can_be_written_is_one_message(
    monkeypatch, capsys, tmp_path: Path, target
):
    (tmp_path / "in.jsonl").write_text(NOTE, encoding="utf8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    formats = ("--from", "jsonl", "--to", "jsonl")
    arguments = ("reformat", tmp_path / "in.jsonl", tmp_path / target, *formats)
    code, message = outcome(monkeypatch, capsys, app, *arguments)
    assert code == 1
    assert message.startswith(f"✘ {tmp_path / target.split('/')[0]}")
    assert not list((tmp_path / "folder").iterdir())
    assert not list(tmp_path.glob(".*.partial"))


def test_reformat_tells_what_was_not_kept(tmp_path):
    attributes = (Attribute("A1", "Course", "T1", "new"),)
    fever = NoteSpan("T1", "PROBLEM", ((3, 8),))
    write_jsonl([Note("a", "No fever.", (fever,), (), attributes)], tmp_path / "in.jsonl")
    done = clinner(tmp_path, "reformat", "in.jsonl", "out", "--from", "jsonl", "--to", "markup")
    assert done.returncode == 0, done.stderr
    assert "in.jsonl:1: attributes: no place in marks, left out" in done.stderr
    assert "0 problems in the source, 1 left out" in done.stdout


def test_reformat_replaces_no_file(tmp_path):
    for name in ("in.jsonl", "mine.jsonl"):
        (tmp_path / name).write_text(NOTE, encoding="utf8")
    formats = ("--from", "jsonl", "--to", "jsonl")
    assert refused(clinner(tmp_path, "reformat", "in.jsonl", "in.jsonl", *formats), "is read")
    done = clinner(tmp_path, "reformat", "in.jsonl", "mine.jsonl", *formats)
    assert refused(done, "mine.jsonl: is there already and is not replaced")
    assert {path.read_text() for path in tmp_path.iterdir()} == {NOTE}


def test_corrections_that_are_named_first_are_refused(tmp_path):
    (tmp_path / "corrected.json").write_text(NOTE, encoding="utf8")
    (tmp_path / "folder").mkdir()
    for first, told in (
        ("corrected.json", "is not what `clinner suggest` wrote. First comes its folder"),
        ("folder", "folder/suggested.jsonl: no such file. First comes"),
        ("none", "none: no such file"),
    ):
        assert refused(clinner(tmp_path, "corrections", first, "corrected.json"), told)


def test_counts_of_corrections_do_not_take_the_place_of_the_corrections(tmp_path):
    write_jsonl([Note("a", "No fever.")], tmp_path / "suggested.jsonl")
    (tmp_path / "corrected.json").write_text(NOTE, encoding="utf8")
    given = ("corrections", "suggested.jsonl", "corrected.json", "--out")
    for out in ("corrected.json", "suggested.jsonl", "./corrected.json"):
        assert refused(clinner(tmp_path, *given, out), f"{Path(out)}: is read")
    assert (tmp_path / "corrected.json").read_text() == NOTE
    for _ in range(2):
        assert clinner(tmp_path, *given, "counts.json").returncode == 0


@pytest.mark.parametrize("target", ["brat", "markup", "jsonl"])
def test_what_reformat_writes_is_its_users_alone(tmp_path, target):
    (tmp_path / "in.jsonl").write_text(NOTE, encoding="utf8")
    arguments = [str(tmp_path / "in.jsonl"), str(tmp_path / "out"), "--from", "jsonl"]
    done = CliRunner().invoke(app, ["reformat", *arguments, "--to", target])
    assert done.exit_code == 0, done.output
    files = [path for path in (tmp_path / "out", *tmp_path.rglob("out/*")) if path.is_file()]
    assert files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_the_commands_are_listed():
    listed = CliRunner().invoke(app, ["--help"]).output
    assert all(command in listed for command in ("optimize", "reformat", "view"))
    assert all(command in listed for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_in_the_words_of_the_command_line(command):
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert not any(word in done.output for word in ("--vars", "project.yml", "scripts/"))


def test_an_option_has_one_spelling_in_all_commands():
    for name in COMMANDS:
        for parameter in get_command(app).commands[name].params:
            written = parameter.name.replace("_", "-")
            assert parameter.opts in ([f"--{written}"], [parameter.name], ["--from"], ["--to"])


def test_help_imports_neither_spacy_nor_torch():
    code = (
        "import sys; from spacy_clinner.cli import app; from typer.testing import CliRunner;"
        "CliRunner().invoke(app, ['--help']);"
        "assert not {'spacy', 'torch'} & set(sys.modules), 'slow'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_commands_are_spacys_too_with_the_same_messages(tmp_path):
    command = [sys.executable, "-m", "spacy", "clinner", "package", tmp_path / "none", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "none: no trained pipeline there" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_benchmark_tells_the_speed_of_a_pipeline_on_this_machine(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "model")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("No fever today.", encoding="utf8")
    done = clinner(tmp_path, "benchmark", "model", "notes", "--turns", 2)
    assert done.returncode == 0, done.stderr
    assert "1 notes, 3 words, 2 turns" in done.stdout
    assert re.search(r"✔ [\d,]+ words per second", done.stdout)


def test_a_benchmark_without_a_pipeline_or_notes_is_refused(tmp_path):
    (tmp_path / "notes").mkdir()
    assert refused(clinner(tmp_path, "benchmark", "model", "notes"), "no note to read")
    (tmp_path / "notes/a.txt").write_text("No fever today.", encoding="utf8")
    assert refused(clinner(tmp_path, "benchmark", "model", "notes"), "model: no trained pipeline")
