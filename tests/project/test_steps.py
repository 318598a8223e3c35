"""The scripts of the project refuse bad input with one message and exit code 1."""

import os
import shutil
import subprocess
import sys

import pytest
import spacy
from commands import refused

EDITION = "tests/models/en_clinner_cpu-0.1.0-py3-none-any.whl"


def step(root, script, *arguments):
    return subprocess.run(
        [sys.executable, str(root / "scripts" / script), *map(str, arguments)],
        cwd=root,
        env=dict(os.environ, COLUMNS="200"),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def catalog(tmp_path):
    def write(**entry):
        defaults = {"format": "brat", "layers": ["clinical"], "train": [str(tmp_path / "raw")]}
        lines = [f"{key} = {value!r}" for key, value in (defaults | entry).items()]
        path = tmp_path / "corpora.toml"
        path.write_text("[mine]\n" + "\n".join(lines) + "\n", encoding="utf8")
        (tmp_path / "raw").mkdir(exist_ok=True)
        return path

    return write


def raw(tmp_path, name, content):
    path = tmp_path / "raw" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_missing_raw_file_stops_with_what_to_do(root, tmp_path, catalog):
    path = catalog(train=["nowhere/raw"])
    done = step(root, "check_assets.py", "mine", "--catalog", path)
    assert refused(done, "nowhere/raw", "missing", "catalog")


def test_an_altered_asset_stops_with_what_to_do(root, tmp_path, catalog):
    changed = raw(tmp_path, "notes.txt", "altered")
    project = tmp_path / "project.yml"
    project.write_text(
        f"assets:\n  - dest: {changed}\n    checksum: 0123456789abcdef0123456789abcdef\n",
        encoding="utf8",
    )
    path = catalog(train=[str(changed)])
    done = step(root, "check_assets.py", "mine", "--catalog", path, "--project", project)
    assert refused(done, "notes.txt", "altered", "spacy project assets")


def test_a_model_of_ones_own_does_not_take_the_place_of_the_released_one(root):
    def named(name, corpus):
        return step(root, "check_own_names.py", name, corpus, "1.0.0", "en_clinner")

    assert refused(named("clinner", "sample"), "--vars.name and --vars.corpus", "released")
    assert refused(named("clinner", "mine"), "--vars.name:")
    assert refused(named("clinner_cpu", "mine"), "--vars.name:")


def test_a_name_that_no_package_can_have_is_refused_before_a_model_is_adapted(root, tmp_path):
    spacy.blank("en").to_disk(tmp_path / "model")
    given = ("notes-of-mine", "1.0.0", tmp_path / "model")
    assert step(root, "check_own_names.py", "mine", *given).returncode == 0
    assert refused(step(root, "check_own_names.py", "Mine-Model", *given), "Mine-Model", "letters")


@pytest.mark.long
def test_a_cpu_edition_is_refused_before_a_model_is_adapted_from_it(root, tmp_path):
    shutil.unpack_archive(root / EDITION, tmp_path, "zip")
    (edition,) = tmp_path.glob("en_clinner_cpu/en_clinner_cpu-*")
    done = step(root, "check_own_names.py", "mine", "notes-of-mine", "1.0.0", edition)
    assert refused(done, f"{edition}: a CPU edition, whose encoder cannot be trained")


def test_the_smoke_test_of_a_model_that_is_not_installed_is_refused(root):
    assert refused(step(root, "smoke.py", "en_no_such_model"), "en_no_such_model", "not installed")
