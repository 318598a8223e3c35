import re
from datetime import date, datetime

import pyarrow as pa
import pytest
from finding_rows import EVERYTHING, entities, entity, link, links
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.concepts import read_codes, read_sections
from spacy_clinner.tables.omop import MODIFIERS, NOTE_NLP, SNIPPET, join_pairs, note_nlp, snippet
from spacy_clinner.tables.omop_check import COLUMNS, check_note_nlp

TEXT = "Denies chest pain."
WORDS = st.text(st.characters(codec="utf8"), min_size=1, max_size=400)


def row_of(said, *modifiers, **options):
    made = entity(**said)
    table = note_nlp(
        entities(made), links(*(link(made, *modifier) for modifier in modifiers)), **options
    )
    return table.to_pylist()[0]


def test_a_term_is_a_row_with_the_columns_of_the_cdm():
    said = {"negated": True, "assertion": "absent", "experiencer": "patient", "historical": False}
    made = entity(**said, uncertain=False, hypothetical=False, section="plan")
    assert note_nlp(entities(made), links(), {"1": TEXT}).to_pylist() == [
        {
            "note_nlp_id": 1,
            "note_id": 1,
            "section_concept_id": 0,
            "snippet": TEXT,
            "offset": "7",
            "lexical_variant": "chest pain",
            "note_nlp_concept_id": 0,
            "note_nlp_source_concept_id": 0,
            "nlp_system": "en_clinner 0.2.0",
            "nlp_date": date(2026, 3, 1),
            "nlp_datetime": datetime(2026, 3, 1, 23, 59, 59, 250000),
            "term_exists": "N",
            "term_temporal": "present",
            "term_modifiers": "negated=yes,subject=patient,certainty=certain,conditional=false",
        }
    ]


def test_the_schema_says_what_the_specification_says():
    assert NOTE_NLP.names == [name for name, *_ in COLUMNS]
    for name, _, length, required in COLUMNS:
        field = NOTE_NLP.field(name)
        assert field.nullable != required
        assert (field.metadata or {}).get(b"max_length") == (length and str(length).encode())


@pytest.mark.parametrize("possible", ["Y", "N"])
def test_the_checker_finds_no_fault_in_anything_that_can_be_said(possible):
    table = note_nlp(entities(*(entity(**said) for said in EVERYTHING)), links(), possible=possible)
    assert table.num_rows == len(EVERYTHING) == 2268
    assert check_note_nlp(table) == []
    assert table.schema == NOTE_NLP


def exists(said, possible):
    """By the table of the specification, straight from the columns."""
    assertion = said["assertion"]
    if (
        said["negated"]
        or said["hypothetical"]
        or said["experiencer"] in ("family", "other")
        or assertion in ("absent", "conditional", "hypothetical", "associated_with_someone_else")
    ):
        return "N"
    if assertion is None and said["negated"] is None:
        return None
    return possible if said["uncertain"] or assertion == "possible" else "Y"


@pytest.mark.parametrize("possible", ["Y", "N"])
def test_the_truth_table_holds_for_anything_that_can_be_said(possible):
    rows = (entity(**said) for said in EVERYTHING)
    table = note_nlp(entities(*rows), links(), possible=possible)
    assert table["term_exists"].to_pylist() == [exists(said, possible) for said in EVERYTHING]
    past = {True: "past", False: "present", None: None}
    assert table["term_temporal"].to_pylist() == [past[said["historical"]] for said in EVERYTHING]


def judged(assertion, negated=False, uncertain=False, hypothetical=False, **said):
    flags = {"negated": negated, "uncertain": uncertain, "hypothetical": hypothetical}
    return dict(dict(assertion=assertion, experiencer="patient", historical=False, **flags), **said)


@pytest.mark.parametrize(
    ("said", "stands"),
    [
        (judged("present"), "Y"),
        (judged("present", historical=True), "Y"),
        (judged("possible", uncertain=True), "Y"),
        (judged("absent", negated=True), "N"),
        (judged("possible", negated=True, uncertain=True), "N"),
        (judged("conditional", hypothetical=True), "N"),
        (judged("hypothetical", hypothetical=True), "N"),
        (judged("associated_with_someone_else", experiencer="family"), "N"),
        (judged("associated_with_someone_else", experiencer="other"), "N"),
        (judged("present", experiencer="family"), "N"),
        ({"assertion": "associated_with_someone_else"}, "N"),
        ({"assertion": "conditional"}, "N"),
        ({"negated": True}, "N"),
        ({"negated": False}, "Y"),
        # What nobody judged is not present.
        ({}, None),
        ({"experiencer": "patient", "hypothetical": False}, None),
    ],
)
def test_a_term_exists_where_the_patient_has_or_had_it(said, stands):
    assert row_of(said)["term_exists"] == stands


