import re
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinner.corpora.brat import read_brat
from spacy_clinner.corpora.checks import (
    DUPLICATE_ID,
    FRAGMENTS_OVERLAP,
    JUNK_LINE,
    LINE_ENDS,
    LINE_ENDS_LOST,
    NO_ANNOTATION,
    SURFACE_DIFFERS,
    UNRESOLVED,
    WHITE_SPACE_DIFFERS,
)
from spacy_clinner.corpora.note import (
    Attribute,
    Comment,
    Equivalence,
    Event,
    Normalization,
    NoteSpan,
    Relation,
)
from spacy_clinner.corpora.standoff import UNREADABLE_RESTORATION
from spacy_clinner.errors import ClinnerError

TEXT = "No fever. Left and right knee pain, worse\nat night. Aspirin 81 mg."


@pytest.fixture
def folder(tmp_path):
    def put(ann, text=TEXT, name="n1"):
        text_bytes = text if isinstance(text, bytes) else text.encode()
        (tmp_path / f"{name}.txt").write_bytes(text_bytes)
        (tmp_path / f"{name}.ann").write_bytes(ann if isinstance(ann, bytes) else ann.encode())
        return tmp_path

    return put


def only(path):
    (note,) = read_brat(path)
    return note


def reasons(note):
    return [problem.reason for problem in note.problems]


def test_every_kind_of_line_is_read(folder):
    note = only(
        folder(
            "T1\tProblem 3 8\tfever\n"
            "T2\tNegation 0 2\tNo\n"
            "T3\tDrug 52 59\tAspirin\n"
            "E1\tSymptom:T1 Cue:T2 \n"
            "R1\thasAttr Arg1:E1 Arg2:T2\t\n"
            "A1\tPOLARITY E1 NEG\n"
            "M2\tHistorical T3\n"
            "N1\tReference T3 RxNorm:1191\taspirin\n"
            "#1\tAnnotatorNotes T3\tdose follows\n"
            "*\tOVERLAP E1 T2\n"
        )
    )
    assert note.id == "n1"
    assert note.spans[0] == NoteSpan("T1", "Problem", ((3, 8),), "fever")
    assert note.events == (Event("E1", "Symptom", "T1", (("Cue", "T2"),)),)
    assert note.relations == (Relation("R1", "hasAttr", "E1", "T2"),)
    assert note.attributes == (
        Attribute("A1", "POLARITY", "E1", "NEG"),
        Attribute("M2", "Historical", "T3"),
    )
    assert note.normalizations == (
        Normalization("N1", "Reference", "T3", "RxNorm", "1191", "aspirin"),
    )
    assert note.comments == (Comment("#1", "AnnotatorNotes", "T3", "dose follows"),)
    assert note.equivalences == (Equivalence("OVERLAP", ("E1", "T2")),)
    assert note.problems == ()


def test_a_discontinuous_span_keeps_its_fragments(folder):
    note = only(folder("T1\tBody 10 14;25 29\tLeft knee\n"))
    assert note.spans[0].fragments == ((10, 14), (25, 29))
    assert note.problems == ()


@pytest.mark.parametrize("surface", ["Left knee", "knee Left"])
def test_fragments_out_of_order_are_sorted_whichever_order_the_surface_has(folder, surface):
    note = only(folder(f"T1\tBody 25 29;10 14\t{surface}\n"))
    assert note.spans[0].fragments == ((10, 14), (25, 29))
    assert note.problems == ()


def test_overlapping_fragments_are_reported(folder):
    assert reasons(only(folder("T1\tBody 10 14;12 18\tLeft ft and\n"))) == [FRAGMENTS_OVERLAP]


def test_a_span_across_a_newline_has_a_space_there_in_its_surface(folder):
    assert only(folder("T1\tCourse 36 50\tworse at night\n")).problems == ()


def test_a_span_whose_surface_disagrees_is_kept_and_reported_with_its_line(folder):
    note = only(folder("T1\tDrug 52 59\tAspirin\nT2\tProblem 3 8\tcough\n"))
    assert len(note.spans) == 2
    (problem,) = note.problems
    assert problem.reason == SURFACE_DIFFERS
    assert problem.where.endswith("n1.ann:2")
    assert problem.span == note.spans[1]


