import pickle
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language

from spacy_clinner.errors import ClinnerError


@pytest.fixture(scope="module")
def nlp() -> Language:
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "X", "pattern": "gout"}])
    nlp.add_pipe("clinner_sections")
    return nlp


def titles(nlp: Language, text: str) -> list[str | None]:
    return [section.title for section in nlp(text)._.sections]


@pytest.mark.parametrize(
    ("header", "title"),
    [
        ("HPI: cough", "history_of_present_illness"),
        ("HISTORY OF PRESENT ILLNESS: cough", "history_of_present_illness"),
        ("History of Present Illness :\ncough", "history_of_present_illness"),
        ("PAST MEDICAL HISTORY\ngout", "past_medical_history"),
        ("Past Medical History:", "past_medical_history"),
        ("PMH: gout", "past_medical_history"),
        ("PAST MEDICAL HISTORY (per chart): gout", "past_medical_history"),
        ("PAST MEDICAL HISTORY - gout", "past_medical_history"),
        ("**Plan**\nrest", "plan"),
        ("**Plan:** rest", "plan"),
        ("## Assessment and Plan", "assessment_and_plan"),
        ("A/P: gout", "assessment_and_plan"),
        ("SUBJECTIVE:, This 23-year-old", "subjective"),
        ("1. ALLERGIES: none", "allergies"),
        ("FAMILY HISTORY: gout", "family_history"),
        ("Family Hx:", "family_history"),
        ("CURRENT MEDICATIONS:", "medications"),
        ("MEDICATIONS AT HOME: none", "medications"),
        ("REVIEW OF SYSTEMS:", "review_of_systems"),
        ("ROS:", "review_of_systems"),
        ("PHYSICAL EXAM\nWell", "physical_examination"),
        ("DISCHARGE DIAGNOSES:\n1. gout", "diagnosis"),
        ("IMPRESSION: gout", "assessment"),
        ("DISCHARGE INSTRUCTIONS:", "instructions"),
        ("LABORATORY DATA: normal", "laboratory"),
        ("HOSPITAL COURSE: good", "hospital_course"),
        ("CHIEF COMPLAINT: gout", "chief_complaint"),
        ("SHORT-TERM GOALS: walk", "other"),
        ("Past Medical Hx: gout", "past_medical_history"),
        ("Past Med Hx:\ngout", "past_medical_history"),
        ("Fam Hx: gout", "family_history"),
        ("Family Med Hx:\ngout", "family_history"),
        ("FAMILY HISTORY\ngout", "family_history"),
        ("Surg Hx: none", "past_surgical_history"),
        ("Past Surg Hx: none", "past_surgical_history"),
        ("Soc Hx: smoker", "social_history"),
        ("D/C instructions: rest", "instructions"),
        ("Preop Dx: gout", "diagnosis"),
        ("Post-op Dx:\ngout", "diagnosis"),
        ("Discharge Dx: gout", "diagnosis"),
        ("Imp: gout", "assessment"),
        ("IMP/PLAN: gout", "assessment_and_plan"),
        ("Recs:\nrest", "plan"),
        ("HPC: cough", "history_of_present_illness"),
        ("V/S: T 98", "vital_signs"),
    ],
)
def test_a_header_in_the_shapes_that_notes_use_is_normalised(
    nlp: Language, header: str, title: str
):
    assert titles(nlp, header)[0] == title


@pytest.mark.parametrize(
    "text",
    [
        "We discussed the plan: rest and fluids.",
        "No known allergies: nothing to report.",
        "The family history was reviewed.",
        "BP: 120/80",
        "He has a history: long and complicated.",
        "Plan to discharge tomorrow",
        "",
        " \n ",
    ],
)
def test_words_in_a_sentence_are_no_header(nlp: Language, text: str):
    assert set(titles(nlp, text)) <= {None}


def test_headers_inside_a_line_are_found_after_a_full_stop_or_in_capitals(nlp: Language):
    text = "HPI: gout. PMH: asthma. Allergies: latex. and so on SOCIAL HISTORY: smoker"
    assert titles(nlp, text) == [
        "history_of_present_illness",
        "past_medical_history",
        "allergies",
        "social_history",
    ]


def test_flattened_notes_with_commas_for_line_ends_are_cut(nlp: Language):
    text = "SUBJECTIVE:, Well.,MEDICATIONS: , aspirin.,ALLERGIES: , none,PLAN:, rest"
    assert titles(nlp, text) == ["subjective", "medications", "allergies", "plan"]


def test_organ_systems_stay_in_the_examination(nlp: Language):
    text = "PHYSICAL EXAMINATION:\nHEENT: normal\nLUNGS: clear\nPUPILS: equal\nPLAN: rest"
    assert titles(nlp, text) == ["physical_examination", "plan"]


