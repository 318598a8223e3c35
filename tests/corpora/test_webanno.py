import pytest

from spacy_clinner.corpora.checks import (
    FEATURE_LEFT_OUT,
    JUNK_LINE,
    RELATION_LEFT_OUT,
    RESULT_LEFT_OUT,
    SURFACE_DIFFERS,
)
from spacy_clinner.corpora.webanno import read_webanno
from spacy_clinner.errors import ClinnerError

HEAD = """#FORMAT=WebAnno TSV 3.3
#T_SP=webanno.custom.Finding|assertion|label
#T_SP=webanno.custom.Marker|
#T_RL=webanno.custom.Link|label|BT_webanno.custom.Finding


"""
# Two sentences; a mention of two tokens, two mentions of one token, and a character that Java
# counts as two.
BODY = r"""#Text=No chest pain 🦵 [today] .
1-1	0-2	No	_	NEGATION	_	_	_
1-2	3-8	chest	absent[1]|*[2]	PROBLEM[1]|BODYLOC[2]	_	m\_by|m\_by	1-1[0_1]|1-2[1_2]
1-3	9-13	pain	absent[1]	PROBLEM[1]	_	_	_
1-4	14-16	🦵	_	_	*	_	_
1-5	17-24	[today]	_	_	_	_	_
1-6	25-26	.	_	_	_	_	_

#Text=Takes A\_B.
2-1	27-32	Takes	_	_	_	_	_
2-2	33-36	A\_B	_	DRUG	_	_	_
2-3	36-37	.	_	_	_	_	_
"""


def only(path):
    (note,) = read_webanno(path)
    return note


@pytest.fixture
def file(tmp_path):
    def put(content, name="ward.tsv"):
        (tmp_path / name).write_text(content, encoding="utf8")
        return tmp_path / name

    return put


def test_spans_values_and_links_are_read_from_their_columns(file):
    note = only(file(HEAD + BODY))
    assert note.id == "ward"
    assert note.text == "No chest pain 🦵 [today] .\nTakes A_B."
    spans = {(note.text[s.start : s.end], s.label) for s in note.spans}
    assert spans == {("No", "NEGATION"), ("chest pain", "PROBLEM"), ("chest", "BODYLOC"),
                     ("🦵", "Marker"), ("A_B", "DRUG")}  # fmt: skip
    at = {span.id: (span.surface, span.label) for span in note.spans}
    links = {(r.label, at[r.head][0], at[r.tail][0]) for r in note.relations}
    assert links == {
        ("m_by", "No", "chest pain"), ("m_by", "chest pain", "chest")
    }  # fmt: skip
    assert [(a.label, at[a.target], a.value) for a in note.attributes] == [
        ("assertion", ("chest pain", "PROBLEM"), "absent")
    ]
    assert note.problems == ()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_sentence_may_hold_other_ends_of_line(file, end):
    text = "chest\u2028pain\x85and\x0cfever"
    tokens = (
        "1-1\t0-10\tchest\u2028pain\t_\tPROBLEM\t_\t_\t_\n1-2\t15-20\tfever\t_\tPROBLEM\t_\t_\t_\n"
    )
    path = file("")
    path.write_bytes(f"{HEAD}#Text={text}\n{tokens}".replace("\n", end).encode())
    note = only(path)
    assert note.text == text
    assert [note.text[s.start : s.end] for s in note.spans] == ["chest\u2028pain", "fever"]
    assert note.problems == ()


@pytest.mark.parametrize("place", ["33-3600", "36-33", "here", ""])
def test_a_token_that_is_not_in_the_text_is_a_problem(file, place):
    note = only(file(HEAD + BODY.replace("33-36", place)))
    assert [problem.reason for problem in note.problems] == [JUNK_LINE]
    assert {span.label for span in note.spans} == {"NEGATION", "PROBLEM", "BODYLOC", "Marker"}


def test_every_file_of_a_folder_is_a_note(file):
    file(HEAD + BODY)
    path = file(HEAD + BODY, "other.tsv").parent
    assert [note.id for note in read_webanno(path)] == ["other", "ward"]


def test_what_cannot_be_read_is_a_problem_and_another_format_an_error(file):
    broken = BODY.replace("1-1[0_1]|1-2[1_2]", "where|1-2[1_2]").replace("1-4\t", "x\t")
    assert {p.reason for p in only(file(HEAD + broken)).problems} == {RELATION_LEFT_OUT, JUNK_LINE}
    with pytest.raises(ClinnerError, match="no WebAnno TSV 3"):
        only(file("Takes aspirin."))
    with pytest.raises(ClinnerError, match="none: missing"):
        list(read_webanno(file("x").parent / "none"))