def test_a_stray_tab_in_a_surface_is_reported_as_white_space(folder):
    assert reasons(only(folder("T1\tDrug 52 59\tAspirin\t \n"))) == [WHITE_SPACE_DIFFERS]


@pytest.mark.parametrize("line", ["T1 Drug 52 59 Aspirin", "T1\tDrug\t52 59\tAspirin"])
def test_tabs_and_spaces_that_stand_for_each_other_are_read(folder, line):
    assert only(folder(line)).spans == (NoteSpan("T1", "Drug", ((52, 59),), "Aspirin"),)


def test_carriage_returns_in_the_text_stay_and_those_in_the_annotation_end_a_line(folder):
    note = only(folder("T1\tDrug 6 13\tAspirin\r\nR1\tx Arg1:T1 Arg2:T1\r\n", "Hx\r\n\r\nAspirin"))
    assert note.text == "Hx\r\n\r\nAspirin"
    assert note.spans[0].surface == "Aspirin"
    assert note.relations[0].tail == "T1"
    assert note.problems == ()


LINES = "No fever.\nNo cough.\n\nLeft knee\npain."


def brat_lines(text, words):
    """Spans on words, as the text counts them."""
    for number, word in enumerate(words, 1):
        start = text.index(word)
        yield f"T{number}\tPROBLEM {start} {start + len(word)}\t{' '.join(word.split())}\n"


@pytest.mark.parametrize("as_crlf", [True, False])
def test_offsets_that_were_counted_with_other_line_ends_are_repaired(folder, as_crlf):
    crlf = LINES.replace("\n", "\r\n")
    text, counted = (crlf, LINES) if as_crlf else (LINES, crlf)
    breaks = "\r\n" if counted is crlf else "\n"
    words = ["fever", "cough", f"knee{breaks}pain"]
    read = only(folder("".join(brat_lines(counted, words)), text))
    covered = [" ".join(text[s.start : s.end].split()) for s in read.spans]
    assert covered == ["fever", "cough", "knee pain"]
    assert reasons(read)[:2] == [LINE_ENDS] * 2


@given(
    parts=st.lists(st.sampled_from(["fever", "knee pain", "\n", ".", " "]), min_size=1),
    as_crlf=st.booleans(),
)
def test_whatever_the_line_ends_no_span_is_kept_at_another_text(tmp_path_factory, parts, as_crlf):
    counted = "".join(parts) + "\nasthma"
    text = counted.replace("\n", "\r\n")
    if not as_crlf:
        text, counted = counted, text
    found = [(m.start(), m.end(), m[0]) for m in re.finditer("fever|knee pain|asthma", counted)]
    ann = "".join(f"T{n}\tX {s} {e}\t{word}\n" for n, (s, e, word) in enumerate(found))
    folder = tmp_path_factory.mktemp("notes")
    (folder / "n.txt").write_bytes(text.encode())
    (folder / "n.ann").write_bytes(ann.encode())
    read = only(folder)
    assert [text[s.start : s.end] for s in read.spans] == [word for *_, word in found]


def test_a_span_that_no_line_ends_explain_is_dropped_where_they_are_in_doubt(folder):
    text = LINES.replace("\n", "\r\n")
    read = only(folder("T1\tPROBLEM 3 8\tfever\nT2\tPROBLEM 4 9\tcough\n", text))
    assert [s.id for s in read.spans] == ["T1"]
    assert reasons(read) == [LINE_ENDS_LOST]


def test_offsets_count_after_a_byte_order_mark(folder):
    note = only(folder(b"\xef\xbb\xbfT1\tDrug 0 7\tAspirin", b"\xef\xbb\xbfAspirin"))
    assert note.text == "Aspirin"
    assert note.problems == ()


def test_characters_that_some_take_for_line_ends_do_not_end_a_line(folder):
    text = "8\x0bmg\u2028q6h"
    assert only(folder(f"T1\tDose 0 8\t{text}\n", text)).spans[0].surface == text


@pytest.mark.parametrize(
    "line",
    [
        "R1\thasAttr Arg1:T1 Arg2:T99",
        "E1\tSymptom:T99",
        "E1\tSymptom:T1 Cue:T99",
        "A1\tPOLARITY E99 NEG",
        "N1\tReference T99 UMLS:C1\tx",
        "#1\tAnnotatorNotes T99\tx",
        "*\tEquiv T1 T99",
    ],
)
def test_what_points_to_a_missing_id_is_kept_and_reported(folder, line):
    note = only(folder(f"T1\tProblem 3 8\tfever\n{line}\n"))
    assert reasons(note) == [UNRESOLVED]
    assert note.problems[0].where.endswith(":2")
    assert (
        note.relations
        + note.events
        + note.attributes
        + note.equivalences
        + (note.normalizations + note.comments)
    )


