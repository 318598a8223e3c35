import gzip

import pytest

from spacy_clinner.corpora.checks import (
    DUPLICATE_DOCUMENT,
    JUNK_LINE,
    SURFACE_DIFFERS,
    UNRESOLVED,
    WHITE_SPACE_DIFFERS,
    only_listed,
)
from spacy_clinner.corpora.note import Comment, Note, NoteSpan, Relation
from spacy_clinner.corpora.pubtator import (
    EXTRA_COLUMN,
    INDIVIDUAL_MENTIONS,
    NO_ABSTRACT,
    OTHER_DOCUMENT,
    read_pubtator,
)
from spacy_clinner.errors import ClinnerError

TITLE = "Warfarin and skin necrosis."
ABSTRACT = "Breast and ovarian cancer were ruled out."


@pytest.fixture
def corpus(tmp_path):
    def put(*lines, name="corpus.txt", pmid="101"):
        head = f"{pmid}|t|{TITLE}\n{pmid}|a|{ABSTRACT}\n"
        (tmp_path / name).write_text(head + "".join(f"{line}\n" for line in lines))
        return tmp_path / name

    return put


def only(path) -> Note:
    (note,) = read_pubtator(path)
    return note


def reasons(note):
    return [problem.reason for problem in note.problems]


def test_the_text_is_title_one_space_abstract_and_offsets_run_through_it(corpus):
    note = only(
        corpus("101\t0\t8\tWarfarin\tChemical\tD014859", "101\t13\t26\tskin necrosis\tDisease\t-1")
    )
    assert (note.id, note.text) == ("101", f"{TITLE} {ABSTRACT}")
    assert note.spans == (
        NoteSpan("T1", "Chemical", ((0, 8),), "Warfarin", ("D014859",)),
        NoteSpan("T2", "Disease", ((13, 26),), "skin necrosis", ("-1",)),
    )
    assert note.problems == ()


def test_a_composite_mention_keeps_its_codes_and_individual_mentions(corpus):
    note = only(
        corpus(
            "101\t28\t53\tBreast and ovarian cancer\tDisease\tD001943|D010051"
            "\tBreast cancer|ovarian cancer"
        )
    )
    assert note.spans[0].codes == ("D001943", "D010051")
    assert note.comments == (
        Comment("#1", INDIVIDUAL_MENTIONS, "T1", "Breast cancer|ovarian cancer"),
    )


def test_only_a_bar_separates_codes(corpus):
    note = only(corpus("101\t0\t8\tWarfarin\tX\tOMIM:1,D2+D3|D4"))
    assert note.spans[0].codes == ("OMIM:1,D2+D3", "D4")


@pytest.mark.parametrize("types", ["T109,T121", "T103"])
def test_semantic_types_are_the_label_and_the_cui_a_code(corpus, types):
    note = only(corpus(f"101\t0\t8\tWarfarin\t{types}\tC0043031"))
    assert (note.spans[0].label, note.spans[0].codes) == (types, ("C0043031",))


def test_a_mention_without_a_code_is_read(corpus):
    assert only(corpus("101\t0\t8\tWarfarin\tChemical")).spans[0].codes == ()


def test_a_relation_links_codes(corpus):
    note = only(
        corpus(
            "101\t0\t8\tWarfarin\tChemical\tD014859",
            "101\t13\t26\tskin necrosis\tDisease\tD1|D2",
            "101\tCID\tD014859\tD2",
        )
    )
    assert note.relations == (Relation("R1", "CID", "D014859", "D2"),)
    assert note.problems == ()


def test_a_relation_to_a_code_that_no_mention_has_is_kept_and_reported(corpus):
    note = only(corpus("101\tCID\tD1\tD2"))
    assert len(note.relations) == 1
    assert reasons(note) == [UNRESOLVED]


def test_what_has_no_place_is_reported_with_its_line(corpus):
    path = corpus(
        "101\t0\t8\tWarfarin\tX\tD1",
        "5",
        "102\t0\t8\tWarfarin\tX\tD1",
        "101\tBind\tD1\tD1\tNovel",
    )
    note = only(path)
    assert [(p.where, p.reason) for p in note.problems] == [
        (f"{path}:4", JUNK_LINE),
        (f"{path}:5", OTHER_DOCUMENT),
        (f"{path}:6", EXTRA_COLUMN),
    ]


@pytest.mark.parametrize(
    ("mention", "reason"), [("Warfarine", SURFACE_DIFFERS), ("Warfarin ", WHITE_SPACE_DIFFERS)]
)
def test_a_mention_that_is_not_the_text_at_its_offsets_is_kept_and_reported(
    corpus, mention, reason
):
    note = only(corpus(f"101\t0\t8\t{mention}\tX\tD1"))
    assert reasons(note) == [reason]
    assert note.problems[0].span == note.spans[0]


def test_documents_need_no_empty_line_between_them(corpus):
    path = corpus("101\t0\t8\tWarfarin\tX\tD1", f"102|t|{TITLE}", f"102|a|{ABSTRACT}")
    assert [note.id for note in read_pubtator(path)] == ["101", "102"]


