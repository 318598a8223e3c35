import pickle
import re

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st


def clinical():
    return spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})


NLP = clinical()


def words(text):
    return [token.text for token in NLP(text) if not token.is_space]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("days;BP", "days ; BP"),
        ("CP.SOB", "CP . SOB"),
        ("pain.He", "pain . He"),
        ("120/80mmHg", "120 / 80 mmHg"),
        ("10mg", "10 mg"),
        ("metoprolol-XL", "metoprolol - XL"),
        ("(8),", "( 8 ) ,"),
        ("2 d.", "2 d ."),
        ("1:45 p.m.", "1 : 45 p.m ."),
        ("q.i.d.", "q.i.d ."),
        ("normal.&quot;", "normal . & quot ;"),
        ("fever...chills", "fever ... chills"),
    ],
)
def test_glued_text_is_cut_where_spans_end(text, expected):
    assert words(text) == expected.split()


@pytest.mark.parametrize(
    "text", ["98.6", "4,500", "B12", "T2DM", "CD1a", "q6h", "1st", "q.i.d", "Dr."]
)
def test_what_people_read_as_one_word_stays_one_token(text):
    assert words(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-----", ["-----"]),
        ("=====PLAN====", ["=====", "PLAN", "===="]),
        ("edema +++", ["edema", "+++"]),
        ("____fever", ["____", "fever"]),
        ("(***)fever", ["(", "***", ")", "fever"]),
        ("a--b", ["a", "-", "-", "b"]),
        ("((", ["(", "("]),
    ],
)
def test_a_run_of_three_and_more_equal_signs_is_one_token(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"fever {'[](){}' * 20} cough", ["fever", "[](){}" * 20, "cough"]),
        (f"CP{'[](){}' * 20}.pain, x", ["CP", "[](){}" * 20 + ".", "pain", ",", "x"]),
        ("[](){}" * 10, [*"[](){}" * 10]),
        (f"({'_' * 70}) x", [f"({'_' * 70})", "x"]),
    ],
)
def test_a_run_of_64_and_more_signs_is_one_token(text, expected):
    assert words(text) == expected
    assert NLP.make_doc(text).text == text


def test_a_run_of_signs_takes_no_norm_from_the_words_beside_it():
    norms = {token.text: token.norm_ for token in NLP.make_doc(f"I'm ok, {'-=' * 40} don't")}
    assert norms["n't"] == "not"
    assert norms["'m"] == "am"


LONG = 300_000


@pytest.mark.parametrize(
    ("piece", "n_tokens"),
    [
        ("-", 1),
        (".", 1),
        ("1", 1),
        ("a", 1),
        ("\n", 1),
        (" ", 1),
        ("_", 1),
        ("'", 1),
        ("()", 1),
        ("-=", 1),
        ("--==", 1),
        ("---===", 1),
        ("() ", 2 * LONG // 3),
        ("-a", LONG),
        ("1,", None),
        ("a.", None),
        ("'s", None),
        ("é—", LONG),
    ],
)
def test_a_very_long_chunk_without_a_space_is_cut_in_one_pass(piece, n_tokens):
    text = (piece * (LONG // len(piece) + 1))[:LONG]
    doc = clinical().make_doc(text)
    assert doc.text == text
    assert n_tokens is None or abs(len(doc) - n_tokens) <= 1


@pytest.mark.parametrize("around", ["({})", "-{}.", "---{}---", "_{}_", "{}'s", "[[{}]]"])
def test_a_chunk_too_long_to_be_stripped_sign_by_sign_is_cut_as_a_short_one(around):
    short, long = "ab-b(c)d/end", "ab-b(c)d/end" * 60
    ends = [words(around.format(text)) for text in (short, long)]
    assert ends[0][:3] == ends[1][:3]
    assert ends[0][-3:] == ends[1][-3:]


def test_contractions_are_cut_as_spacy_cuts_them():
    assert words("doesn't") == ["does", "n't"]
    assert words("patient's") == ["patient", "'s"]


@given(st.text(max_size=200))
def test_any_text_comes_back_whole(text):
    assert NLP.make_doc(text).text == text


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=50))
def test_half_of_a_surrogate_pair_is_replaced_and_offsets_stay(text):
    doc = NLP(text)
    assert doc.text == re.sub("[\ud800-\udfff]", "\ufffd", text)
    copy = pickle.loads(pickle.dumps(NLP.tokenizer))
    assert [token.text for token in copy(text)] == [token.text for token in doc]


def test_the_tokenizer_survives_the_disk(tmp_path):
    NLP.to_disk(tmp_path / "model")
    text = "BP 120/80mmHg;pain.He took 10mg q6h (8)"
    assert [t.text for t in spacy.load(tmp_path / "model")(text)] == [t.text for t in NLP(text)]
