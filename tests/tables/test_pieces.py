import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet as pq

from spacy_clinner.tables import pieces as module
from spacy_clinner.tables.conditions import read_condition
from spacy_clinner.tables.pieces import TWICE, Pieces, Seen
from spacy_clinner.tables.sources import open_source
from spacy_clinner.tables.sources.source import Request


def cut(path, size=1000, where=(), **options):
    request = Request(str(path), **options)
    return Pieces(open_source(request), request, size, tuple(where), ())


@pytest.fixture
def notes(tmp_path):
    def write(table, **options):
        pq.write_table(pa.table(table), tmp_path / "n.parquet", **options)
        return tmp_path / "n.parquet"

    return write


@given(st.lists(st.lists(st.integers(0, 50), max_size=30), max_size=12))
def test_an_id_that_went_by_before_is_known(batches):
    seen, known = Seen(), set()
    for batch in batches:
        expected = []
        for number in batch:
            expected.append(number in known)
            known.add(number)
        assert seen.add([str(number) for number in batch]).tolist() == expected
    assert sum(map(len, seen.runs)) == len(known)


@pytest.mark.parametrize("groups", [3, 100, 10_000])
def test_pieces_are_the_same_however_the_file_is_stored(notes, groups):
    table = {"note_id": list(range(1000)), "text": [f"fever {at}" for at in range(1000)]}
    found = list(cut(notes(table, row_group_size=groups), 300))
    assert [len(piece.notes) for piece in found] == [300, 300, 300, 100]
    assert [piece.rows_read for piece in found] == [300, 600, 900, 1000]
    assert found[0].digest == next(iter(cut(notes(table, row_group_size=1000), 300))).digest
    assert len({piece.digest for piece in found}) == 4


def test_a_piece_of_long_notes_ends_early(notes, monkeypatch):
    monkeypatch.setattr(module, "CHARACTERS", 10)
    path = notes({"note_id": range(5), "text": ["x" * 4, "x" * 4, "x" * 4, "x" * 30, None]})
    assert [len(piece.notes) for piece in cut(path)] == [2, 1, 1, 1]


def test_a_change_of_any_value_changes_the_digest(notes):
    table = {"note_id": [1, 2], "text": ["fever", None], "ward": ["A", "B"]}
    request = Request(str(notes(table)), keep=("ward",))

    def digest():
        [piece] = Pieces(open_source(request), request, 10, (), ("ward",))
        return piece.digest

    digests = {digest()}
    for name, changed in [("note_id", [1, 3]), ("text", ["fever", ""]), ("ward", ["A", None])]:
        notes(table | {name: changed})
        digests.add(digest())
    assert len(digests) == 4


def test_a_second_note_with_an_id_and_one_without_are_told_of(notes):
    [piece] = cut(notes({"note_id": ["a", "b", "a", None], "text": ["", "", "", ""]}))
    assert piece.faults == [None, None, TWICE, "the id is null"]
    assert piece.notes.column("note_id").to_pylist() == ["a", "b", "a", "(row 4)"]
    first, second = cut(notes({"note_id": ["a", "a"], "text": ["", ""]}), 1)
    assert (first.faults, second.faults) == ([None], [TWICE])


def test_only_notes_that_fit_are_in_pieces(notes):
    path = notes({"note_id": range(9), "text": ["fever"] * 9, "year": [2019, 2020, None] * 3})
    found = list(cut(path, 2, [read_condition("year>=2020")], keep=("year",)))
    assert [piece.notes.column("note_id").to_pylist() for piece in found] == [[1, 4], [7]]
    assert [piece.rows_read for piece in found] == [5, 8]
    assert found[0].notes.schema.names == ["note_id", "text"]


def test_rows_that_cannot_be_read_are_in_pieces_whatever_is_asked_of_their_columns(tmp_path):
    (tmp_path / "n.csv").write_text("note_id,text,year\n1,fever,2020\n2,broken\n3,cough,2019\n")
    [piece] = cut(tmp_path / "n.csv", where=[read_condition("year>=2020")], keep=("year",))
    assert piece.notes.column("note_id").to_pylist() == ["1", "2"]
    assert piece.faults == [None, "the row has 2 fields, the header 3"]


def test_ids_of_bytes_and_uuids_cost_no_note(notes):
    for kind, ids in [(pa.binary(), [b"a", b"\xff"]), (pa.uuid(), [b"a" * 16, b"b" * 16])]:
        [piece] = cut(notes({"note_id": pa.array(ids, kind), "text": ["", ""]}))
        assert piece.faults == [None, None]


def test_an_empty_id_is_none(tmp_path):
    (tmp_path / "n.csv").write_text("note_id,text\n,fever\n,cough\n3,x\n")
    [piece] = cut(tmp_path / "n.csv")
    assert piece.notes.column("note_id").to_pylist() == ["(row 1)", "(row 2)", "3"]
    assert piece.faults == ["the id is empty", "the id is empty", None]


def test_strings_that_are_no_utf8_in_parquet_are_rows(notes):
    _, offsets, _ = pa.array(["abc", "def"]).buffers()
    spoilt = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"a\xe9cdef")])
    [piece] = cut(notes({"note_id": spoilt, "text": spoilt}))
    assert piece.notes.column("note_id").to_pylist() == ["a\ufffdc", "def"]


def test_a_source_without_notes_is_one_piece_without_any(notes):
    table = {"note_id": pa.array([], pa.int64()), "text": pa.array([], pa.string())}
    [piece] = cut(notes(table))
    assert (piece.number, len(piece.notes), piece.rows_read, piece.faults) == (0, 0, 0, [])
    path = notes({"note_id": [1], "text": ["fever"], "year": [2019]})
    [piece] = cut(path, 2, [read_condition("year>=2020")], keep=("year",))
    assert piece.notes.schema.names == ["note_id", "text"]


def test_all_pieces_know_the_type_that_ids_have_in_the_source(notes):
    for piece in cut(notes({"note_id": [1, None, 3, 4], "text": [""] * 4}), 2):
        metadata = piece.notes.schema.field("note_id").metadata
        assert metadata == {b"type_in_source": b"int64"}