def test_what_is_possible_exists_or_not_as_the_user_says():
    said = judged("possible", uncertain=True)
    assert row_of(said, possible="N")["term_exists"] == "N"
    assert row_of(judged("present"), possible="N")["term_exists"] == "Y"


@pytest.mark.parametrize(("said", "time"), [(True, "past"), (False, "present"), (None, None)])
def test_the_time_of_a_term_is_past_or_present_or_not_known(said, time):
    assert row_of({"historical": said})["term_temporal"] == time


def test_linked_modifiers_are_pairs_with_no_comma_in_them():
    said = judged("present", label="TEST")
    row = row_of(
        said,
        ("REFERENCE_RANGE", "4,5-11,0", 40),
        ("LABVALUE", "12.1\n x 10", 20),
        ("NEGATION", "not", 0),
    )
    assert row["term_modifiers"] == (
        "negated=no,subject=patient,certainty=certain,conditional=false,"
        "value=12.1 x 10,reference_range=4;5-11;0"
    )


@given(st.lists(st.tuples(st.sampled_from(["severity", "bodyloc"]), WORDS)))
def test_modifiers_are_cut_between_pairs_never_in_one(pairs):
    joined = join_pairs(pairs) or ""
    assert len(joined) <= MODIFIERS
    whole = [
        f"{k}={' '.join(v.replace(chr(0), chr(0xFFFD)).replace(',', ';').split())}"
        for k, v in pairs
    ]
    kept = joined.split(",") if joined else []
    assert kept == whole[: len(kept)]
    assert len(kept) == len(whole) or len(",".join(whole[: len(kept) + 1])) > MODIFIERS


@given(st.text(max_size=600), WORDS, st.text(max_size=600))
def test_a_snippet_is_the_words_around_the_term(before, term, after):
    text = before + term + after
    cut = snippet(text, len(before), len(before) + len(term))
    assert cut in text
    assert len(cut) <= SNIPPET
    assert term[:SNIPPET] in cut


def test_a_snippet_has_whole_words():
    text = "abcdefghij " * 60 + "chest pain" + " klmnopqrst" * 60
    at = text.index("chest")
    cut = snippet(text, at, at + 10)
    assert set(cut.split()) == {"abcdefghij", "chest", "pain", "klmnopqrst"}
    assert len(cut) > SNIPPET - 25


@given(st.text(max_size=300), WORDS, st.text(max_size=300))
def test_no_text_makes_a_row_that_the_checker_refuses(before, term, after):
    made = entity(term, start=len(before))
    table = note_nlp(entities(made), links(), {"1": before + term + after})
    assert check_note_nlp(table) == []


def test_ids_count_up_from_the_first():
    table = note_nlp(entities(entity(), entity(start=30)), links(), first_id=41)
    assert table["note_nlp_id"].to_pylist() == [41, 42]


def test_without_texts_there_are_no_snippets():
    assert row_of({})["snippet"] is None


def test_a_note_id_that_is_no_number_is_named():
    with pytest.raises(ClinnerError, match=r"note id 'A-1' is no whole number.*--id"):
        row_of({"note_id": "A-1"})


def test_a_note_id_has_64_bits():
    assert row_of({"note_id": str(2**63 - 1)})["note_id"] == 2**63 - 1
    for too_large in (str(2**63), "9" * 5000):
        with pytest.raises(ClinnerError, match="none of 64 bits"):
            row_of({"note_id": too_large})


def test_terms_without_their_words_are_refused():
    made = dict(entity(), text=None)
    with pytest.raises(ClinnerError, match="--no-text"):
        note_nlp(entities(made), links())


def test_terms_without_a_time_are_refused_and_those_without_a_model_name_none():
    with pytest.raises(ClinnerError, match=r"nlp_date.*`processed_at` is null"):
        note_nlp(entities(entity(processed_at=None)), links())
    assert row_of({"model": None, "model_version": None})["nlp_system"] is None


