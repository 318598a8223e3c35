import runpy

import pytest

from spacy_clinner.errors import ClinnerError


@pytest.fixture
def script(root):
    return runpy.run_path(str(root / "scripts/check_assets.py"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"hello\n")
    return path


# What `git hash-object` says of a file that holds "hello" and a newline.
HELLO = "ce013625030ba8dba906f756967f9e9ca394464a"


def test_a_file_with_its_git_blob_is_accepted_and_another_is_not(script, file):
    script["verify"](file, {"blob": HELLO})
    with pytest.raises(ClinnerError, match=f"altered .blob {HELLO}, expected 00"):
        script["verify"](file, {"blob": "00"})


@pytest.mark.parametrize(
    ("asset", "says"),
    [
        ({"url": "x"}, "Run `spacy project assets` to"),
        ({"url": "x", "extra": True}, "Run `spacy project assets --extra` to"),
        ({"extra": True}, "Place it there yourself .* no address"),
        (None, "Place it there yourself, or"),
    ],
)
def test_a_missing_file_stops_with_what_to_do(script, tmp_path, asset, says):
    with pytest.raises(ClinnerError, match=says):
        script["verify"](tmp_path / "none", asset)


@pytest.mark.parametrize(
    ("asset", "says"),
    [
        ({"url": "x"}, "Delete it and run `spacy project assets`"),
        ({"url": "x", "extra": True}, "Delete it and run `spacy project assets --extra`"),
        ({}, "Put the right one there"),
    ],
)
def test_an_altered_file_stops_with_what_to_do(script, file, asset, says):
    with pytest.raises(ClinnerError, match=says):
        script["verify"](file, asset | {"checksum": "00"})


def test_the_lists_of_ids_are_verified_too(script, file, tmp_path):
    catalog, project = tmp_path / "corpora.toml", tmp_path / "project.yml"
    catalog.write_text(
        f"[mine]\nformat = 'pubtator'\nlayers = ['ncbi']\ntrain = ['{file}']\n"
        f"ids = {{ train = '{tmp_path}/ids' }}\n",
        encoding="utf8",
    )
    project.write_text("assets: []\n", encoding="utf8")
    with pytest.raises(ClinnerError, match="ids: missing"):
        script["main"]("mine", catalog, project)
    (tmp_path / "ids").write_text("1\n", encoding="utf8")
    script["main"]("mine", catalog, project)
