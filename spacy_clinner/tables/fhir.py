"""Findings as FHIR R4: a Bundle for each note."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.annotate import as_strings
from spacy_clinner.tables.concepts import Codes, find
from spacy_clinner.tables.judgement import Judgement, judge
from spacy_clinner.tables.schemas import FAILED

Resource = dict[str, Any]
Links = Sequence[Mapping[str, Any]]

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
STRUCTURE = "http://hl7.org/fhir/StructureDefinition"
# The names by which programs that read findings of notes know them.
REGISTRY = "http://fhir-registry.smarthealthit.org/StructureDefinition"
SOURCE, POLARITY = f"{REGISTRY}/nlp-source", f"{REGISTRY}/nlp-polarity"
DERIVATION, ABSENT = f"{STRUCTURE}/derivation-reference", f"{STRUCTURE}/data-absent-reason"
# Programs must not read a resource whose modifierExtension they do not know.
CONDITIONAL, CONFIDENCE = "urn:spacy-clinner:conditional", "urn:spacy-clinner:confidence"
ASSERTION = "urn:spacy-clinner:assertion"
NAMESPACE = uuid5(NAMESPACE_URL, "urn:spacy-clinner:fhir")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
CONTROL = re.compile(r"[\0-\x08\x0e-\x1f]")
DOSAGE = ("STRENGTH", "DOSAGE", "FORM", "ROUTE", "FREQUENCY", "DURATION")
ALLERGIES = "allergies"
# By label, or else by semantic group.
KINDS = {
    "TEST": "Observation",
    "Diagnostic_procedure": "Observation",
    "Disorders": "Condition",
    "Chemicals & Drugs": "MedicationStatement",
    "Procedures": "Procedure",
}
BUNDLES = pa.schema(
    [
        pa.field("bundle", pa.string(), nullable=False, metadata={"json": "yes"}),
        pa.field("note_id", pa.string(), nullable=False),
    ],
    metadata={"fhir_version": "4.0.1", "table": "bundles"},
)


def bundles(
    entities: pa.Table,
    links: pa.Table,
    notes: pa.Table,
    *,
    codes: Codes | None = None,
    patient: str | None = None,
) -> pa.Table:
    """Make a Bundle of each note.

    entities (pyarrow.Table), links (pyarrow.Table), notes (pyarrow.Table): As `annotate` gives
        them.
    codes (Codes | None): Codes of terms, as `read_codes` gives them.
    patient (str | None): The column of `notes` with the ids of patients; without one, the
        subject of each resource is unknown.
    RETURNS (pyarrow.Table): `bundle`, JSON in one line, and `note_id`, with the schema `BUNDLES`: a
        row for each note that did not fail.
    RAISES (ClinnerError): The time of an entity is null, or ids of patients cannot be strings.
    """
    found, linked = defaultdict(list), defaultdict(list)
    for entity in entities.to_pylist():
        found[entity["note_id"]].append(entity)
    for link in sorted(links.to_pylist(), key=lambda link: (link["start"], link["end"])):
        linked[link["note_id"], link["entity_id"]].append(link)
    rows = []
    ids, statuses = (notes[name].to_pylist() for name in ("note_id", "status"))
    patients = [None] * len(ids) if patient is None else _patients(notes[patient])
    for name, status, of_patient in zip(ids, statuses, patients, strict=True):
        if status != FAILED:
            mine = [(entity, linked[name, entity["entity_id"]]) for entity in found[name]]
            bundle = _bundle(name, mine, _subject(of_patient), codes or {})
            rows.append({"note_id": name, "bundle": _line(bundle)})
    return pa.Table.from_pylist(rows, schema=BUNDLES)


def failed(note_id: str, error: str) -> Resource:
    """Make the Bundle of a note that failed.

    note_id (str): The note.
    error (str): Why it did.
    RETURNS (dict[str, Any]): A Bundle that holds an OperationOutcome and nothing else.
    """
    issue = {"severity": "fatal", "code": "exception", "diagnostics": error}
    outcome = {
        "resourceType": "OperationOutcome",
        "id": str(uuid5(NAMESPACE, f"{note_id}\noutcome")),
        "issue": [issue],
    }
    return _collection(note_id, [outcome])


def resource(
    entity: Mapping[str, Any], links: Links, subject: Resource, codes: Codes | None = None
) -> Resource | None:
    """Make the resource of an entity.

    entity (Mapping[str, Any]): A row of the table of entities.
    links (Sequence[Mapping[str, Any]]): The rows of its modifiers.
    subject (dict[str, Any]): The reference to the patient.
    codes (Codes | None): Codes of terms.
    RETURNS (dict[str, Any] | None): A Condition, MedicationStatement, Observation, Procedure or,
        for a disorder in the family, FamilyMemberHistory; what else is another person's is an
        Observation with that person as its focus. None for what FHIR has no resource of these
        for.
    """
    kind = KINDS.get(entity["label"]) or KINDS.get(entity["semantic_group"] or "")
    if kind is None:
        return None
    judgement = judge(entity)
    code = _code(entity, codes or {})
    if judgement.subject == "family" and kind == "Condition":
        kind, stated = "FamilyMemberHistory", _family_history(judgement, code, links, subject)
    elif not judgement.of_patient:
        kind, stated = "Observation", _of_another(judgement, code, links, subject)
    else:
        stated = STATEMENTS[kind](judgement, code, links, subject)
        if kind == "MedicationStatement" and entity["section"] == ALLERGIES:
            stated["status"] = "unknown"
    return {
        "resourceType": kind,
        "id": str(uuid5(NAMESPACE, f"{entity['note_id']}\n{entity['entity_id']}")),
        "extension": list(_extensions(entity)),
        "modifierExtension": list(_modifier_extensions(entity, judgement)),
        **stated,
    }


def _condition(judgement: Judgement, code: Resource, links: Links, subject: Resource) -> Resource:
    stated: Resource = {
        "verificationStatus": _coding(
            f"{TERMINOLOGY}/condition-ver-status",
            "refuted" if judgement.negated else "unconfirmed",
        ),
        "code": code,
        "subject": subject,
    }
    if judgement.judged and not (judgement.negated or judgement.conditional or judgement.uncertain):
        status = "inactive" if judgement.historical else "active"
        stated["clinicalStatus"] = _coding(f"{TERMINOLOGY}/condition-clinical", status)
    if sites := _texts(links, "BODYLOC"):
        stated["bodySite"] = [{"text": site} for site in sites]
    if severities := _texts(links, "SEVERITY"):
        stated["severity"] = {"text": "; ".join(severities)}
    return stated


def _medication(judgement: Judgement, code: Resource, links: Links, subject: Resource) -> Resource:
    if judgement.negated:
        status = "not-taken"
    elif judgement.conditional:
        status = "intended"
    elif judgement.uncertain or not judgement.judged:
        status = "unknown"
    else:
        status = "completed" if judgement.historical else "active"
    stated: Resource = {"status": status, "medicationCodeableConcept": code, "subject": subject}
    if doses := _texts(links, *DOSAGE):
        stated["dosage"] = [{"text": " ".join(doses)}]
    return stated


def _procedure(judgement: Judgement, code: Resource, links: Links, subject: Resource) -> Resource:
    done = judgement.historical and not (judgement.conditional or judgement.uncertain)
    # That a note names one does not say that it was done.
    status = "not-done" if judgement.negated else "completed" if done else "unknown"
    stated: Resource = {"status": status, "code": code, "subject": subject}
    if sites := _texts(links, "BODYLOC"):
        stated["bodySite"] = [{"text": site} for site in sites]
    return stated


def _observation(judgement: Judgement, code: Resource, links: Links, subject: Resource) -> Resource:
    values, ranges = _texts(links, "LABVALUE"), _texts(links, "REFERENCE_RANGE")
    # A test that is negated may not have been done, or have had a negative result.
    open_ = judgement.negated or judgement.conditional or judgement.uncertain
    status = "unknown" if open_ or not judgement.judged else "preliminary"
    stated: Resource = {"status": status, "code": code, "subject": subject}
    if values:
        stated["valueString"] = "; ".join(values)
    if ranges:
        stated["referenceRange"] = [{"text": text} for text in ranges]
    return stated


def _of_another(judgement: Judgement, code: Resource, links: Links, subject: Resource) -> Resource:
    words = "; ".join(_texts(links, "SUBJECT"))
    person = {"type": "RelatedPerson", "display": words or str(judgement.subject)}
    return {**_observation(judgement, code, links, subject), "focus": [person]}


def _family_history(
    judgement: Judgement, code: Resource, links: Links, subject: Resource
) -> Resource:
    relationship = _coding(f"{TERMINOLOGY}/v3-RoleCode", "FAMMEMB")
    if words := _texts(links, "SUBJECT"):
        relationship["text"] = "; ".join(words)
    return {
        "status": "partial",
        "patient": subject,
        "relationship": relationship,
        "condition": [{"code": code, "modifierExtension": [_polarity(judgement)]}],
    }


STATEMENTS = {
    "Condition": _condition,
    "MedicationStatement": _medication,
    "Procedure": _procedure,
    "Observation": _observation,
}


def _bundle(
    note_id: str,
    found: Sequence[tuple[Mapping[str, Any], Links]],
    subject: Resource,
    codes: Codes,
) -> Resource:
    made = [resource(entity, links, subject, codes) for entity, links in found]
    resources = [one for one in made if one is not None]
    if resources:
        resources.append(_provenance(note_id, found[0][0], resources))
    return _collection(note_id, resources)


def _collection(note_id: str, resources: Sequence[Resource]) -> Resource:
    bundle: Resource = {
        "resourceType": "Bundle",
        "id": str(uuid5(NAMESPACE, note_id)),
        "type": "collection",
    }
    # FHIR has no empty lists.
    if resources:
        bundle["entry"] = [
            {"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources
        ]
    return bundle


def _provenance(note_id: str, entity: Mapping[str, Any], resources: Sequence[Resource]) -> Resource:
    return {
        "resourceType": "Provenance",
        "id": str(uuid5(NAMESPACE, f"{note_id}\nprovenance")),
        "target": [{"reference": f"urn:uuid:{one['id']}"} for one in resources],
        "recorded": _instant(entity),
        "agent": [
            {
                "type": _coding(f"{TERMINOLOGY}/provenance-participant-type", "assembler"),
                "who": {
                    "type": "Device",
                    "display": f"{entity['model']} {entity['model_version']}",
                },
            }
        ],
        "entity": [{"role": "source", "what": _document(note_id)}],
    }


def _extensions(entity: Mapping[str, Any]) -> Iterator[Resource]:
    start, end = entity["start"], entity["end"]
    yield {
        "url": DERIVATION,
        "extension": [
            {"url": "reference", "valueReference": _document(entity["note_id"])},
            {"url": "offset", "valueInteger": start},
            {"url": "length", "valueInteger": end - start},
        ],
    }
    if entity["confidence"] is not None:
        yield {"url": CONFIDENCE, "valueDecimal": round(entity["confidence"], 6)}
    if entity["assertion"] is not None:
        yield {"url": ASSERTION, "valueCode": entity["assertion"]}


def _modifier_extensions(entity: Mapping[str, Any], judgement: Judgement) -> Iterator[Resource]:
    yield {
        "url": SOURCE,
        "extension": [
            {"url": "algorithm", "valueString": str(entity["model"])},
            {"url": "version", "valueString": str(entity["model_version"])},
        ],
    }
    if judgement.negated is not None:
        yield _polarity(judgement)
    if judgement.conditional:
        yield {"url": CONDITIONAL, "valueBoolean": True}


def _polarity(judgement: Judgement) -> Resource:
    return {"url": POLARITY, "valueBoolean": not judgement.negated}


def _code(entity: Mapping[str, Any], codes: Codes) -> Resource:
    text = entity["text"]
    if text is None:
        return {"extension": [{"url": ABSENT, "valueCode": "masked"}]}
    concept = find(codes, entity["label"], text)
    coding = {"system": concept.system, "code": concept.code, "display": concept.display}
    coding = {name: value for name, value in coding.items() if value}
    words = _clean(text)
    return {"coding": [coding], "text": words} if concept.code else {"text": words}


def _coding(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def _texts(links: Links, *labels: str) -> list[str]:
    texts = [link["text"] for link in links if link["label"] in labels]
    return [_clean(text) for text in texts if text is not None]


def _clean(text: str) -> str:
    """Words without line ends, and without the signs that FHIR allows in no string."""
    return " ".join(CONTROL.sub(" ", text).split())


def _document(note_id: str) -> Resource:
    if not note_id.strip():
        return {"type": "DocumentReference", **_unknown()}
    return _reference("DocumentReference", note_id)


def _patients(column: pa.ChunkedArray) -> list[str | None]:
    try:
        ids: list[str | None] = as_strings(column).to_pylist()
    except ClinnerError:
        raise ClinnerError(
            f"The ids of patients are of type {column.type}, and cannot be written as strings. "
            f"Name another column (--patient), or make it one of numbers or strings."
        ) from None
    return ids


def _subject(patient: str | None) -> Resource:
    if patient is None or not patient.strip():
        return _unknown()
    return _reference("Patient", patient)


def _unknown() -> Resource:
    return {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}


def _reference(kind: str, name: str) -> Resource:
    if ID.fullmatch(name):
        return {"reference": f"{kind}/{name}"}
    return {"type": kind, "identifier": {"value": CONTROL.sub(" ", name)}}


def _instant(entity: Mapping[str, Any]) -> str:
    if entity["processed_at"] is None:
        raise ClinnerError(
            "FHIR must have the time when findings were made, and `processed_at` is null. Take "
            "entities as `annotate` gives them, or fill in this column."
        )
    return str(entity["processed_at"].astimezone(UTC).isoformat(timespec="milliseconds"))


def _line(bundle: Resource) -> str:
    return json.dumps(bundle, ensure_ascii=False, separators=(",", ":"))
