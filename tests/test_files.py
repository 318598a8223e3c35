from contextlib import nullcontext
from pathlib import Path

import pytest

from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import (
    check_file,
    check_folder,
    folder_written_whole,
    only_for_user,
    read_toml,
    written_whole,
)


def test_a_file_appears_whole(tmp_path):
    with written_whole(tmp_path / "a" / "x.txt") as path:
        path.write_text("whole", encoding="utf8")
        assert not (tmp_path / "a" / "x.txt").exists()
    assert (tmp_path / "a" / "x.txt").read_text(encoding="utf8") == "whole"


def test_a_failure_leaves_the_old_file_and_no_part_of_the_new_one(tmp_path):
    (tmp_path / "x.txt").write_text("old", encoding="utf8")

    def fail_half_way():
        with written_whole(tmp_path / "x.txt") as path:
            path.write_text("half", encoding="utf8")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail_half_way()
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]
    assert (tmp_path / "x.txt").read_text(encoding="utf8") == "old"


def test_a_file_that_quotes_notes_is_its_writers_alone_from_the_start(tmp_path):
    (tmp_path / "x.txt").write_text("old", encoding="utf8")
    with written_whole(tmp_path / "x.txt", private=True) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        path.write_text("a note", encoding="utf8")
    assert (tmp_path / "x.txt").stat().st_mode & 0o777 == 0o600


def test_what_others_make_is_its_users_alone_for_a_while(tmp_path):
    with only_for_user():
        (tmp_path / "a").touch()
    (tmp_path / "b").touch(0o644)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"] == [0o600, 0o644]


def test_a_folder_replaces_an_older_one_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "a/b"
    for content in ("first", "second"):
        with folder_written_whole(folder) as partial:
            (partial / content).touch()
        assert [p.name for p in folder.iterdir()] == [content]

    def fail_half_way():
        with folder_written_whole(folder) as partial:
            (partial / "third").touch()
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail_half_way()
    assert [p.name for p in folder.parent.iterdir()] == ["b"]
    assert [p.name for p in folder.iterdir()] == ["second"]


def test_a_link_to_a_folder_stays_one_and_what_is_written_lies_where_it_points(tmp_path):
    (tmp_path / "share").mkdir()
    (tmp_path / "out").symlink_to("share")
    with folder_written_whole(tmp_path / "out") as partial:
        (partial / "notes").touch()
    assert (tmp_path / "out").is_symlink()
    assert [p.name for p in (tmp_path / "share").iterdir()] == ["notes"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "share"]


@pytest.mark.parametrize("folder", [".", "..", "../here"])
def test_the_folder_that_one_is_in_is_not_replaced(tmp_path, monkeypatch, folder):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ClinnerError, match="is the folder that you are in"):
        check_folder(Path(folder), "sign")


@pytest.mark.parametrize(
    ("content", "sign", "free"),
    [
        ([], None, True),
        (["a"], None, False),
        (["a"], "sign", False),
        (["a", "sign"], "sign", True),
        (["a", "sign"], None, False),
    ],
)
def test_a_folder_is_replaced_only_where_it_holds_nothing_or_its_like(
    tmp_path, content, sign, free
):
    for name in content:
        (tmp_path / name).touch()
    with nullcontext() if free else pytest.raises(ClinnerError, match="is not replaced"):
        check_folder(tmp_path, sign)
    check_folder(tmp_path / "new", sign)
    (tmp_path / "file").touch()
    with pytest.raises(ClinnerError, match="is not replaced"):
        check_folder(tmp_path / "file", sign)


def test_a_folder_that_holds_what_is_read_is_not_replaced(tmp_path):
    (tmp_path / "sign").touch()
    for source in (tmp_path, tmp_path / "sign", tmp_path / "a" / ".."):
        with pytest.raises(ClinnerError, match="holds what is read; choose another folder"):
            check_folder(tmp_path, "sign", [source])
    check_folder(tmp_path, "sign", [tmp_path.parent])


def test_a_toml_file_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbf[mine]\nlayers = []\n")
    assert read_toml(tmp_path / "mine.toml", "missing") == {"mine": {"layers": []}}


def test_a_file_that_is_read_or_is_to_stay_is_not_replaced(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("a")
    for source in (tmp_path, tmp_path / "a", tmp_path / "link"):
        with pytest.raises(ClinnerError, match="is read, or lies in what is read"):
            check_file(tmp_path / "a", [source])
    check_file(tmp_path / "a", [tmp_path / "b"])
    with pytest.raises(ClinnerError, match="is not replaced"):
        check_file(tmp_path / "a", [tmp_path / "b"], replaced=False)
