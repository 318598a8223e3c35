import csv
import gzip
import json
import re

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet as pq

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.sources import open_source
from spacy_clinner.tables.sources.source import FAULT, Request

ROWS = [("007", "Denies fever.\r\nTook aspirin.", "A"), ("8", 'He said "no", twice\n', ""),
        ("9", "a\0b\tcafé 😀", "B")]  # fmt: skip
HEADER = ("note_id", "text", "ward")


def read(location, **options):
    source = open_source(Request(str(location), **options))
    table = pa.Table.from_batches(list(source.batches()), source.schema)
    assert source.count() == len(table)
    return table


def written(path, rows=ROWS, header=HEADER, delimiter=","):
    with path.open("w", encoding="utf8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([header, *rows])
    return path


def json_lines(path, rows=ROWS, end="\n"):
    text = end.join(json.dumps(dict(zip(HEADER, row, strict=True))) for row in rows)
    path.write_bytes((text + end).encode())
    return path


def rows_of(table):
    return list(zip(*(table[name].to_pylist() for name in HEADER), strict=True))


def test_parquet_keeps_types_and_every_character(tmp_path):
    table = pa.table({"note_id": [7, 8, 9], "text": [row[1] for row in ROWS], "n": [1.5, None, 2]})
    pq.write_table(table, tmp_path / "notes.parquet", row_group_size=2)
    assert read(tmp_path / "notes.parquet", keep=("n",)) == table


@pytest.mark.parametrize(("ending", "mark"), [("csv", ","), ("tsv", "\t"), ("tab", "\t")])
def test_delimited_files_keep_every_character_and_zeros_of_ids(tmp_path, ending, mark):
    table = read(written(tmp_path / f"n.{ending}", delimiter=mark), keep=("ward",))
    assert rows_of(table) == ROWS
    assert table[FAULT].null_count == len(ROWS)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_json_lines_keep_every_character(tmp_path, end):
    table = read(json_lines(tmp_path / "n.jsonl", end=end), keep=("ward",))
    assert rows_of(table) == ROWS
    assert table[FAULT].null_count == len(ROWS)


@pytest.mark.parametrize("write", [written, json_lines])
def test_compressed_files_are_read(tmp_path, write):
    plain = write(tmp_path / ("n.csv" if write is written else "n.jsonl"))
    data, expected = plain.read_bytes(), read(plain, keep=("ward",))
    gz, zst = (plain.with_name(f"{plain.name}.{kind}") for kind in ("gz", "zst"))
    # Two members, as parallel packers write them.
    gz.write_bytes(gzip.compress(data[:40]) + gzip.compress(data[40:]))
    zst.write_bytes(zstandard.compress(data[:40]) + zstandard.compress(data[40:]))
    assert read(gz, keep=("ward",)) == read(zst, keep=("ward",)) == expected


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_compressed_file_that_is_cut_off_is_an_error(tmp_path, kind):
    rows = [(str(at), f"fever {at * 7919}", "") for at in range(5000)]
    data = written(tmp_path / "n.csv", rows).read_bytes()
    packed = gzip.compress(data) if kind == "gz" else zstandard.compress(data)
    path = tmp_path / f"cut.csv.{kind}"
    path.write_bytes(packed[:-100])
    with pytest.raises(ClinnerError, match=rf"cut.csv.{kind}: cannot be read"):
        read(path)


def test_a_byte_order_mark_is_left_out(tmp_path):
    for path in (written(tmp_path / "n.csv"), json_lines(tmp_path / "n.jsonl")):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert rows_of(read(path, keep=("ward",))) == ROWS
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.txt").write_bytes(b"\xef\xbb\xbffever")
    assert read(tmp_path / "t")["text"].to_pylist() == [b"fever"]


def test_rows_that_cannot_be_read_say_why_and_cost_no_other(tmp_path):
    (tmp_path / "n.csv").write_bytes(
        b'note_id,text,ward\n1,fever,A\n2,caf\xe9,A\n\n3,"a,b"\n4,x,A,B\n5,cough,A\n'
    )
    (tmp_path / "n.jsonl").write_bytes(
        b'{"note_id": 1, "text": "fever"}\n{"note_id": "2", "text": "caf\xe9"}\n\n'
        b'{"note_id": "3", "text": 5}\n{"note_id": 4, "text": ["a"]}\n{"note_id": "5"}\n'
        b'nonsense\n[1]\n{"note_id": "8", "text": null}\n{"note_id": "9", "text": "half \\ud83d"}\n'
    )
    table = read(tmp_path / "n.csv", keep=("ward",))
    assert table["note_id"].to_pylist() == ["1", "2", "3", "4", "5"]
    assert table[FAULT].to_pylist() == [
        None,
        "not UTF-8 (byte 0xe9 at character 3)",
        "the row has 2 fields, the header 3",
        "the row has 4 fields, the header 3",
        None,
    ]
    table = read(tmp_path / "n.jsonl")
    assert table["note_id"].to_pylist() == ["1", "2", "3", "4", "5", None, None, "8", "9"]
    assert table["text"].to_pylist()[-2:] == [None, "half \ufffd"]
    assert table[FAULT].to_pylist() == [
        None,
        "not UTF-8 (byte 0xe9 at character 3)",
        "the text is no string but a number",
        "the text is no string but a list",
        "no field 'text'",
        "no JSON object in line 7 of n.jsonl",
        "no JSON object in line 8 of n.jsonl",
        None,
        None,
    ]


def test_rows_that_cannot_be_read_have_no_text_and_name_the_column(tmp_path):
    (tmp_path / "n.csv").write_bytes(
        b"note_id,text,ward\n1,fever,A\n2,fever,caf\xe9\n3,half, a note\n4,caf\xe9,A\n"
        b"5,half, a note,A\n"
    )
    (tmp_path / "n.jsonl").write_bytes(
        b'{"note_id": "1", "text": "fever", "ward": "A"}\n'
        b'{"note_id": "2", "text": "fever", "ward": "caf\xe9"}\n'
    )
    table = read(tmp_path / "n.csv", keep=("ward",))
    assert table["text"].to_pylist() == ["fever", None, "half", None, None]
    told = "column 'ward' is not UTF-8 (byte 0xe9 at character 3)"
    assert table[FAULT][1].as_py() == told
    table = read(tmp_path / "n.jsonl", keep=("ward",))
    assert table["text"].to_pylist() == ["fever", None]
    assert table[FAULT].to_pylist() == [None, told]
    assert table["ward"].to_pylist() == ["A", "caf\ufffd"]


def lines_of(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_column_that_all_first_json_lines_lack_is_missing_in_some_it_is_null(
    tmp_path,
):
    note = {"note_id": "1", "text": "fever"}
    some = lines_of(tmp_path / "some.jsonl", note, {"note_id": "2"}, {**note, "ward": "A"})
    table = read(some, keep=("ward",))
    assert table["ward"].to_pylist() == [None, None, "A"]
    assert table[FAULT].to_pylist() == [None, "no field 'text'", None]
    with pytest.raises(ClinnerError, match=r"some.jsonl:1-3: no column 'seen'. It has note_id, t"):
        read(some, keep=("seen",))
    late = lines_of(tmp_path / "late.jsonl", *[note] * 1000, {**note, "ward": "A"})
    with pytest.raises(ClinnerError, match=r"late.jsonl:1-1000: no column 'ward'"):
        read(late, keep=("ward",))
    # The first line may hold no note, as any other.
    spoilt = tmp_path / "spoilt.jsonl"
    spoilt.write_text("nonsense\n" + json.dumps(note) + "\n")
    assert read(spoilt)[FAULT].to_pylist() == ["no JSON object in line 1 of spoilt.jsonl", None]


def test_a_column_is_missing_where_no_file_of_json_lines_has_it(tmp_path):
    note = {"note_id": "1", "text": "fever"}
    lines_of(tmp_path / "a.jsonl", note)
    lines_of(tmp_path / "b.jsonl")
    lines_of(tmp_path / "c.jsonl", {**note, "ward": "A"})
    assert read(tmp_path, keep=("ward",))["ward"].to_pylist() == [None, "A"]
    with pytest.raises(ClinnerError, match=r"a.jsonl and 2 more files: no column 'x'"):
        read(tmp_path, keep=("x",))
    lines_of(tmp_path / "d.jsonl", {"note_id": "1", "body": "fever"})
    with pytest.raises(ClinnerError, match=r"d.jsonl:1: no column 'text'"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["a.txt.gz", "n.parquet.zst", "n.csv.bz2", "n.jsonl.zip"])
def test_notes_that_are_packed_in_a_way_that_is_not_read_are_not_passed_over(tmp_path, name):
    written(tmp_path / "n.csv")
    (tmp_path / name).touch()
    with pytest.raises(ClinnerError, match=f"{name}: what is read are files that end in"):
        read(tmp_path)


def test_values_that_are_no_strings_are_kept_as_json(tmp_path):
    (tmp_path / "n.jsonl").write_text(
        '{"note_id": 1.5, "text": "a", "ward": {"name": "é"}}\n'
        '{"note_id": true, "text": "b", "ward": null}\n{"note_id": 3, "text": "c"}\n'
    )
    table = read(tmp_path / "n.jsonl", keep=("ward",))
    assert table["note_id"].to_pylist() == ["1.5", "true", "3"]
    assert table["ward"].to_pylist() == ['{"name": "é"}', None, None]


def test_text_files_are_notes_with_their_path_as_id(tmp_path):
    for name in ("b/2.txt", "a/1.txt", "3.txt", ".hidden/4.txt", "_x/5.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"No fever\r\n" + name[0].encode())
    assert read(tmp_path)["note_id"].to_pylist() == ["3", "a/1", "b/2"]
    assert read(tmp_path)["text"][1].as_py() == b"No fever\r\na"
    assert read(tmp_path / "*" / "*.txt")["note_id"].to_pylist() == ["a/1", "b/2"]
    assert read(tmp_path / "**" / "*.txt")["note_id"].to_pylist() == ["3", "a/1", "b/2"]
    assert read(tmp_path / "a" / "1.txt")["note_id"].to_pylist() == ["1"]
    (tmp_path / "a").rename(tmp_path / "n[1]")
    assert read(tmp_path / "n[1]")["note_id"].to_pylist() == ["1"]
    assert read(tmp_path / "n[1]" / "1.txt")["note_id"].to_pylist() == ["1"]


def test_files_of_a_folder_or_glob_are_read_in_the_order_of_their_names(tmp_path):
    for at in (3, 1, 2):
        written(tmp_path / f"part-{at}.csv", [(f"{at}-{n}", "fever", "") for n in range(2)])
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "README.md").touch()
    expected = ["1-0", "1-1", "2-0", "2-1", "3-0", "3-1"]
    assert read(tmp_path)["note_id"].to_pylist() == expected
    assert read(tmp_path / "part-[12].csv")["note_id"].to_pylist() == expected[:4]


@pytest.mark.parametrize(
    ("name", "content", "options", "says"),
    [
        ("n.csv", b"id,text\n1,a\n", {}, r"n.csv: no column 'note_id'. It has id, text. Name"),
        ("n.csv", b"note_id,text\n", {"keep": ("x",)}, "no column 'x'"),
        ("n.csv", b"note_id,text,text\n", {}, "two columns 'text'"),
        ("n.csv", b"", {}, "n.csv: the file is empty"),
        ("n.csv", b"note_id,t\xe9xt\n", {}, "n.csv:1: the header is not UTF-8"),
        ("n.csv", b'note_id,text\n1,"a\n', {}, r"n.csv:2: not CSV \(unexpected end of data\)"),
        ("n.jsonl", b"\n[1]\n", {}, "n.jsonl:1: no JSON object"),
        ("n.jsonl", b'{"id": 1}\n', {}, "n.jsonl:1: no column 'note_id'. It has id"),
        ("n.parquet", b"PAR1", {}, "n.parquet: no Parquet file"),
        ("n.doc", b"", {}, "n.doc: what is read are files that end in"),
        ("a.txt.gz", b"", {}, "a.txt.gz: what is read are files that end in"),
        ("a.txt", b"", {"keep": ("x",)}, r"text files have no columns to keep \(x\)"),
    ],
)
def test_what_cannot_be_read_is_named_before_the_start(tmp_path, name, content, options, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClinnerError, match=says):
        read(tmp_path / name, **options)


def test_files_without_a_line_have_no_notes(tmp_path):
    for name, content in [("a.jsonl", ""), ("b.jsonl", "\n \n"), ("a.csv", ""), ("b.csv", "\n\n")]:
        (tmp_path / name).write_text(content)
    assert len(read(tmp_path / "a.jsonl", keep=("ward",))) == 0
    assert len(read(tmp_path / "*.jsonl")) == 0
    written(tmp_path / "c.csv")
    assert rows_of(read(tmp_path / "*.csv", keep=("ward",))) == ROWS
    late = tmp_path / "late.csv"
    late.write_text("\n\nnote_id,text\n1,fever\n")
    assert read(late)["text"].to_pylist() == ["fever"]


def test_quotes_that_are_wrong_cost_a_row_and_those_that_never_end_the_file(tmp_path):
    path = tmp_path / "n.csv"
    path.write_text('note_id,text\n1,fever\n3,"x"y\n4,"two\nlines"z\n5,"a ""b"" c"\n')
    table = read(path)
    assert table["note_id"].to_pylist() == ["1", "3", "4", "5"]
    assert table["text"].to_pylist() == ["fever", None, None, 'a "b" c']
    assert table[FAULT].to_pylist() == [
        None, "no CSV in line 3 of n.csv", "no CSV in line 5 of n.csv", None,
    ]  # fmt: skip
    path.write_text('note_id,text\n1,fever\n3,"says "no" and\nfever, cough"\n4,x\n')
    with pytest.raises(ClinnerError, match=r"n.csv:3: not CSV"):
        read(path)


def test_what_the_command_wrote_is_no_note(tmp_path):
    written(tmp_path / "n.csv")
    (tmp_path / "found/notes").mkdir(parents=True)
    (tmp_path / "found/_ledger.jsonl").touch()
    (tmp_path / "found/notes/part-000000.parquet").touch()
    assert rows_of(read(tmp_path, keep=("ward",))) == ROWS
    (tmp_path / "found/notes/part-000000.parquet").unlink()
    written(tmp_path / "found/notes/part-000000.csv")
    assert rows_of(read(tmp_path / "**/*.csv", keep=("ward",))) == ROWS
    # Of itself, it is a source as any other.
    assert len(read(tmp_path / "found/notes")) == len(ROWS)


def test_the_first_line_of_a_file_without_a_header_is_not_told(tmp_path):
    (tmp_path / "n.csv").write_text('17,"Denies chest pain. John Smith, MRN 123."\n')
    with pytest.raises(ClinnerError, match=r"no column 'note_id'\. It has 2 columns, and") as e:
        read(tmp_path / "n.csv")
    assert not {"17", "chest", "Smith", "MRN"} & {*re.findall(r"\w+", str(e.value))}


def test_no_file_several_kinds_or_types_are_named(tmp_path):
    with pytest.raises(ClinnerError, match="nowhere: no notes there"):
        read(tmp_path / "nowhere")
    pq.write_table(pa.table({"note_id": [1], "text": ["a"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"note_id": ["1"], "text": ["a"]}), tmp_path / "b.parquet")
    with pytest.raises(ClinnerError, match=r"b.parquet: its columns .* of other types than"):
        read(tmp_path)
    written(tmp_path / "n.csv")
    with pytest.raises(ClinnerError, match=r"several kinds \(.csv, .parquet\)"):
        read(tmp_path)


VALUES = st.text(st.characters(codec="utf8"), max_size=20)


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=6), st.sampled_from([",", "\t"]))
def test_any_strings_survive_csv_and_json(tmp_path_factory, rows, mark):
    folder = tmp_path_factory.mktemp("any")
    ending = "csv" if mark == "," else "tsv"
    delimited = read(written(folder / f"n.{ending}", rows, delimiter=mark), keep=("ward",))
    assert rows_of(delimited) == rows
    assert delimited[FAULT].null_count == len(rows)
    if rows:
        lines = read(json_lines(folder / "n.jsonl", rows), keep=("ward",))
        assert rows_of(lines) == rows
