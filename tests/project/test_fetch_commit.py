import subprocess
import sys

import pytest


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "upstream"
    (folder / "data" / "notes").mkdir(parents=True)
    (folder / "data" / "notes" / "a.txt").write_text("No fever.", encoding="utf8")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "notes")
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    commit = git(folder, "rev-parse", "HEAD")
    (folder / "data" / "notes" / "b.txt").write_text("later", encoding="utf8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "more notes")
    return folder.as_uri(), commit


def fetch(root, *arguments):
    command = [sys.executable, str(root / "scripts/fetch_commit.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_folder_comes_as_it_was_at_that_commit(root, repository, tmp_path):
    address, commit = repository
    done = fetch(root, address, commit, "data/notes", tmp_path / "got/notes")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "got/notes").iterdir()] == ["a.txt"]
    assert [path.name for path in (tmp_path / "got").iterdir()] == ["notes"]


def test_what_is_there_is_left_alone(root, repository, tmp_path):
    (tmp_path / "mine").mkdir()
    done = fetch(root, *repository, "data/notes", tmp_path / "mine")
    assert done.returncode == 0
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_branch_is_no_commit(root, repository, tmp_path):
    done = fetch(root, repository[0], "main", "data/notes", tmp_path / "notes")
    assert done.returncode == 1
    assert "not the full hash of a commit" in done.stderr


def test_a_commit_that_is_not_there_is_refused_and_nothing_is_left(root, repository, tmp_path):
    address, _ = repository
    done = fetch(root, address, "0" * 40, "data/notes", tmp_path / "got/notes")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "got").iterdir()) == []
