"""The three tables that notes become: names, types, units and nullability of their columns."""

from typing import NamedTuple

import pyarrow as pa

# Counts up when a column changes its name, type or meaning; a new column is no change.
VERSION = "1"
TEXT, OFFSET, FLAG = pa.string(), pa.int32(), pa.bool_()
# In the metadata of `note_id`, whose strings may have been numbers.
TYPE_IN_SOURCE = "type_in_source"
OK, EMPTY, FAILED = "ok", "empty", "failed"


class Tables(NamedTuple):
    """What was found in notes.

    entities (pa.Table): A row for each entity, `ENTITIES`.
    links (pa.Table): A row for each modifier linked to an entity, `LINKS`.
    notes (pa.Table): A row for each note, in the order of the input: `NOTES`, and behind them the
        columns that were passed through.
    """

    entities: pa.Table
    links: pa.Table
    notes: pa.Table


def _field(
    name: str, kind: pa.DataType, meaning: str, *, null: bool = False, unit: str = ""
) -> pa.Field:
    said = {"meaning": meaning, **({"unit": unit} if unit else {})}
    return pa.field(name, kind, nullable=null, metadata=said)


def _schema(name: str, *fields: pa.Field) -> pa.Schema:
    return pa.schema(fields, metadata={"clinner_table": name, "clinner_schema_version": VERSION})


_NOTE_ID = _field("note_id", TEXT, "the note's id, whatever its type, as a string")
_ENTITY_ID = _field(
    "entity_id", TEXT, "LAYER:LABEL:START:END; the same in every run, unique within its note"
)
ENTITIES = _schema(
    "entities",
    _NOTE_ID,
    _ENTITY_ID,
    _field("layer", TEXT, "the label scheme; `ents` for doc.ents that stand in no layer"),
    _field("label", TEXT, "the label within its layer"),
    _field("semantic_group", TEXT, "the UMLS semantic group of the label", null=True),
    _field("start", OFFSET, "where it begins in the text", unit="characters"),
    _field("end", OFFSET, "behind its last character", unit="characters"),
    _field("text", TEXT, "its words; null with no_text", null=True),
    _field(
        "confidence", pa.float64(), "calibrated probability that span and label are right",
        null=True, unit="0 to 1",
    ),
    _field(
        "assertion", TEXT, "present, absent, possible, conditional, hypothetical or "
        "associated_with_someone_else; null where nothing judged it", null=True,
    ),
    _field("negated", FLAG, "asserted absent", null=True),
    _field("uncertain", FLAG, "said to be possible", null=True),
    _field("hypothetical", FLAG, "said of what may come", null=True),
    _field("historical", FLAG, "said of the past", null=True),
    _field("experiencer", TEXT, "patient, family or other", null=True),
    _field("cue_start", OFFSET, "where the negation cue begins", null=True, unit="characters"),
    _field("cue_end", OFFSET, "behind the negation cue", null=True, unit="characters"),
    _field("cue_text", TEXT, "the words that negate it; null with no_text", null=True),
    _field("evidence", pa.list_(pa.field("item", TEXT, nullable=False)),
           "the rules, sections and modifiers that decided the assertion; no rule's name with "
           "no_text"),
    _field("section", TEXT, "normalised title of the section that it stands in", null=True),
    _field("model", TEXT, "language and name of the pipeline", null=True),
    _field("model_version", TEXT, "version of the pipeline", null=True),
    _field("processed_at", pa.timestamp("us", "UTC"), "when the run began", null=True),
)  # fmt: skip
LINKS = _schema(
    "links",
    _NOTE_ID,
    _ENTITY_ID,
    _field("label", TEXT, "the modifier's label, such as BODYLOC or STRENGTH"),
    _field("start", OFFSET, "where the modifier begins in the text", unit="characters"),
    _field("end", OFFSET, "behind its last character", unit="characters"),
    _field("text", TEXT, "its words; null with no_text", null=True),
    _field("confidence", pa.float64(), "probability of the link", null=True, unit="0 to 1"),
)
NOTES = _schema(
    "notes",
    _NOTE_ID,
    _field("status", TEXT, "ok, empty (null, or nothing but spaces) or failed"),
    _field("error", TEXT, "what failed and in which component; no word of the note", null=True),
    _field("n_characters", OFFSET, "length; null where no text could be read", null=True,
           unit="characters"),
    _field("n_entities", OFFSET, "rows of this note in entities"),
    _field("sha256", TEXT, "of the text as it was read, in UTF-8, hexadecimal; null where none "
           "could be read, as of bytes that are not UTF-8", null=True),
)  # fmt: skip
SCHEMAS = {"entities": ENTITIES, "links": LINKS, "notes": NOTES}


def notes_schema(kept: pa.Schema, ids: pa.Field) -> pa.Schema:
    """The schema of `notes` with the columns that are passed through.

    kept (pa.Schema): Those columns.
    ids (pa.Field): The column of ids as it is read. Its type stands in the metadata of `note_id`,
        or the one that its own metadata has there.
    RETURNS (pa.Schema): The schema.
    """
    first = NOTES.field(0)
    known = (ids.metadata or {}).get(TYPE_IN_SOURCE.encode(), str(ids.type))
    first = first.with_metadata({**first.metadata, TYPE_IN_SOURCE: known})
    fields = [first, *list(NOTES)[1:], *(field.remove_metadata() for field in kept)]
    return pa.schema(fields, metadata=NOTES.metadata)
