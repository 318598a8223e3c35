import errno
from pathlib import Path

import click
import pytest
from typer.testing import CliRunner

from spacy_clinner.cli import app, run
from spacy_clinner.errors import ClinnerError

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


def test_the_commands_are_listed():
    listed = CliRunner().invoke(app, ["--help"]).output
    assert all(command in listed for command in ("optimize", "reformat", "view"))