def test_an_organ_system_ends_a_family_history_and_a_relative_does_not(nlp: Language):
    text = "FAMILY HISTORY:\nMOTHER: gout\nHEENT: gout"
    doc = nlp(text)
    assert [section.title for section in doc._.sections] == ["family_history", "other"]
    assert [ent._.section for ent in doc.ents] == ["family_history", "other"]


def test_sections_cover_the_document_and_name_their_headers(nlp: Language):
    doc = nlp("Seen today.\nPLAN: rest\nALLERGIES: gout")
    first, plan, allergies = doc._.sections
    assert (first.title, first.header) == (None, None)
    assert (plan.header.text, allergies.header.text) == ("PLAN:", "ALLERGIES:")
    assert first.span.start == 0
    assert first.span.end == plan.span.start
    assert plan.span.end == allergies.span.start
    assert allergies.span.end == len(doc)
    assert doc.ents[0]._.section == "allergies"


def test_added_headers_survive_disk_bytes_and_pickle(tmp_path: Path):
    nlp = spacy.blank("en")
    config = {"headers": {"plan": ["to do"], "wound": ["wound (care|)"]}}
    nlp.add_pipe("clinner_sections", config=config)
    nlp.to_disk(tmp_path)
    fresh = spacy.blank("en")
    fresh.add_pipe("clinner_sections")
    fresh.from_bytes(nlp.to_bytes())
    for copy in (spacy.load(tmp_path), pickle.loads(pickle.dumps(nlp)), fresh):
        assert titles(copy, "To do: rest\nWOUND CARE: daily") == ["plan", "wound"]


def test_headers_that_are_no_list_are_refused():
    with pytest.raises(ClinnerError, match="needs a list of patterns"):
        spacy.blank("en").add_pipe("clinner_sections").from_bytes(
            spacy.util.to_bytes(
                {"settings": lambda: b'{"headers": {"plan": [1]}}'},
                (),
            )
        )


@settings(max_examples=50)
@given(
    st.lists(
        st.sampled_from(
            ["PLAN", "plan", ":", "\n", "**", "(", ")", "-", "1.", "HEENT", "x", "ROS:"]
        )
    )
)
def test_any_arrangement_of_headers_gives_sections_that_cover_the_text(
    nlp: Language, words: list[str]
):
    doc = nlp(" ".join(words))
    ends = [0, *(section.span.end for section in doc._.sections)]
    assert [section.span.start for section in doc._.sections] == ends[:-1]
    assert ends[-1] == len(doc)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("VS:\nT: 101.2\nP: 110\nR: 22\ngout", ["vital_signs"]),
        ("VS: T: 98.6, P: 88, R: 18. gout", ["vital_signs"]),
        ("VS: T 98.6, P: irreg, R: 18", ["vital_signs"]),
        ("P: 72\ngout", [None]),
        ("O: VS: P: 80\nA: gout\nP: rest", ["objective", "vital_signs", "assessment", "plan"]),
        ("P: 1. rest\n2. water", ["plan"]),
        ("P: 2 tablets", ["plan"]),
    ],
)
def test_the_letter_of_a_pulse_is_no_plan(nlp: Language, text: str, expected: list[str | None]):
    assert titles(nlp, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FINDINGS: CT A/P: no mass", ["findings"]),
        ("FINDINGS: CT C/A/P: no mass. A/P: gout", ["findings", "assessment_and_plan"]),
        ("FINDINGS: gout A/P: rest", ["findings", "assessment_and_plan"]),
        ("CT A/P: no mass", ["other"]),
    ],
)
def test_abdomen_and_pelvis_are_no_assessment(nlp: Language, text: str, expected: list[str]):
    assert titles(nlp, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALLERGIES:\nPENICILLIN: HIVES\nSULFA: RASH", ["allergies"]),
        ("FAMILY HISTORY:\nCANCER: mother\ngout", ["family_history"]),
        ("PMH\nASTHMA: since 2010\ngout\nPLAN: rest", ["past_medical_history", "plan"]),
        ("PMH:\nASTHMA: mild\n\nSHORT-TERM GOALS: walk", ["past_medical_history", "other"]),
        ("PMH:\ngout\nSHORT-TERM GOALS:\nwalk", ["past_medical_history", "other"]),
        ("PMH: gout\nINTAKE: 500 ml", ["past_medical_history", "other"]),
        ("ALLERGIES: none\nSHORT-TERM GOALS: walk", ["allergies", "other"]),
    ],
)
def test_an_entry_in_capitals_stays_in_its_list(nlp: Language, text: str, expected: list[str]):
    assert titles(nlp, text) == expected