def test_a_document_that_comes_twice_is_read_twice_and_the_second_reported(corpus):
    path = corpus("", f"101|t|{TITLE}", f"101|a|{ABSTRACT}")
    assert [reasons(note) for note in read_pubtator(path)] == [[], [DUPLICATE_DOCUMENT]]


def test_a_document_without_an_abstract_is_its_title(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("101|t|Skin | nail\n101\t0\t4\tSkin\tX\tD1\n")
    note = only(path)
    assert note.text == "Skin | nail"
    assert reasons(note) == [NO_ABSTRACT]


def test_a_gzipped_file_and_carriage_returns_are_read(corpus, tmp_path):
    data = corpus("101\t0\t8\tWarfarin\tX\tD1").read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "corpus.txt.gz").write_bytes(gzip.compress(data))
    assert only(tmp_path / "corpus.txt.gz") == only(tmp_path / "corpus.txt")


def test_a_split_file_picks_documents(corpus, tmp_path):
    path = corpus("", f"102|t|{TITLE}", f"102|a|{ABSTRACT}")
    (tmp_path / "dev.txt").write_text("102\n")
    assert [note.id for note in only_listed(read_pubtator(path), tmp_path / "dev.txt")] == ["102"]


def test_a_split_file_of_another_corpus_stops(corpus, tmp_path):
    (tmp_path / "dev.txt").write_text("101\n999\n")
    with pytest.raises(ClinnerError, match=r"dev\.txt: 1 of 2 ids are not in the corpus, 999"):
        list(only_listed(read_pubtator(corpus()), tmp_path / "dev.txt"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("101\t0\t800\tWarfarin\tX\tD1", "corpus.txt:3: a span at 0-800 is outside the text of 69"),
        ("101\t8\t0\tWarfarin\tX\tD1", "corpus.txt:3: a span starts at 8 and ends at 0"),
        ("101\tx\t8\tWarfarin\tX\tD1", "corpus.txt:3: a mention needs the columns"),
        ("101\t0\t8\tWarfarin", "corpus.txt:3: a mention needs the columns"),
    ],
)
def test_a_mention_that_cannot_be_right_stops_with_file_and_line(corpus, line, message):
    with pytest.raises(ClinnerError, match=message):
        list(read_pubtator(corpus(line)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"a note\n", "corpus.txt:1: not PubTator"),
        (b"1|t|fever\n1|a|38 \xb0C\n", "corpus.txt:2: not UTF-8"),
        (b"1|t|\n1|a|\n", "corpus.txt:1: document 1 has no text"),
    ],
)
def test_a_file_that_is_no_corpus_is_named(tmp_path, data, message):
    (tmp_path / "corpus.txt").write_bytes(data)
    with pytest.raises(ClinnerError, match=message):
        list(read_pubtator(tmp_path / "corpus.txt"))


def test_a_missing_file_and_a_cut_off_gzip_are_named(corpus, tmp_path):
    with pytest.raises(ClinnerError, match=r"none\.txt: no such file"):
        list(read_pubtator(tmp_path / "none.txt"))
    data = gzip.compress(corpus().read_bytes())
    (tmp_path / "cut.gz").write_bytes(data[:-12])
    with pytest.raises(ClinnerError, match=r"cut\.gz: cannot be read"):
        list(read_pubtator(tmp_path / "cut.gz"))


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("path", "counts", "faults"),
    [
        (
            "ncbi-disease/NCBItrainset_corpus.txt",
            (593, 5145, 0, 0),
            [WHITE_SPACE_DIFFERS, DUPLICATE_DOCUMENT],
        ),
        ("ncbi-disease/NCBIdevelopset_corpus.txt", (100, 787, 0, 0), []),
        ("ncbi-disease/NCBItestset_corpus.txt", (100, 960, 0, 0), []),
        ("bc5cdr/CDR_TrainingSet.PubTator.txt", (500, 9385, 1038, 107), []),
        ("bc5cdr/CDR_DevelopmentSet.PubTator.txt", (500, 9591, 1012, 89), []),
        ("bc5cdr/CDR_TestSet.PubTator.txt", (500, 9809, 1066, 57), []),
    ],
)
def test_the_real_corpora_hold_what_was_counted_in_them(path, counts, faults, assets):
    notes = list(read_pubtator(assets / path))
    spans = sum(len(note.spans) for note in notes)
    relations = sum(len(note.relations) for note in notes)
    composites = sum(len(note.comments) for note in notes)
    assert (len(notes), spans, relations, composites) == counts
    assert [reason for note in notes for reason in reasons(note)] == faults


@pytest.mark.corpora
def test_the_two_faults_of_ncbi_are_reported_where_they_are(assets):
    notes = list(read_pubtator(assets / "ncbi-disease/NCBItrainset_corpus.txt"))
    first, second = (note for note in notes if note.problems)
    assert (first.id, first.problems[0].span.fragments) == ("10923035", ((711, 761),))
    assert second.id == "8528200"
