"""What is made of a document: the rows of `tables`, or another shape, as JSON."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from pydantic_core import to_json
from spacy.language import Language
from spacy.tokens import Doc

from spacy_clinner.annotation.spans import ENTS, keys_in
from spacy_clinner.tables import comprehend_medical, fhir, huggingface
from spacy_clinner.tables.annotate import as_table, model_and_version, select, status_of
from spacy_clinner.tables.findings import Row, Selection, find
from spacy_clinner.tables.reading import Failure
from spacy_clinner.tables.schemas import ENTITIES, LINKS, NOTES

Format = Literal["clinner", "huggingface", "comprehend-medical", "fhir"]
# What a row of the table of entities says of its note, an answer says once.
OF_NOTE = ("note_id", "model", "model_version", "processed_at")
ENTITY_KEYS = [name for name in ENTITIES.names if name not in OF_NOTE]
LINK_KEYS = [name for name in LINKS.names if name not in OF_NOTE]
STAMP = [name for name in ENTITIES.names if name in OF_NOTE[1:]]


class Made(NamedTuple):
    """What was made of a note: its words, and JSON."""

    words: int
    json: bytes


@dataclass(frozen=True)
class Asked:
    """What a caller wants of the notes of a request.

    format (str): The shape of what is given.
    layers (tuple[str, ...] | None): The layers to give; None for all that hold entities.
    threshold (float): The least confidence.
    """

    format: Format = "clinner"
    layers: tuple[str, ...] | None = None
    threshold: float = 0.0


def shape_of(
    nlp: Language, asked: Asked, note_id: str, text: str
) -> Callable[[Doc | Failure], Made]:
    """How to answer a note.

    nlp (Language): The pipeline.
    asked (Asked): What is wanted.
    note_id (str): The note's id.
    text (str): The note.
    RETURNS (Callable[[Doc | Failure], Made]): Makes the answer of what the pipeline made of the
        note. One that failed is marked as such, in every shape.
    """
    stamp = (*model_and_version(nlp), datetime.now(UTC))
    if asked.format == "clinner":
        return partial(_as_rows, note_id, text, select(nlp, asked.layers, asked.threshold), stamp)
    # Others find a term once, though several layers do.
    selection = select(nlp, (ENTS,) if asked.layers is None else asked.layers, asked.threshold)
    if asked.format == "fhir":
        return partial(_as_bundle, note_id, text, selection, stamp)
    return partial(_as_entities, asked, text, stamp)


def _rows(
    note_id: str, text: str, selection: Selection, found: Doc | Failure
) -> tuple[Row, list[Row], list[Row]]:
    """The rows of a note: of the note itself, its entities and their links."""
    entities, links = ([], []) if isinstance(found, Failure) else find(found, selection)
    status, error = status_of(text, str(found) if isinstance(found, Failure) else None)
    digest = hashlib.sha256(text.encode("utf8")).hexdigest()
    return (note_id, status, error, len(text), len(entities), digest), entities, links


def _as_rows(
    note_id: str, text: str, selection: Selection, stamp: Row, found: Doc | Failure
) -> Made:
    row, entities, links = _rows(note_id, text, selection, found)
    note = {
        **dict(zip(NOTES.names, row, strict=True)),
        **dict(zip(STAMP, stamp, strict=True)),
        "entities": [dict(zip(ENTITY_KEYS, entity, strict=True)) for entity in entities],
        "links": [dict(zip(LINK_KEYS, link, strict=True)) for link in links],
    }
    return Made(len(text.split()), to_json(note))


def _as_bundle(
    note_id: str, text: str, selection: Selection, stamp: Row, found: Doc | Failure
) -> Made:
    if isinstance(found, Failure):
        return Made(len(text.split()), to_json(fhir.failed(note_id, str(found))))
    row, entities, links = _rows(note_id, text, selection, found)
    made = fhir.bundles(
        as_table([(note_id, *entity, *stamp) for entity in entities], ENTITIES),
        as_table([(note_id, *link) for link in links], LINKS),
        as_table([row], NOTES),
    )
    bundle: str = made["bundle"][0].as_py()
    return Made(len(text.split()), bundle.encode("utf8"))


def _as_entities(asked: Asked, text: str, stamp: Row, found: Doc | Failure) -> Made:
    made: Any
    is_amazon = asked.format == "comprehend-medical"
    if isinstance(found, Failure):
        error = str(found)
        made = (
            comprehend_medical.failed(error, stamp[1]) if is_amazon else huggingface.failed(error)
        )
    else:
        # What the model has and this note lacks, holds nothing here.
        layers = None if asked.layers is None else keys_in(found, asked.layers)
        chosen = (found, layers, asked.threshold)
        if is_amazon:
            made = comprehend_medical.to_comprehend_medical(*chosen, stamp[1])
        else:
            made = huggingface.to_entities(*chosen)
    return Made(len(text.split()), to_json(made))


def joined(asked: Asked, notes: list[bytes]) -> bytes:
    """The answer to a request, of the answers to its notes.

    asked (Asked): What is wanted.
    notes (list[bytes]): By note, JSON.
    RETURNS (bytes): JSON: `{"notes": [...]}`, or in the shapes of others a list.
    """
    listed = b"[" + b",".join(notes) + b"]"
    return b'{"notes":' + listed + b"}" if asked.format == "clinner" else listed


def schemas() -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The JSON schemas of the answers, by name, for OpenAPI: those of the
    tables, which are the same."""
    entity = _object(ENTITIES, ENTITY_KEYS)
    link = _object(LINKS, LINK_KEYS)
    note = _object(NOTES, NOTES.names)
    stamp = _object(ENTITIES, STAMP)
    ref = "#/components/schemas/"
    lists = {
        name: {"type": "array", "items": {"$ref": f"{ref}{model}"}}
        for name, model in (("entities", "Entity"), ("links", "Link"))
    }
    note["properties"] |= stamp["properties"] | lists
    note["required"] += stamp["required"] + list(lists)
    answer = {
        "type": "object",
        "properties": {"notes": {"type": "array", "items": {"$ref": f"{ref}Note"}}},
        "required": ["notes"],
    }
    return {"Entity": entity, "Link": link, "Note": note, "Annotated": answer}


def _object(schema: pa.Schema, names: list[str]) -> dict[str, Any]:
    fields = [schema.field(name) for name in names]
    return {
        "type": "object",
        "properties": {field.name: _property(field) for field in fields},
        "required": list(names),
        "additionalProperties": False,
    }


def _property(field: pa.Field) -> dict[str, Any]:
    said = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    meaning = said.get("meaning", "")
    unit = f" ({said['unit']})" if "unit" in said else ""
    typed = _type(field.type)
    if field.nullable:
        typed["type"] = [typed["type"], "null"]
    return typed | {"description": f"{meaning}{unit}"}


def _type(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        return {"type": "array", "items": _type(kind.value_type)}
    if pa.types.is_timestamp(kind):
        return {"type": "string", "format": "date-time"}
    for name, holds in (
        ("boolean", pa.types.is_boolean),
        ("integer", pa.types.is_integer),
        ("number", pa.types.is_floating),
    ):
        if holds(kind):
            return {"type": name}
    return {"type": "string"}