def test_tables_of_the_user_give_concepts(tmp_path):
    codes, sections = tmp_path / "codes.csv", tmp_path / "sections.csv"
    codes.write_text(
        "text,label,concept_id,source_concept_id\nChest  Pain,,77670,0\nchest pain,test,1,2\n",
        encoding="utf8",
    )
    sections.write_text("section,concept_id\nplan,45876130\n", encoding="utf8")
    options = {"codes": read_codes(codes), "sections": read_sections(sections)}
    row = row_of({"section": "plan"}, **options)
    assert (row["note_nlp_concept_id"], row["section_concept_id"]) == (77670, 45876130)
    row = row_of({"label": "TEST"}, **options)
    assert (row["note_nlp_concept_id"], row["note_nlp_source_concept_id"]) == (1, 2)
    assert row["section_concept_id"] == 0


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (b"term,concept_id\n", "no column text in line 1"),
        (b"text,concept_id\nfever,R50\n", "line 2: concept_id must be a whole number; got 'R50'"),
        (b"text,concept_id\nfever,2147483648\n", "line 2: concept_id must be 2147483647 at most"),
        (b"text\n\xff\n", "no CSV file in UTF-8"),
    ],
)
def test_a_table_of_codes_that_is_none_is_named_with_its_line(written, says, tmp_path):
    path = tmp_path / "codes.csv"
    path.write_bytes(written)
    with pytest.raises(ClinnerError, match=re.escape(says)):
        read_codes(path)


GOOD = {
    "note_nlp_id": 1,
    "note_id": 7,
    "section_concept_id": 0,
    "snippet": TEXT,
    "offset": "7",
    "lexical_variant": "chest pain",
    "note_nlp_concept_id": 0,
    "note_nlp_source_concept_id": 0,
    "nlp_system": "x 1",
    "nlp_date": date(2026, 3, 1),
    "nlp_datetime": datetime(2026, 3, 1),
    "term_exists": "Y",
    "term_temporal": "present",
    "term_modifiers": "negated=no",
}
LOOSE = pa.schema([field.with_nullable(True) for field in NOTE_NLP])


def faults(*rows):
    table = pa.Table.from_pylist([dict(GOOD, **row) for row in rows], schema=LOOSE)
    return [(fault.column, fault.message) for fault in check_note_nlp(table)]


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ({"nlp_date": None}, "nlp_date", "is required"),
        ({"lexical_variant": ""}, "lexical_variant", "is empty"),
        ({"lexical_variant": "cough"}, "snippet", "does not have the term"),
        ({"nlp_system": "x" * 251}, "nlp_system", "has 251 characters, at most 250"),
        ({"nlp_system": "x\0"}, "nlp_system", "has a NUL"),
        ({"offset": "7-17"}, "offset", "is no number"),
        ({"nlp_date": date(2026, 3, 2)}, "nlp_date", "another day"),
        ({"term_temporal": "now"}, "term_temporal", "past or present"),
        ({"term_exists": "1"}, "term_exists", "must be Y or N"),
        ({"term_modifiers": '{"negated": "no"}'}, "term_modifiers", "name=value"),
        ({"term_modifiers": "negated=yes"}, "term_exists", "is Y of what is negated"),
        ({"term_modifiers": "subject=family"}, "term_exists", "is Y of what is negated"),
        ({"term_modifiers": "conditional=true"}, "term_exists", "is Y of what is negated"),
        ({"term_exists": "N"}, "term_exists", "is N though no modifier says so"),
    ],
)
def test_the_checker_finds_a_fault(row, column, says):
    assert faults({}) == []
    ((found, message),) = faults(row)
    assert found == column
    assert says in message


def test_the_checker_knows_that_a_term_without_modifiers_exists():
    assert faults({"term_modifiers": None}) == []


def test_the_checker_finds_an_id_that_is_there_twice():
    assert faults({}, {}) == [("note_nlp_id", "is there twice")]


def test_the_checker_finds_columns_that_are_wrong():
    table = pa.table({"note_nlp_id": ["1"], "begin": [1]})
    found = {fault.column: fault.message for fault in check_note_nlp(table)}
    assert found["begin"] == "is no column of NOTE_NLP"
    assert found["note_nlp_id"] == "must be integer, is string"
    assert found["nlp_date"] == "is missing"
