import json

import pyarrow as pa
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir_resources import code, is_active_condition, resources
from finding_rows import EVERYTHING, entities, entity, link, links, notes

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.concepts import read_codes
from spacy_clinner.tables.fhir import DERIVATION, POLARITY, bundles

PRESENT = {
    "assertion": "present",
    "negated": False,
    "uncertain": False,
    "hypothetical": False,
    "historical": False,
    "experiencer": "patient",
}
FAMILY = {"assertion": "associated_with_someone_else", "experiencer": "family"}
UNKNOWN = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "unknown",
        }
    ]
}
STATUS = {"refuted", "unconfirmed"}


def bundle_of(*rows, linked=(), note=None, **options):
    """The Bundle of a note, which the library that knows FHIR has read."""
    table = bundles(entities(*rows), links(*linked), note or notes("1"), **options)
    (line,) = table["bundle"].to_pylist()
    Bundle.model_validate_json(line)
    return json.loads(line)


def resource_of(said, *modifiers, **options):
    row = entity(**{**PRESENT, **said})
    bundle = bundle_of(row, linked=[link(row, *modifier) for modifier in modifiers], **options)
    return resources(bundle)[0]


def test_a_problem_of_the_patient_is_a_condition_where_it_was_found():
    row = entity(**PRESENT, confidence=0.95)
    modifiers = [link(row, "BODYLOC", "chest", 7), link(row, "SEVERITY", "severe", 0)]
    condition, provenance = resources(bundle_of(row, linked=modifiers))
    document = {"reference": "DocumentReference/1"}
    assert condition.pop("id")
    assert condition == {
        "resourceType": "Condition",
        "extension": [
            {
                "url": DERIVATION,
                "extension": [
                    {"url": "reference", "valueReference": document},
                    {"url": "offset", "valueInteger": 7},
                    {"url": "length", "valueInteger": 10},
                ],
            },
            {"url": "urn:spacy-clinner:confidence", "valueDecimal": 0.95},
            {"url": "urn:spacy-clinner:assertion", "valueCode": "present"},
        ],
        "modifierExtension": [
            {
                "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/nlp-source",
                "extension": [
                    {"url": "algorithm", "valueString": "en_clinner"},
                    {"url": "version", "valueString": "0.2.0"},
                ],
            },
            {"url": POLARITY, "valueBoolean": True},
        ],
        "clinicalStatus": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                    "code": "active",
                }
            ]
        },
        "verificationStatus": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
                    "code": "unconfirmed",
                }
            ]
        },
        "severity": {"text": "severe"},
        "code": {"text": "chest pain"},
        "bodySite": [{"text": "chest"}],
        "subject": {
            "extension": [
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
                    "valueCode": "unknown",
                }
            ]
        },
    }
    assert provenance["entity"] == [{"role": "source", "what": document}]
    assert provenance["recorded"] == "2026-03-01T23:59:59.250+00:00"
    assert provenance["agent"][0]["who"]["display"] == "en_clinner 0.2.0"


def test_every_resource_is_a_target_of_the_provenance():
    bundle = bundle_of(entity(**PRESENT), entity("aspirin", 30, label="DRUG", **PRESENT))
    *found, provenance = bundle["entry"]
    targets = [target["reference"] for target in provenance["resource"]["target"]]
    assert targets == [entry["fullUrl"] for entry in found]
    assert len(set(targets)) == 2


