"""Whether a table is a NOTE_NLP of the OMOP CDM 5.4, by what its specification says.

It shares nothing with the module that writes the table.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

import pyarrow as pa

# Column, kind, length in characters, required.
COLUMNS: tuple[tuple[str, str, int | None, bool], ...] = (
    ("note_nlp_id", "integer", None, True),
    ("note_id", "integer", None, True),
    ("section_concept_id", "integer", None, False),
    ("snippet", "varchar", 250, False),
    ("offset", "varchar", 50, False),
    ("lexical_variant", "varchar", 250, True),
    ("note_nlp_concept_id", "integer", None, False),
    ("note_nlp_source_concept_id", "integer", None, False),
    ("nlp_system", "varchar", 250, False),
    ("nlp_date", "date", None, True),
    ("nlp_datetime", "datetime", None, False),
    ("term_exists", "varchar", 1, False),
    ("term_temporal", "varchar", 50, False),
    ("term_modifiers", "varchar", 2000, False),
)
KINDS: dict[str, Callable[[pa.DataType], bool]] = {
    "integer": pa.types.is_integer,
    "varchar": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "date": pa.types.is_date,
    "datetime": pa.types.is_timestamp,
}


class Fault(NamedTuple):
    """What is wrong with a table: the `note_nlp_id` (None where it is a whole column), the column,
    and what it must be. Never any words of a note."""

    note_nlp_id: int | None
    column: str
    message: str


def check_note_nlp(table: pa.Table) -> list[Fault]:
    """Check a table against the specification of NOTE_NLP.

    Columns, types, lengths and what is required; ids that are there twice; that `term_exists`
    follows from `term_modifiers` as the specification says: N for negation, for another subject
    than the patient, for what is conditional; Y for the rest, where only what is possible may be
    either.

    table (pyarrow.Table): The table.
    RETURNS (list[Fault]): What is wrong; empty where nothing is.
    """
    faults = list(_columns(table.schema))
    if faults:
        return faults
    seen: set[int] = set()
    for batch in table.to_batches():
        for row in batch.to_pylist():
            faults += [Fault(row["note_nlp_id"], *fault) for fault in _row(row)]
            if row["note_nlp_id"] in seen:
                faults.append(Fault(row["note_nlp_id"], "note_nlp_id", "is there twice"))
            seen.add(row["note_nlp_id"])
    return faults


def _columns(schema: pa.Schema) -> Iterator[Fault]:
    known = [name for name, *_ in COLUMNS]
    for name in schema.names:
        if name not in known:
            yield Fault(None, name, "is no column of NOTE_NLP")
    for name, kind, _, _ in COLUMNS:
        if name not in schema.names:
            yield Fault(None, name, "is missing")
        elif not KINDS[kind](schema.field(name).type):
            yield Fault(None, name, f"must be {kind}, is {schema.field(name).type}")


def _row(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, kind, length, required in COLUMNS:
        value = row[name]
        if value is None and required:
            yield name, "is required"
        elif kind == "varchar" and value is not None and len(value) > (length or 0):
            yield name, f"has {len(value)} characters, at most {length}"
        elif kind == "varchar" and value is not None and "\0" in value:
            yield name, "has a NUL, which databases refuse"
    if row["lexical_variant"] == "":
        yield "lexical_variant", "is empty"
    elif row["snippet"] is not None and (row["lexical_variant"] or "") not in row["snippet"]:
        yield "snippet", "does not have the term in it"
    if not (row["offset"] or "0").isdigit():
        yield "offset", "is no number of characters"
    if isinstance(row["nlp_datetime"], datetime) and isinstance(row["nlp_date"], date):
        same = row["nlp_datetime"].date() == row["nlp_date"]
        if not same:
            yield "nlp_date", "is another day than nlp_datetime"
    if row["term_temporal"] not in (None, "past", "present"):
        yield "term_temporal", "must be past or present"
    yield from _exists(row["term_exists"], row["term_modifiers"])


def _exists(exists: str | None, modifiers: str | None) -> Iterator[tuple[str, str]]:
    if exists not in (None, "Y", "N"):
        yield "term_exists", "must be Y or N"
        return
    pairs = [pair.partition("=") for pair in modifiers.split(",")] if modifiers else []
    if not all(name and sign and value for name, sign, value in pairs):
        yield "term_modifiers", "must be name=value, separated by commas"
        return
    said: dict[str, str] = {}
    for name, _, value in pairs:
        said.setdefault(name, value)
    absent = (
        said.get("negated", "no") != "no"
        or said.get("subject", "patient") != "patient"
        or said.get("conditional", "false") != "false"
    )
    if exists == "Y" and absent:
        yield "term_exists", "is Y of what is negated, conditional or another person's"
    if exists == "N" and not absent and said.get("certainty") != "possible":
        yield "term_exists", "is N though no modifier says so"
