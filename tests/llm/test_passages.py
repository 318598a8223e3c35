"""Documents cut into passages."""

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinner import schemes
from spacy_clinner.annotation import said
from spacy_clinner.corpora.alignment import Aligner
from spacy_clinner.corpora.markup import parse_markup
from spacy_clinner.llm.passages import Cutter

LAYERS = (schemes.load("clinical"), schemes.load("modifiers"))
BLANK = spacy.blank("en")
MARKED = (
    "HPI: ⟦NEG>P1,P2|Denies⟧ ⟦P1|fever⟧ and ⟦P2|chills⟧.\n"
    "⟦P3|⟦SEV>P3|Severe⟧ ⟦LOC>P3|knee⟧ pain⟧ for 2 weeks.\n\nTakes ⟦D1|aspirin⟧ ⟦STR>D1|81 mg⟧."
)


@pytest.fixture
def doc(nlp):
    return Aligner(nlp, LAYERS).align(parse_markup(MARKED, "1", "one.txt"))[0]


def test_a_short_document_is_one_passage(doc):
    (cut,) = Cutter(100).cut(doc, LAYERS)
    assert cut.start == 0
    assert cut.passage.text == doc.text
    words = [doc.text[one.start : one.end] for one in cut.passage.mentions]
    assert words[:3] == ["Denies", "fever", "chills"]
    assert cut.passage.mentions[0].heads == (1, 2)


def test_a_long_document_is_cut_where_sentences_end(doc):
    cuts = Cutter(12).cut(doc, LAYERS)
    assert [cut.passage.text.split()[0] for cut in cuts] == ["HPI:", "Severe", "Takes"]
    assert all(doc.text.startswith(cut.passage.text, cut.start) for cut in cuts)
    (strength,) = [m for m in cuts[2].passage.mentions if m.label == "STRENGTH"]
    assert strength.heads == (0,)


def test_the_documents_own_sentences_and_sections_count(nlp):
    doc = nlp.make_doc("one two three four five six seven eight")
    for token in doc:
        token.is_sent_start = token.i in (0, 5)
    said.set_sections(doc, [(None, None, doc[:3]), ("plan", None, doc[3:])])
    assert [cut.passage.text for cut in Cutter(4).cut(doc)] == [
        "one two three",
        "four five",
        "six seven eight",
    ]


def test_a_sentence_longer_than_a_passage_is_cut_but_none_of_its_mentions_is(nlp):
    doc = nlp.make_doc("word " * 20)
    doc.spans["clinical"] = [doc.char_span(10, 54, label="PROBLEM")]
    cuts = Cutter(4).cut(doc, LAYERS[:1])
    assert "".join(cut.passage.text for cut in cuts).count("word") == 20
    assert [len(cut.passage.mentions) for cut in cuts] == [0, 1, 0, 0, 0]
    assert [len(cut.passage.text.split()) for cut in cuts] == [2, 9, 4, 4, 1]


def test_a_blank_document_has_no_passage(nlp):
    assert Cutter(10).cut(nlp.make_doc(" \n ")) == []
    assert Cutter(10).cut(nlp.make_doc("")) == []


@given(st.text("ab. \n", max_size=80), st.integers(1, 12))
def test_every_word_is_in_one_passage(text, length):
    doc = BLANK.make_doc(text)
    cuts = Cutter(length).cut(doc)
    kept = "".join("".join(cut.passage.text.split()) for cut in cuts)
    assert kept == "".join(text.split())
    for cut in cuts:
        assert doc.text[cut.start : cut.start + len(cut.passage.text)] == cut.passage.text