@pytest.mark.parametrize(
    "line", ["5", "The fever", "R1\thasAttr T1 T2", "E1\tSymptom", "A1", "#note", "?"]
)
def test_a_line_that_is_no_annotation_is_reported(folder, line):
    note = only(folder(f"\nT1\tProblem 3 8\tfever\n{line}\n"))
    assert reasons(note) == [JUNK_LINE]
    assert note.problems[0].where.endswith(":3")


def test_the_second_of_two_equal_ids_is_renamed_and_reported(folder):
    note = only(folder("T1\tProblem 3 8\tfever\nT1\tDrug 52 59\tAspirin\n"))
    assert [span.id for span in note.spans] == ["T1", "T1.2"]
    assert reasons(note) == [DUPLICATE_ID]


@pytest.mark.parametrize("content", ["no json", "[1]", '{"x": 1}', '{"label": 1}', "{}}"])
def test_a_comment_of_ours_that_someone_spoiled_is_kept_as_a_comment(folder, content):
    note = only(folder(f"T1\tProblem 3 8\tfever\n#1\tclinner T1\t{content}\n"))
    assert note.spans[0].label == "Problem"
    assert note.comments[0].text == content
    assert reasons(note) == [UNREADABLE_RESTORATION]


def test_a_text_without_an_annotation_file_is_a_note_without_spans_and_reported(tmp_path):
    (tmp_path / "n1.txt").write_text(TEXT)
    note = only(tmp_path)
    assert note.spans == ()
    assert reasons(note) == [NO_ANNOTATION]


def test_an_empty_annotation_file_says_that_there_is_nothing_to_annotate(folder):
    assert only(folder("")).problems == ()


def test_folders_inside_are_read_in_order_and_hidden_files_are_not(folder, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    for name in ("b/1", "a/2", "._n1", "__MACOSX/n1"):
        folder("", name=name)
    folder("", name="n1")
    assert [note.id for note in read_brat(tmp_path)] == ["a/2", "b/1", "n1"]


def zipped(files):
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def outer(tmp_path):
    files = {"sub/n1.txt": TEXT, "sub/n1.ann": "T1\tProblem 3 8\tfever\n", "n2.txt": "Well."}
    path = tmp_path / "outer.zip"
    path.write_bytes(zipped({"inner.zip": zipped(files)}))
    return path


def test_a_zip_in_a_zip_is_read_and_named_in_the_source(outer):
    first, second = read_brat(outer / "inner.zip")
    assert (first.id, second.id) == ("n2", "sub/n1")
    assert second.spans[0].surface == "fever"
    assert second.source.endswith("outer.zip/inner.zip/sub/n1.ann")


def test_a_folder_in_a_zip_is_read(outer):
    assert [note.id for note in read_brat(outer / "inner.zip" / "sub")] == ["n1"]


@pytest.mark.parametrize("packing", ["", "xz", "gz"])
def test_a_tar_is_read_as_a_folder_is(tmp_path, packing):
    path = tmp_path / "corpus.tar"
    with tarfile.open(path, f"w:{packing}") as archive:
        for name, content in (("./a/n1.txt", b"No fever."), ("./a/n1.ann", b"T1\tX 3 8\tfever\n")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, BytesIO(content))
    (note,) = read_brat(path)
    assert (note.id, note.spans[0].surface) == ("a/n1", "fever")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ClinnerError, match=r"corpus\.tar"):
        list(read_brat(path))


def test_a_zip_of_zips_says_which_to_name(outer):
    with pytest.raises(ClinnerError, match=r"name one of them: .*outer\.zip/inner\.zip"):
        list(read_brat(outer))


def test_an_unknown_place_in_a_zip_is_named(outer):
    with pytest.raises(ClinnerError, match=r"inner\.zip/none: nothing of that name"):
        list(read_brat(outer / "inner.zip" / "none"))