def test_nothing_negated_hypothetical_or_of_another_is_an_active_condition():
    rows = [entity(start=20 * at, **said) for at, said in enumerate(EVERYTHING)]
    found = resources(bundle_of(*rows))[:-1]
    assert len(found) == len(EVERYTHING)
    seen = set()
    for said, resource in zip(EVERYTHING, found, strict=True):
        assertion, negated = said["assertion"], said["negated"] or said["assertion"] == "absent"
        not_the_patients = said["experiencer"] in ("family", "other") or (
            assertion == "associated_with_someone_else"
        )
        assert (resource["resourceType"] == "Condition") != not_the_patients
        if negated:
            assert {"url": POLARITY, "valueBoolean": False} in resource["modifierExtension"]
        if resource["resourceType"] == "Condition":
            verification = code(resource["verificationStatus"])
            assert (verification == "refuted") == negated
            assert verification in STATUS
            assert verification == "unconfirmed" or "clinicalStatus" not in resource
        if is_active_condition(resource):
            assert assertion in ("present", None)
            assert not negated
            assert not any(said[name] for name in ("hypothetical", "uncertain", "historical"))
            assert assertion == "present" or said["negated"] is False
            seen.add(assertion)
    assert seen == {"present", None}


def test_a_problem_in_the_family_is_family_history():
    found = resource_of(FAMILY, ("SUBJECT", "Mother"))
    assert found["resourceType"] == "FamilyMemberHistory"
    assert found["relationship"]["text"] == "Mother"
    assert code(found["relationship"]) == "FAMMEMB"
    assert found["condition"][0]["code"] == {"text": "chest pain"}


def test_a_problem_that_is_not_in_the_family_says_so_twice():
    found = resource_of(FAMILY | {"negated": True})
    polarity = {"url": POLARITY, "valueBoolean": False}
    assert polarity in found["modifierExtension"]
    assert found["condition"][0]["modifierExtension"] == [polarity]


@pytest.mark.parametrize(
    ("said", "subject"),
    [
        ({"experiencer": "other"}, "roommate"),
        (FAMILY | {"label": "DRUG", "semantic_group": "Chemicals & Drugs"}, "mother"),
    ],
)
def test_what_else_is_another_persons_is_an_observation_about_that_person(said, subject):
    found = resource_of(said, ("SUBJECT", subject))
    assert found["resourceType"] == "Observation"
    assert found["focus"] == [{"type": "RelatedPerson", "display": subject}]


DRUG = {"label": "DRUG", "semantic_group": "Chemicals & Drugs"}
TREATMENT = {"label": "TREATMENT", "semantic_group": "Procedures"}
TEST = {"label": "TEST", "semantic_group": "Procedures"}


@pytest.mark.parametrize(
    ("said", "kind", "status"),
    [
        (DRUG, "MedicationStatement", "active"),
        (DRUG | {"historical": True}, "MedicationStatement", "completed"),
        (DRUG | {"assertion": "absent", "negated": True}, "MedicationStatement", "not-taken"),
        (DRUG | {"assertion": "hypothetical"}, "MedicationStatement", "intended"),
        (DRUG | {"assertion": "possible"}, "MedicationStatement", "unknown"),
        (DRUG | {"section": "allergies"}, "MedicationStatement", "unknown"),
        (DRUG | dict.fromkeys(PRESENT), "MedicationStatement", "unknown"),
        (TREATMENT, "Procedure", "unknown"),
        (TREATMENT | {"historical": True}, "Procedure", "completed"),
        (TREATMENT | {"negated": True}, "Procedure", "not-done"),
        (TREATMENT | {"historical": True, "uncertain": True}, "Procedure", "unknown"),
        (TEST, "Observation", "preliminary"),
        (TEST | {"negated": True}, "Observation", "unknown"),
        (TEST | dict.fromkeys(PRESENT), "Observation", "unknown"),
    ],
)
def test_a_status_says_no_more_than_the_note(said, kind, status):
    found = resource_of(said)
    assert (found["resourceType"], found["status"]) == (kind, status)


@pytest.mark.parametrize(("historical", "status"), [(True, "inactive"), (False, "active")])
def test_a_problem_of_the_past_is_inactive(historical, status):
    assert code(resource_of({"historical": historical})["clinicalStatus"]) == status


