"""Entities in the shape of Amazon Comprehend Medical, `DetectEntitiesV2`."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from spacy.tokens import Doc, Span

from spacy_clinner.annotation import said, store
from spacy_clinner.annotation.said import Assertion, Modifier
from spacy_clinner.tables.findings import spans_of


class Kind(NamedTuple):
    """How Comprehend Medical calls an entity: its `Category` and `Type`."""

    category: str
    type: str


# By label, where that says more than the semantic group.
OF_LABEL = {
    "TEST": Kind("TEST_TREATMENT_PROCEDURE", "TEST_NAME"),
    "Diagnostic_procedure": Kind("TEST_TREATMENT_PROCEDURE", "TEST_NAME"),
    "TREATMENT": Kind("TEST_TREATMENT_PROCEDURE", "TREATMENT_NAME"),
    "Therapeutic_procedure": Kind("TEST_TREATMENT_PROCEDURE", "TREATMENT_NAME"),
}
OF_GROUP = {
    "Disorders": Kind("MEDICAL_CONDITION", "DX_NAME"),
    "Chemicals & Drugs": Kind("MEDICATION", "GENERIC_NAME"),
    "Procedures": Kind("TEST_TREATMENT_PROCEDURE", "PROCEDURE_NAME"),
    "Anatomy": Kind("ANATOMY", "SYSTEM_ORGAN_SITE"),
}
# Modifiers that are attributes there; those that are traits decide the assertion already.
ATTRIBUTES = {
    "BODYLOC": "SYSTEM_ORGAN_SITE",
    "COURSE": "ACUITY",
    "DOSAGE": "DOSAGE",
    "DURATION": "DURATION",
    "FORM": "FORM",
    "FREQUENCY": "FREQUENCY",
    "LABVALUE": "TEST_VALUE",
    "ROUTE": "ROUTE_OR_MODE",
    "SEVERITY": "QUALITY",
    "STRENGTH": "STRENGTH",
}
TIME = "TEMPORAL"
TIME_OF = {
    "MEDICATION": "TIME_TO_MEDICATION_NAME",
    "MEDICAL_CONDITION": "TIME_TO_DX_NAME",
    "TEST_NAME": "TIME_TO_TEST_NAME",
    "PROCEDURE_NAME": "TIME_TO_PROCEDURE_NAME",
    "TREATMENT_NAME": "TIME_TO_TREATMENT_NAME",
}
# The modifier whose link, where there is one, says how sure a trait is.
DECIDED_BY = {
    "NEGATION": "NEGATION",
    "LOW_CONFIDENCE": "UNCERTAIN",
    "PERTAINS_TO_FAMILY": "SUBJECT",
}


def to_comprehend_medical(
    doc: Doc, layers: Iterable[str] | None = None, threshold: float = 0.0, version: str = ""
) -> dict[str, Any]:
    """Give entities as `DetectEntitiesV2` of Amazon Comprehend Medical does.

    Every drug is a `GENERIC_NAME`, and every problem a `DX_NAME` without `SIGN`, `SYMPTOM` or
    `DIAGNOSIS`: which of these it is, is not judged. Entities of other kinds, and modifiers that it
    has no attribute for (`REFERENCE_RANGE`), are left out.

    doc (Doc): A processed document.
    layers (Iterable[str] | None): The keys in `doc.spans` to take, "ents" for `doc.ents`; None
        takes `doc.ents`.
    threshold (float): The least confidence; entities of which nothing computed one are kept.
    version (str): Of the model, for `ModelVersion`.
    RETURNS (dict[str, Any]): `Entities` in reading order, `UnmappedAttributes` (none) and
        `ModelVersion`. Offsets are characters. Scores are None where nothing computed one, as of
        a trait that a rule decided.
    RAISES (ClinnerError): The document has no such layer.
    """
    entities: list[dict[str, Any]] = []
    n_ids = 0
    for span in spans_of("to_comprehend_medical", doc, layers, threshold):
        kind = OF_LABEL.get(span.label_) or OF_GROUP.get(said.get_semantic_group(span) or "")
        confidence = store.values(span).get("confidence")
        if kind is None:
            continue
        modifiers = said.get_modifiers(span)
        entity = {"Id": n_ids, **_place(span, confidence), **_kind(kind)}
        entity["Traits"] = _traits(said.assertion(span), modifiers)
        attributes = list(filter(None, (_attribute(kind, modifier) for modifier in modifiers)))
        for at, attribute in enumerate(attributes, n_ids + 1):
            attribute["Id"] = at
        n_ids += 1 + len(attributes)
        entities.append(entity | {"Attributes": attributes})
    return {"Entities": entities, "UnmappedAttributes": [], "ModelVersion": version}


def failed(error: str, version: str = "") -> dict[str, Any]:
    """Give what stands for the entities of a note that failed.

    error (str): Why it did.
    version (str): Of the model, for `ModelVersion`.
    RETURNS (dict[str, Any]): As `to_comprehend_medical` gives, without entities, and with
        `ErrorCode` and `ErrorMessage`, as the error lists of Amazon's batches have them.
    """
    return {
        "Entities": [],
        "UnmappedAttributes": [],
        "ModelVersion": version,
        "ErrorCode": "InternalServerException",
        "ErrorMessage": error,
    }


def _place(span: Span, confidence: float | None) -> dict[str, Any]:
    return {
        "BeginOffset": span.start_char,
        "EndOffset": span.end_char,
        "Score": confidence,
        "Text": span.text,
    }


def _kind(kind: Kind) -> dict[str, str]:
    return {"Category": kind.category, "Type": kind.type}


def _attribute(of: Kind, modifier: Modifier) -> dict[str, Any] | None:
    if modifier.label == TIME:
        kind = TIME_OF.get(of.type) or TIME_OF.get(of.category)
        category, relation = "TIME_EXPRESSION", "OVERLAP"
    else:
        kind = relation = ATTRIBUTES.get(modifier.label, "")
        category = "ANATOMY" if kind == "SYSTEM_ORGAN_SITE" else of.category
    if not kind:
        return None
    return {
        "Id": 0,
        **_place(modifier.span, store.values(modifier.span).get("confidence")),
        **_kind(Kind(category, kind)),
        "RelationshipScore": modifier.confidence,
        "RelationshipType": relation,
        "Traits": [],
    }


def _traits(judged: Assertion, modifiers: Iterable[Modifier]) -> list[dict[str, Any]]:
    said_of = {
        "NEGATION": judged.negated,
        "LOW_CONFIDENCE": judged.uncertain,
        "HYPOTHETICAL": judged.hypothetical or judged.assertion == "conditional",
        "PAST_HISTORY": judged.historical,
        "PERTAINS_TO_FAMILY": judged.experiencer == "family",
    }
    linked = {modifier.label: modifier.confidence for modifier in modifiers}
    return [
        {"Name": name, "Score": linked.get(DECIDED_BY.get(name, ""))}
        for name, holds in said_of.items()
        if holds
    ]
