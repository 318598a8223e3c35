import pytest

from spacy_clinner.corpora.brat import write_brat
from spacy_clinner.corpora.checks import only_listed
from spacy_clinner.corpora.formats import READERS, read
from spacy_clinner.corpora.note import Note
from spacy_clinner.errors import ClinnerError


def test_an_unknown_format_is_answered_with_those_there_are(tmp_path):
    with pytest.raises(ClinnerError, match=r"unknown format .xml.\. Known: bioc, brat, conll"):
        read(tmp_path, "xml")


def test_a_missing_path_is_named_by_every_reader(tmp_path):
    for format in READERS:
        with pytest.raises(ClinnerError, match=r"none: (missing|no such file)"):
            list(read(tmp_path / "none", format))


def test_a_list_of_ids_picks_notes_in_any_format(tmp_path):
    write_brat([Note(name, "text") for name in ("a", "b", "c")], tmp_path / "corpus")
    (tmp_path / "ids.txt").write_text("c\na\n")
    notes = only_listed(read(tmp_path / "corpus", "brat"), tmp_path / "ids.txt")
    assert [note.id for note in notes] == ["a", "c"]