def test_modifiers_of_drugs_and_tests_are_doses_and_results():
    drug = resource_of(DRUG, ("FREQUENCY", "daily", 40), ("STRENGTH", "10 mg", 20))
    assert drug["dosage"] == [{"text": "10 mg daily"}]
    test = resource_of(TEST, ("LABVALUE", "12.1", 20), ("REFERENCE_RANGE", "4-11", 40))
    assert test["valueString"] == "12.1"
    assert test["referenceRange"] == [{"text": "4-11"}]


def test_patients_and_codes_are_the_users(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_text("text,system,code\nchest pain,http://snomed.info/sct,29857009\n")
    note = notes("1", person=[77])
    found = resource_of({}, note=note, patient="person", codes=read_codes(path))
    assert found["subject"] == {"reference": "Patient/77"}
    assert found["code"] == {
        "coding": [{"system": "http://snomed.info/sct", "code": "29857009"}],
        "text": "chest pain",
    }


@pytest.mark.parametrize(
    ("person", "subject"),
    [
        (pa.array([123.0]), {"reference": "Patient/123"}),
        (pa.array([b"p1"]), {"reference": "Patient/p1"}),
        (pa.array([b"\x01\xff"]), {"type": "Patient", "identifier": {"value": " \ufffd"}}),
        (pa.array(["A  1"]), {"type": "Patient", "identifier": {"value": "A  1"}}),
        (pa.array(["p1"]).dictionary_encode(), {"reference": "Patient/p1"}),
        (pa.array([""]), UNKNOWN),
        (pa.array([" "]), UNKNOWN),
        (pa.array([None]), UNKNOWN),
    ],
)
def test_the_id_of_a_patient_is_written_as_ids_are(person, subject):
    note = notes("1").append_column("person", person)
    assert resource_of({}, note=note, patient="person")["subject"] == subject


def test_a_column_that_holds_no_ids_of_patients_is_refused():
    note = notes("1").append_column("person", pa.array([["p1"]]))
    with pytest.raises(ClinnerError, match=r"ids of patients .* list"):
        resource_of({}, note=note, patient="person")


def test_a_document_without_an_id_is_an_unknown_one():
    row = entity(**PRESENT, note_id="")
    found, provenance = resources(bundle_of(row, note=notes("")))
    document = {"type": "DocumentReference", **UNKNOWN}
    assert found["extension"][0]["extension"][0]["valueReference"] == document
    assert provenance["entity"][0]["what"] == document


def test_an_id_that_fhir_does_not_allow_is_an_identifier():
    row = entity(**PRESENT, note_id="A/1 b")
    found, _ = resources(bundle_of(row, note=notes("A/1 b")))
    reference = found["extension"][0]["extension"][0]["valueReference"]
    assert reference == {"type": "DocumentReference", "identifier": {"value": "A/1 b"}}


def test_without_the_words_the_code_is_masked():
    row = entity(**PRESENT) | {"text": None}
    found, _ = resources(bundle_of(row))
    assert found["code"]["extension"][0]["valueCode"] == "masked"
    assert "text" not in found["code"]


def test_words_with_signs_that_fhir_does_not_allow_are_written_without_them():
    assert resource_of({"text": "chest\0\npain"})["code"] == {"text": "chest pain"}


def test_a_label_that_fhir_has_no_resource_for_is_left_out():
    row = entity("knee", label="Biological_structure", semantic_group="Anatomy")
    assert "entry" not in bundle_of(row)


def test_every_note_has_a_bundle_but_those_that_failed():
    assert "entry" not in bundle_of()
    assert bundles(entities(), links(), notes("1", status="failed")).num_rows == 0


def test_findings_without_a_time_are_refused():
    with pytest.raises(ClinnerError, match="`processed_at` is null"):
        bundle_of(entity(processed_at=None))


def test_the_same_findings_are_the_same_bytes():
    rows = [entity(**PRESENT), entity("fever", 30, **PRESENT)]
    assert bundle_of(*rows) == bundle_of(*rows)
