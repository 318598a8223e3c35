import pytest

from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.abbreviations.short_forms import (
    DOTTED,
    expansions,
    known,
    make_inventory,
    short_forms,
)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("HTN", "hypertension"),
        ("htn", "hypertension"),
        ("b.i.d.", "twice a day"),
        ("q.h.s", "at bedtime"),
        ("s/p", "status post"),
        ("I&D", "incision and drainage"),
        ("ALL", "acute lymphoblastic leukemia"),
        ("UTIs", "urinary tract infections"),
        ("LFTs", "liver function tests"),
        ("DVTs", "deep vein thromboses"),
        ("BXs", "biopsies"),
    ],
)
def test_a_short_form_is_known_as_notes_write_it(short, long):
    assert expansions(short) == (long,)


@pytest.mark.parametrize(
    ("plurals", "short"),
    [("CTs", "CTS"), ("MDs", "MDS"), ("EDs", "EDS"), ("BMs", "BMS"), ("CNs", "CNS")],
)
def test_a_plural_is_not_taken_for_another_short_form(plurals, short):
    assert not set(expansions(plurals)) & set(expansions(short))


@pytest.mark.parametrize("word", ["all", "All", "or", "us", "pet", "hits", "", ".", "aspirin", "İ"])
def test_words_are_no_short_forms(word):
    assert expansions(word) == ()


def test_a_short_form_of_several_meanings_has_them_all():
    assert {"rheumatoid arthritis", "room air"} <= set(expansions("RA"))


def test_the_short_forms_of_a_long_form_are_found_in_any_case():
    assert short_forms("Hypertension") == ("htn", "HT")
    assert "RA" in short_forms("rheumatoid arthritis")
    assert short_forms("nothing of the kind") == ()


def test_every_short_form_of_the_file_can_be_looked_up_and_found_by_its_long_form():
    assert len(known()) >= 600
    for short, forms in known().items():
        assert expansions(short) == forms
        assert not DOTTED.fullmatch(short)
        for form in forms:
            assert short in short_forms(form)
            assert form == " ".join(form.split()) != short
        if short != short.lower():
            assert short.lower() not in known()


def test_own_short_forms_add_replace_and_take_out():
    own = make_inventory({"XYZ": "extra yellow zone", "htn": [], "ra": "room air"}, "test")
    assert own.long_forms("XYZ") == ("extra yellow zone",)
    assert own.long_forms("HTN") == ()
    assert own.long_forms("RA") == ("room air",)
    assert own.long_forms("CHF") == ("congestive heart failure",)


@pytest.mark.parametrize("own", [{"two words": "x"}, {"X": " "}, {"": "x"}, {"X": ["a", ""]}])
def test_a_short_form_that_cannot_be_one_is_refused(own):
    with pytest.raises(ClinnerError, match="test: short_forms must give"):
        make_inventory(own, "test")
