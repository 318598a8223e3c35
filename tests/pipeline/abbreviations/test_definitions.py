import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinner.pipeline.abbreviations.definitions import (
    best_long_form,
    find_definitions,
    spelled_by_initials,
)
from spacy_clinner.pipeline.abbreviations.short_forms import expansions


def found(text):
    return [(found.short, found.long) for found in find_definitions(text, expansions)]


@pytest.mark.parametrize(
    ("text", "short", "long"),
    [
        ("He has congestive heart failure (CHF).", "CHF", "congestive heart failure"),
        ("slipped capital femoral epiphysis (SCFE)", "SCFE", "slipped capital femoral epiphysis"),
        ("CHF (congestive heart failure), stable", "CHF", "congestive heart failure"),
        ("HTN (hypertension)", "HTN", "hypertension"),
        ("acute chest pain [CP]", "CP", "chest pain"),
        ("MS (mitral stenosis) is mild", "MS", "mitral stenosis"),
        ("X-linked agammaglobulinemia (XLA)", "XLA", "X-linked agammaglobulinemia"),
        ("given hydroxychloroquine (HCQ, 200 mg)", "HCQ", "hydroxychloroquine"),
        ("by history of present\nillness (HPI)", "HPI", "history of present illness"),
        ("Vitals stable. Heart rate (hr) 80", "hr", "Heart rate"),
        ("TEST,Symbol Digit Modalities Test (SDMT)", "SDMT", "Symbol Digit Modalities Test"),
        ("ROM (range of motion)", "ROM", "range of motion"),
    ],
)
def test_a_definition_is_found_in_either_order(text, short, long):
    assert found(text) == [(short, long)]


@pytest.mark.parametrize(
    "text",
    [
        "Oriented (x3)",
        "Left knee (L) pain",
        "Chest x-ray (CT) was done",  # known, and not that
        "INR (increased)",
        "BP (better than before)",
        "Seen by Mark Dorsey (MD)",
        "Toxin positive. Chart (TPC)",  # over the end of a sentence
        "pain (in back)",
        "CHF (CHF)",
        "()[](]",
        "(CHF)",
        "",
    ],
)
def test_what_only_stands_in_brackets_defines_nothing(text):
    assert found(text) == []


def test_all_definitions_of_a_note_are_found_in_its_order():
    text = "Multiple sclerosis (MS). Later MS (mitral stenosis) and chest pain (CP)."
    assert found(text) == [
        ("MS", "Multiple sclerosis"),
        ("MS", "mitral stenosis"),
        ("CP", "chest pain"),
    ]


def test_the_shortest_text_that_holds_the_letters_is_the_long_form():
    assert (
        best_long_form("HTT", "the heat transfer and transfer test")
        == "heat transfer and transfer test"
    )
    assert best_long_form("TS", "the test of the tumor size") == "tumor size"
    assert best_long_form("XY", "nothing like it") is None


def test_initials_may_pass_over_small_words_only():
    assert spelled_by_initials("ROM", "range of motion")
    assert spelled_by_initials("RM", "range of motion")
    assert not spelled_by_initials("RM", "range knee motion")
    assert not spelled_by_initials("RMX", "range of motion")


FILLERS = st.lists(st.sampled_from(["Pain", "is", "no", "better.", "(x2)", "\n", "é", "ß:"]))
PAIRS = st.sampled_from(
    [
        ("CHF", "congestive heart failure"),
        ("CP", "cerebral palsy"),
        ("SCFE", "slipped capital femoral epiphysis"),
    ]
)


@given(FILLERS, PAIRS, st.booleans(), FILLERS)
def test_a_planted_definition_is_found_where_it_stands(before, pair, short_first, after):
    short, long = pair
    planted = f"{short} ({long})" if short_first else f"{long} ({short})"
    head = "".join(f"{word} " for word in before)
    text = f"{head}{planted} {' '.join(after)}"
    (definition,) = find_definitions(text, expansions)
    assert (definition.short, definition.long) == pair
    assert (definition.start, definition.end) == (len(head), len(head) + len(planted))


@given(st.text(alphabet="AbcD f.,;([)]\n-/İß2", max_size=200))
def test_offsets_are_those_of_the_text_whatever_it_is(text):
    for found in find_definitions(text, expansions):
        assert text[slice(*found.short_at)] == found.short
        assert " ".join(text[slice(*found.long_at)].split()) == found.long
        assert 0 <= found.start < found.end <= len(text)
        assert text[found.end - 1] in ")]"
