import gzip

import pytest

from spacy_clinner.corpora.catalog import find_corpus
from spacy_clinner.corpora.checks import DUPLICATE_DOCUMENT
from spacy_clinner.corpora.conll import NOT_BEGUN, NOT_ENDED, read_conll
from spacy_clinner.errors import ClinnerError


@pytest.fixture
def corpus(tmp_path):
    def put(text, name="notes.conll"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return put


def tagged(tags):
    """One sentence of words a, b, c ..."""
    return "".join(f"{chr(97 + i)} {tag}\n" for i, tag in enumerate(tags.split()))


def found(note):
    return [(note.text[span.start : span.end], span.label) for span in note.spans]


def only(path):
    (note,) = read_conll(path)
    return note


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("IOB", "I-X I-X B-X O I-Y I-X"),
        ("IOB2", "B-X I-X B-X O B-Y B-X"),
        ("BILUO", "B-X L-X U-X O U-Y U-X"),
        ("BIOES", "B-X E-X S-X O S-Y S-X"),
    ],
)
def test_every_scheme_gives_the_same_spans(corpus, scheme, tags):
    note = only(corpus(tagged(tags)))
    assert found(note) == [("a b", "X"), ("c", "X"), ("e", "Y"), ("f", "X")]
    assert note.problems == ()


def test_words_are_joined_by_a_space_and_sentences_by_a_newline(corpus):
    note = only(corpus("No O\nfever B-X\n\n\nChest B-X\npain I-X\n"))
    assert note.text == "No fever\nChest pain"
    assert found(note) == [("fever", "X"), ("Chest pain", "X")]
    assert note.id == "notes"


def test_tags_say_nothing_of_relations(corpus):
    assert not only(corpus(tagged("B-X O B-Y"))).linked


def test_a_span_ends_with_its_sentence(corpus):
    assert found(only(corpus("a I-X\n\nb I-X\n"))) == [("a", "X"), ("b", "X")]


@pytest.mark.parametrize(
    ("tags", "line", "reason"),
    [
        ("B-X O I-X", 3, NOT_BEGUN),
        ("B-X I-Y", 2, NOT_BEGUN),
        ("U-X L-X", 2, NOT_BEGUN),
        ("U-X O B-X I-X", 4, NOT_ENDED),
    ],
)
def test_tags_that_break_their_scheme_are_read_and_reported(corpus, tags, line, reason):
    path = corpus(tagged(tags))
    note = only(path)
    (problem,) = note.problems
    assert (problem.where, problem.reason) == (f"{path}:{line}", reason)
    assert problem.span in note.spans


def test_any_number_of_columns_and_tabs_around_words_with_spaces(corpus):
    note = only(corpus("81 mg\tCD\tx\tB-DOSE\n\u00a0daily\tRB\tx\tO\n"))
    assert found(note) == [("81 mg", "DOSE")]


def test_the_tags_are_the_last_column(corpus):
    path = corpus("fever B-X 0.9\ntoday O 0.8\n")
    with pytest.raises(ClinnerError, match=r"notes\.conll:1: the tag is not O.* last column"):
        list(read_conll(path))


def test_documents_take_their_id_from_their_first_line_or_their_number(corpus):
    text = "-DOCSTART- (123)\n\na O\n\n-DOCSTART- -X- O\n\nb O\n"
    assert [(note.id, note.text) for note in read_conll(corpus(text))] == [
        ("123", "a"),
        ("notes-2", "b"),
    ]


def test_the_second_of_two_documents_with_one_id_is_reported(corpus):
    text = "-DOCSTART- (1)\na O\n-DOCSTART- (1)\nb O\n"
    faults = [[p.reason for p in note.problems] for note in read_conll(corpus(text))]
    assert faults == [[], [DUPLICATE_DOCUMENT]]


def test_a_gzipped_file_and_carriage_returns_are_read(corpus, tmp_path):
    path = corpus(tagged("B-X O"))
    packed = tmp_path / "notes.conll.gz"
    packed.write_bytes(gzip.compress(path.read_bytes().replace(b"\n", b"\r\n")))
    assert only(packed) == only(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("a O\nb\n", r"notes\.conll:2: expected 2 columns.*found 1"),
        ("a\n", r"notes\.conll:1: expected 2 columns"),
        ("\tO\n", r"notes\.conll:1: expected 2 columns"),
        (" \tO\n", r"notes\.conll:1: .*; the word is blank"),
        ("a B_X\n", r"notes\.conll:1: the tag is not O"),
        ("a B-\n", r"notes\.conll:1: the tag is not O"),
        ("-DOCSTART- (7)\n\n-DOCSTART- (8)\na O\n", r"notes\.conll:1: document 7 holds no word"),
    ],
)
def test_what_cannot_be_read_stops_with_file_and_line(corpus, text, message):
    with pytest.raises(ClinnerError, match=message):
        list(read_conll(corpus(text)))


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("split", "notes", "begun", "not_begun"),
    [("dev", 878, 66763, 141), ("test", 879, 66447, 145)],
)
def test_medmentions_has_a_span_for_every_tag_that_begins_one(
    split, notes, begun, not_begun, assets
):
    read = list(read_conll(assets / f"medmentions/mm_ner_sts.{split}.conll.gz"))
    assert len(read) == notes
    assert {note.id for note in read} == set(
        (assets / f"medmentions/corpus_pubtator_pmids_{split}.txt").read_text().split()
    )
    assert sum(len(note.spans) for note in read) == begun + not_begun
    assert [p.reason for note in read for p in note.problems] == [NOT_BEGUN] * not_begun


@pytest.mark.corpora
def test_the_catalog_names_the_types_that_the_sentences_of_medmentions_are_labelled_with(
    root, assets
):
    corpus = find_corpus("medmentions-zs", root / "configs/corpora.toml")
    notes = list(read_conll(assets / "medmentions-zs/train.partial11.conll.gz"))
    spans = [span for note in notes for span in note.spans]
    assert (len(notes), len(spans)) == (26_770, 113_464)
    (scheme,) = corpus.schemes
    assert {scheme.written[span.label] for span in spans} == set(corpus.labels)
    assert len(corpus.labels) == 11
