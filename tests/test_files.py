import pytest

from spacy_clinner.files import written_whole


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
