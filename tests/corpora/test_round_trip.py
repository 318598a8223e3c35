import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinner.corpora.brat import read_brat, write_brat
from spacy_clinner.corpora.formats import read
from spacy_clinner.corpora.jsonl import read_jsonl, write_jsonl
from spacy_clinner.corpora.note import (
    Attribute,
    Comment,
    Equivalence,
    Event,
    Normalization,
    Note,
    NoteSpan,
    Problem,
    Relation,
)
from spacy_clinner.errors import ClinnerError

TEXTS = st.one_of(
    st.text(min_size=1, max_size=40),
    st.text("ab \t\r\n\ufeff\u2028\x85;:#*é😀", min_size=1, max_size=40),
)
# What brat itself writes, what other tools write, and what nobody should.
WORDS = st.one_of(
    st.sampled_from(["Drug", "Body Part", "T047,T033", "a:b", "clinner", "note", "", "_", "*1"]),
    st.text(max_size=6),
)
IDS = st.one_of(st.from_regex(r"[TREAMN#][0-9]{1,2}", fullmatch=True), WORDS)


@st.composite
def fragments(draw, text):
    cuts = st.lists(st.integers(0, len(text)), min_size=2, max_size=6, unique=True)
    ends = sorted(draw(cuts))
    return tuple(zip(ends[::2], ends[1::2], strict=False))


@st.composite
def notes(draw):
    text = draw(TEXTS)
    taken = set()

    def several(kind, *fields):
        """Annotations with ids of their own."""
        drawn = draw(st.lists(st.builds(kind, *fields), max_size=3))
        kept = [a for i, a in enumerate(drawn) if a.id not in taken | {b.id for b in drawn[:i]}]
        taken.update(annotation.id for annotation in kept)
        return tuple(kept)

    words = st.lists(WORDS, max_size=2).map(tuple)
    arguments = st.lists(st.tuples(WORDS, IDS), max_size=2).map(tuple)
    members = st.lists(IDS, max_size=3).map(tuple)
    return Note(
        draw(st.one_of(st.from_regex(r"[a-zA-Z0-9/_.-]{1,5}", fullmatch=True), WORDS)),
        text,
        several(NoteSpan, IDS, WORDS, fragments(text), st.none() | TEXTS, words),
        several(Relation, IDS, WORDS, IDS, IDS, st.tuples(WORDS, WORDS)),
        several(Attribute, IDS, WORDS, IDS, st.none() | WORDS),
        several(Event, IDS, WORDS, IDS, arguments),
        tuple(draw(st.lists(st.builds(Equivalence, WORDS, members), max_size=2))),
        several(Normalization, IDS, WORDS, IDS, WORDS, WORDS, WORDS),
        several(Comment, IDS, WORDS, IDS, TEXTS),
        draw(st.none() | words),
        annotated=draw(st.booleans()),
        linked=draw(st.booleans()),
    )


def through_brat(notes):
    with tempfile.TemporaryDirectory() as folder:
        write_brat(notes, Path(folder, "corpus"))
        return list(read_brat(Path(folder, "corpus")))


def through_jsonl(notes):
    with tempfile.TemporaryDirectory() as folder:
        write_jsonl(notes, Path(folder, "notes.jsonl"))
        return list(read_jsonl(Path(folder, "notes.jsonl")))


@settings(max_examples=200)
@given(notes())
def test_any_note_comes_back_from_brat_as_it_was(note):
    assert through_brat([note]) == [note]


@settings(max_examples=150)
@given(notes())
def test_any_note_comes_back_from_jsonl_as_it_was(note):
    assert through_jsonl([note]) == [note]


@settings(max_examples=50)
@given(st.lists(notes(), min_size=1, max_size=4))
def test_notes_whose_ids_clash_as_file_names_all_come_back_from_brat(written):
    assert sorted(through_brat(written), key=content) == sorted(written, key=content)


def content(note):
    """Everything but where it came from: brat has notes in the order of their file names."""
    return repr(replace(note, source="", problems=()))


def test_problems_and_source_survive_jsonl():
    span = NoteSpan("T1", "DRUG", ((0, 7),), "aspirn")
    note = Note(
        "a", "aspirin", (span,), source="a.ann", problems=(Problem("a.ann:1", "odd", span),)
    )
    (back,) = through_jsonl([note])
    assert (back.source, back.problems) == (note.source, note.problems)


def test_a_brat_tool_sees_plain_lines_and_the_rest_as_comments(tmp_path):
    span = NoteSpan("s-1", "Body Part", ((0, 4),), codes=("C0018670",))
    write_brat([Note("a", "Head\tfine", (span,))], tmp_path / "out")
    lines = (tmp_path / "out" / "a.ann").read_text().splitlines()
    assert lines[0] == "T1\tBody_Part 0 4\tHead"
    assert all(line.startswith("#") for line in lines[1:])


def test_a_folder_that_holds_something_is_not_written_over(tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(ClinnerError, match="is there already"):
        write_brat([Note("a", "text")], tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize("write", [write_brat, write_jsonl])
def test_a_reader_that_fails_half_way_leaves_no_output_behind(write, tmp_path):
    def failing():
        yield Note("a", "text")
        raise ClinnerError("the second file is not UTF-8")

    with pytest.raises(ClinnerError, match="second file"):
        write(failing(), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("path", "format"),
    [
        ("mtsamples/train", "brat"),
        ("maccrobat/9764942.zip/MACCROBAT2020.zip", "brat"),
        ("ncbi-disease/NCBItrainset_corpus.txt", "pubtator"),
        ("bc5cdr/CDR_TestSet.PubTator.txt", "pubtator"),
        ("medmentions/mm_ner_sts.dev.conll.gz", "conll"),
    ],
)
def test_a_real_corpus_converts_to_brat_and_jsonl_and_back_without_loss(path, format, assets):
    written = list(read(assets / path, format))
    assert through_jsonl(written) == written
    assert sorted(through_brat(written), key=content) == sorted(written, key=content)