def test_a_damaged_zip_is_named(outer):
    outer.write_bytes(outer.read_bytes().replace(b"PK\x03\x04", b"PKxx"))
    with pytest.raises(ClinnerError, match=r"outer\.zip"):
        list(read_brat(outer / "inner.zip"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("T1\tDrug 52 590\tAspirin", r"n1\.ann:1: a span at 52-590 is outside the text of 66"),
        ("T1\tDrug 59 52\tAspirin", r"n1\.ann:1: a span starts at 59 and ends at 52"),
        ("T1\tDrug 52 52\t", r"n1\.ann:1: a span starts at 52 and ends at 52"),
        ("T1\tDrug 52 x\tAspirin", r"n1\.ann:1: not a brat span"),
        ("T1\tDrug\tAspirin", r"n1\.ann:1: not a brat span"),
        (b"#1\tNote T1\t\xff", r"n1\.ann:1: not UTF-8 text \(byte 0xff\)"),
    ],
)
def test_an_annotation_that_cannot_be_right_stops_with_file_and_line(folder, line, message):
    with pytest.raises(ClinnerError, match=message):
        list(read_brat(folder(line)))


def test_an_annotation_file_without_its_text_is_named(folder, tmp_path):
    folder("")
    (tmp_path / "n2.ann").write_text("")
    with pytest.raises(ClinnerError, match=r"n2\.ann: its text n2\.txt is missing"):
        list(read_brat(tmp_path))


def test_a_text_that_is_not_utf8_is_named_with_its_line(folder):
    with pytest.raises(ClinnerError, match=r"n1\.txt:2: not UTF-8"):
        list(read_brat(folder("", b"Temp\n38\xb0C")))


def test_an_empty_text_is_a_note_that_nobody_annotated(folder):
    (note,) = read_brat(folder("", ""))
    assert (note.text, note.spans, note.annotated) == ("", (), False)
    assert [problem.reason for problem in note.problems] == [NO_ANNOTATION]
    with pytest.raises(ClinnerError, match="outside the text of 0 characters"):
        list(read_brat(folder("T1\tDRUG 0 5\taspir", "")))


def test_a_folder_without_notes_and_a_missing_one_are_named(tmp_path):
    with pytest.raises(ClinnerError, match=r"no \.txt file in it"):
        list(read_brat(tmp_path))
    with pytest.raises(ClinnerError, match="none: missing"):
        list(read_brat(tmp_path / "none"))


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("path", "counts", "faults"),
    [
        ("mtsamples/train", (96, 10838, 4742), {JUNK_LINE: 1, SURFACE_DIFFERS: 1}),
        ("mtsamples/test", (50, 6228, 2718), {}),
        (
            "maccrobat/9764942.zip/MACCROBAT2018.zip",
            (200, 25041, 16138),
            {WHITE_SPACE_DIFFERS: 1},
        ),
        (
            "maccrobat/9764942.zip/MACCROBAT2020.zip",
            (200, 25189, 16307),
            {WHITE_SPACE_DIFFERS: 1},
        ),
    ],
)
def test_the_real_corpora_hold_what_was_counted_in_them(path, counts, faults, assets):
    notes = list(read_brat(assets / path))
    spans = sum(len(note.spans) for note in notes)
    relations = sum(len(note.relations) for note in notes)
    assert (len(notes), spans, relations) == counts
    found = [reason for note in notes for reason in reasons(note)]
    assert {reason: found.count(reason) for reason in found} == faults


@pytest.mark.corpora
def test_maccrobat_keeps_events_attributes_and_discontinuous_spans(assets):
    notes = list(read_brat(assets / "maccrobat/9764942.zip/MACCROBAT2020.zip"))
    assert sum(len(span.fragments) > 1 for note in notes for span in note.spans) == 44
    assert sum(a.value == "NEG" for note in notes for a in note.attributes) == 1049
    assert sum(len(note.events) for note in notes) == 14368
    assert sum(len(note.equivalences) for note in notes) == 2023


@pytest.mark.corpora
def test_the_junk_line_and_the_bad_offset_of_mtsamples_are_reported_where_they_are(assets):
    problems = [p for note in read_brat(assets / "mtsamples/train") for p in note.problems]
    assert [Path(p.where).name for p in problems] == [
        "50_20210610044419_Hayden.ann:121",
        "50_20210610044419_Hayden.ann:120",
    ]
    assert problems[1].span.fragments == ((3212, 3219),)
