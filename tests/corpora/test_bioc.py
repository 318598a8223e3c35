import gzip

import pytest

from spacy_clinner.corpora.bioc import CUT_OFF, NOT_TWO_ENDS, read_bioc
from spacy_clinner.corpora.checks import SURFACE_DIFFERS, UNRESOLVED
from spacy_clinner.errors import ClinnerError

SPAN = """<annotation id="T{n}"><infon key="type">{label}</infon>
<infon key="identifier">D1|D2</infon>{places}<text>{text}</text></annotation>"""
ASPIRIN = SPAN.format(
    n=1, label="CHEMICAL", text="Aspirin", places='<location offset="0" length="7"/>'
)
RELATION = """<relation id=""><infon key="type">INHIBITOR</infon>
<node refid="T1" role="head"/><node refid="T{n}" role="tail"/></relation>"""
DOCUMENT = "<document><id>{name}</id>{body}</document>"
PASSAGES = """<passage><offset>0</offset><text>Aspirin helps.</text>{one}</passage>
<passage><offset>16</offset><text>It blocks COX.</text>{two}</passage>"""


@pytest.fixture
def file(tmp_path):
    def put(*documents, end="</collection>"):
        path = tmp_path / "corpus.xml"
        head = "<?xml version='1.0' encoding='utf-8'?><collection><source/>"
        path.write_text("\n".join([head, *documents, end]), encoding="utf8")
        return path

    return put


def document(one="", two="", name="101"):
    return DOCUMENT.format(name=name, body=PASSAGES.format(one=one, two=two))


def only(path):
    (note,) = read_bioc(path)
    return note


def reasons(note):
    return [problem.reason for problem in note.problems]


def test_passages_stand_at_their_offsets_and_annotations_in_them(file):
    places = '<location offset="26" length="3"/>'
    cox = SPAN.format(n=2, label="GENE", text="COX", places=places)
    note = only(file(document(ASPIRIN, cox + RELATION.format(n=2))))
    assert (note.id, note.text) == ("101", "Aspirin helps.  It blocks COX.")
    assert [(s.id, s.label, s.fragments, s.codes) for s in note.spans] == [
        ("T1", "CHEMICAL", ((0, 7),), ("D1", "D2")),
        ("T2", "GENE", ((26, 29),), ("D1", "D2")),
    ]
    (relation,) = note.relations
    assert (relation.label, relation.head, relation.tail) == ("INHIBITOR", "T1", "T2")
    assert relation.roles == ("head", "tail")
    assert note.problems == ()


def test_a_passage_may_have_its_text_in_sentences(file):
    body = """<passage><offset>0</offset>
    <sentence><offset>0</offset><text>No fever.</text></sentence>
    <sentence><offset>10</offset><text>Aspirin.</text>{}</sentence></passage>"""
    places = '<location offset="10" length="7"/>'
    span = SPAN.format(n=1, label="CHEMICAL", text="Aspirin", places=places)
    note = only(file(DOCUMENT.format(name="1", body=body.format(span))))
    assert note.text == "No fever. Aspirin."
    assert note.problems == ()


def test_an_annotation_in_several_places_is_discontinuous(file):
    places = '<location offset="8" length="5"/><location offset="0" length="7"/>'
    span = SPAN.format(n=1, label="X", text="Aspirin helps", places=places)
    assert only(file(document(span))).spans[0].fragments == ((0, 7), (8, 13))


def test_ids_that_each_passage_counts_anew_name_spans_of_their_own(file):
    passage = "<passage><offset>{}</offset><text>{}</text>{}</passage>"
    span = """<annotation id="{}"><infon key="type">X</infon><location offset="{}" length="{}"/>
    <text>{}</text></annotation>"""
    fever, pain, aspirin = (
        span.format(name, start, len(text), text)
        for name, start, text in ((0, 0, "fever"), (0, 7, "chest pain"), (1, 19, "aspirin"))
    )
    ends = '<relation id="R1"><node refid="1" role="drug"/><node refid="0" role="for"/></relation>'
    first, second = (
        passage.format(0, "fever.", fever),
        passage.format(7, "chest pain, aspirin", pain + aspirin + ends),
    )
    note = only(file(DOCUMENT.format(name="1", body=first + second)))
    ids = {note.text[s.start : s.end]: s.id for s in note.spans}
    assert len(set(ids.values())) == 3
    assert [(r.head, r.tail) for r in note.relations] == [(ids["aspirin"], ids["chest pain"])]
    assert note.problems == ()
    # Of the whole document, "0" may be either, and "9" none; neither is a guess, nor our "T1".
    outside = "".join(ends.replace('"0"', f'"{name}"') for name in ("0", "9", "T1"))
    note = only(file(DOCUMENT.format(name="1", body=first + second.replace(ends, "") + outside)))
    assert (reasons(note), note.relations) == ([UNRESOLVED] * 3, ())


def test_a_passage_within_another_is_refused(file):
    body = """<passage><offset>0</offset><text>café note</text></passage>
    <passage><offset>4</offset><text>fever</text></passage>"""
    with pytest.raises(ClinnerError, match="document 1: a passage at offset 4 begins before"):
        only(file(DOCUMENT.format(name="1", body=body)))


def test_what_cannot_be_right_is_a_problem_of_its_note(file):
    wrong = ASPIRIN.replace("Aspirin<", "Heparin<")
    three = RELATION.format(n=1).replace("</relation>", '<node refid="T1"/></relation>')
    note = only(file(document(wrong + RELATION.format(n=9) + three)))
    assert sorted(reasons(note)) == sorted([SURFACE_DIFFERS, UNRESOLVED, NOT_TWO_ENDS])


def test_of_a_file_that_is_cut_off_the_whole_documents_are_read(file):
    notes = list(read_bioc(file(document(), document(name="102"), "<document><id>103", end="")))
    assert [note.id for note in notes] == ["101", "102"]
    assert reasons(notes[0]) == []
    assert reasons(notes[1]) == [CUT_OFF]


def test_a_packed_file_is_read_as_it_is(file, tmp_path):
    path = file(document(ASPIRIN))
    (tmp_path / "corpus.xml.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert only(tmp_path / "corpus.xml.gz") == only(path)


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (["<document><id>1"], "cut off in its first document"),
        ([], "no <document>"),
        ([DOCUMENT.format(name="7", body="")], "document 7: has no text"),
        ([document(ASPIRIN.replace('length="7"', 'length="70"'))], "outside the text"),
        ([document(ASPIRIN.replace('length="7"', 'length="x"'))], "no whole number"),
        ([document(ASPIRIN.replace('length="7"', f'length="{"9" * 5000}"'))], "no whole number"),
        ([document(ASPIRIN.replace("CHEMICAL", ""))], "needs a type and a location"),
    ],
)
def test_what_cannot_be_read_stops_with_the_reason(file, documents, message):
    with pytest.raises(ClinnerError, match=message):
        list(read_bioc(file(*documents)))


@pytest.mark.corpora
def test_the_real_corpus_holds_what_was_counted_in_it(assets):
    paths = [
        assets / f"drugprot/drugprot_two_dev.{split}.bioc.xml.gz" for split in ("train", "dev")
    ]
    train, dev = (list(read_bioc(path)) for path in paths)
    assert (len(train), len(dev)) == (113, 350)
    spans = [span for note in (*train, *dev) for span in note.spans]
    assert sum(span.label == "CHEMICAL" for span in spans) == 6152
    assert reasons(train[-1]) == [CUT_OFF]
    assert not any(note.problems for note in (*train[:-1], *dev))