def test_a_span_whose_label_was_forgotten_does_not_get_another_value_for_it(file):
    body = BODY.replace("absent[1]|*[2]\tPROBLEM[1]|BODYLOC[2]", "absent[1]|*[2]\t*[1]|BODYLOC[2]")
    note = only(file(HEAD + body.replace("absent[1]\tPROBLEM[1]", "absent[1]\t*[1]")))
    at = {span.id: (span.surface, span.label) for span in note.spans}
    assert ("chest pain", "Finding") in at.values()
    assert [(a.label, at[a.target][0]) for a in note.attributes] == [("assertion", "chest pain")]


@pytest.mark.parametrize("name", ["n1.tsv", "n1.json.tsv", "n1.txt.tsv"])
def test_the_id_of_a_note_is_the_name_of_what_was_imported(file, name):
    assert only(file(HEAD + BODY, name)).id == "n1"


def test_a_document_of_a_project_is_named_by_its_folder_and_may_be_unopened(tmp_path):
    for document, who in (("n1.json", "anna"), ("n2.json", "INITIAL_CAS")):
        folder = tmp_path / f"annotation/{document}"
        folder.mkdir(parents=True)
        (folder / f"{who}.tsv").write_text(HEAD + BODY, encoding="utf8")
    assert [(note.id, note.annotated) for note in read_webanno(tmp_path)] == [
        ("n1", True),
        ("n2", False),
    ]


def test_chains_and_slots_are_told_and_do_not_move_the_columns_behind_them(file):
    chain = "#T_CH=de.Coref|referenceRelation|referenceType\n"
    slots = (
        "#T_SP=webanno.custom.Marker|ROLE_webanno.custom.Marker:links_Link|webanno.custom.Hand\n"
    )
    head = HEAD.replace("#T_SP=webanno.custom.Marker|\n", slots + chain)
    body = (
        "#Text=No pain\n"
        "1-1\t0-2\tNo\t_\tNEGATION\t_\t_\t_\t_\t_\t_\n"
        "1-2\t3-7\tpain\t_\tPROBLEM\trole\t1-1\t*->1-1\tnew\tm\\_by\t1-1\n"
    )
    note = only(file(head + body))
    at = {span.id: (note.text[span.start : span.end], span.label) for span in note.spans}
    assert set(at.values()) == {("No", "NEGATION"), ("pain", "PROBLEM"), ("pain", "Marker")}
    assert [(r.label, at[r.head][0], at[r.tail][0]) for r in note.relations] == [
        ("m_by", "No", "pain")
    ]
    assert note.attributes == ()
    assert sorted(p.reason for p in note.problems) == [FEATURE_LEFT_OUT, RESULT_LEFT_OUT]


def test_page_breaks_and_backspaces_of_the_text_come_back_and_are_letters_in_values(file):
    body = r"""#Text=Page 1\fFever\b
1-1	0-4	Page	C:\free	PROBLEM	_	_	_
1-2	7-12	Fever	_	PROBLEM	_	_	_
"""
    note = only(file(HEAD + body))
    assert note.text == "Page 1\fFever\b"
    assert [note.text[s.start : s.end] for s in note.spans] == ["Page", "Fever"]
    assert [a.value for a in note.attributes] == ["C:free"]
    assert note.problems == ()


def test_a_sentence_may_begin_with_white_space(file):
    body = (
        "#Text=  Fever\n1-1\t2-7\tFever\t_\tPROBLEM\t_\t_\t_\n\n"
        "#Text= Cough 🦵\n2-1\t9-14\tCough\t_\tPROBLEM\t_\t_\t_\n"
    )
    note = only(file(HEAD + body))
    assert note.text == "  Fever\n Cough 🦵"
    assert [note.text[s.start : s.end] for s in note.spans] == ["Fever", "Cough"]
    assert note.problems == ()


def test_a_span_whose_tokens_are_not_in_the_text_is_told(file):
    note = only(file(HEAD + "#Text=No fever\n1-1\t1-6\tfever\t_\tPROBLEM\t_\t_\t_\n"))
    assert [(p.reason, p.span) for p in note.problems] == [(SURFACE_DIFFERS, note.spans[0])]


def test_a_span_of_no_length_is_left_out_and_told(file):
    empty = "1-1\t0-2\tNo\t_\t_\t_\t_\t_\n1-1.1\t2-2\t\tabsent\tPROBLEM\t_\t_\t_\n"
    note = only(file(HEAD + "#Text=No fever\n" + empty))
    assert (note.spans, note.attributes) == ((), ())
    assert [problem.reason for problem in note.problems] == [RESULT_LEFT_OUT]
