"""Findings as the table NOTE_NLP of the OMOP Common Data Model 5.4."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Literal

import pyarrow as pa

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.concepts import Codes, find
from spacy_clinner.tables.judgement import Judgement, judge
from spacy_clinner.tables.numbering import COUNTS

CDM_VERSION = "5.4"
LARGEST_ID = 2**63 - 1
NO_ID = "is no whole number of 64 bits, as NOTE has them"
SNIPPET, VARIANT, SYSTEM, MODIFIERS = 250, 250, 250, 2000
# What these say is in the pairs that every term has.
JUDGED = ("NEGATION", "UNCERTAIN", "SUBJECT", "CONDITION")
NAMES = {"LABVALUE": "value"}


def _varchar(name: str, length: int, *, required: bool = False) -> pa.Field:
    return pa.field(name, pa.string(), not required, {"max_length": str(length)})


# Ids are as wide as those of the user's tables, which the DDL's own 32 bits are too few for at
# some sites.
NOTE_NLP = pa.schema(
    [
        pa.field("note_nlp_id", pa.int64(), nullable=False, metadata={COUNTS: b"yes"}),
        pa.field("note_id", pa.int64(), nullable=False),
        pa.field("section_concept_id", pa.int32()),
        _varchar("snippet", SNIPPET),
        _varchar("offset", 50),
        _varchar("lexical_variant", VARIANT, required=True),
        pa.field("note_nlp_concept_id", pa.int32()),
        pa.field("note_nlp_source_concept_id", pa.int32()),
        _varchar("nlp_system", SYSTEM),
        pa.field("nlp_date", pa.date32(), nullable=False),
        pa.field("nlp_datetime", pa.timestamp("us")),
        _varchar("term_exists", 1),
        _varchar("term_temporal", 50),
        _varchar("term_modifiers", MODIFIERS),
    ],
    metadata={"cdm_version": CDM_VERSION, "table": "note_nlp"},
)


def note_nlp(
    entities: pa.Table,
    links: pa.Table,
    texts: Mapping[str, str] | None = None,
    *,
    codes: Codes | None = None,
    sections: Mapping[str, int] | None = None,
    possible: Literal["Y", "N"] = "Y",
    first_id: int = 1,
) -> pa.Table:
    """Make the table NOTE_NLP of findings.

    entities (pyarrow.Table), links (pyarrow.Table): As `annotate` gives them. The ids of notes
        must be whole numbers, as NOTE has them.
    texts (Mapping[str, str] | None): The notes' texts by id, of which snippets are cut; without
        them, snippets are NULL.
    codes (Codes | None): Concepts of terms, as `read_codes` gives them; others are 0.
    sections (Mapping[str, int] | None): Concepts of sections; others are 0.
    possible (str): `term_exists` of what is only possible, "Y" or "N". The CDM leaves it open.
    first_id (int): The `note_nlp_id` of the first row; those that follow count up from it.
    RETURNS (pyarrow.Table): The table, with the schema `NOTE_NLP`. Dates and times are UTC.
    RAISES (ClinnerError): An id of a note is no whole number, or the words of entities or the time
        were left out.
    """
    modifiers = _modifiers(links)
    rows = [
        {
            "note_nlp_id": first_id + at,
            "note_id": _note_id(entity["note_id"]),
            "section_concept_id": (sections or {}).get(entity["section"], 0),
            "snippet": _snippet(texts, entity),
            "offset": str(entity["start"]),
            **_coded(entity, codes or {}),
            "nlp_system": _system(entity),
            **_dated(entity["processed_at"]),
            **_judged(entity, modifiers[entity["note_id"], entity["entity_id"]], possible),
        }
        for at, entity in enumerate(entities.to_pylist())
    ]
    return pa.Table.from_pylist(rows, schema=NOTE_NLP)


def term_exists(judgement: Judgement, possible: Literal["Y", "N"] = "Y") -> str | None:
    """Whether the patient has or had what a term means.

    judgement (Judgement): What is judged of the term.
    possible (str): The value for what is only possible.
    RETURNS (str | None): "Y" or "N"; None where nothing was judged, which is not the same as a
        term that was judged and has no modifiers.
    """
    if judgement.negated or judgement.conditional or not judgement.of_patient:
        return "N"
    if not judgement.judged:
        return None
    return possible if judgement.uncertain else "Y"


def snippet(text: str, start: int, end: int, length: int = SNIPPET) -> str:
    """Cut a window around a term out of a text.

    text (str): The text.
    start, end (int): Where the term is, in characters.
    length (int): How many characters the window has at most.
    RETURNS (str): The window: whole words around the term, or the beginning of a term that is too
        long itself.
    """
    spare = length - (end - start)
    if spare <= 0:
        return text[start : start + length]
    low = max(0, min(start - spare // 2, len(text) - length))
    high = min(len(text), low + length)
    if low > 0 and not text[low - 1].isspace():
        low = next((at for at in range(low, start) if text[at].isspace()), start)
    if high < len(text) and not text[high].isspace():
        high = next((at for at in range(high, end, -1) if text[at - 1].isspace()), end)
    left, right = text[low:start].lstrip(), text[end:high].rstrip()
    return left + text[start:end] + right


def join_pairs(pairs: Sequence[tuple[str, str]], length: int = MODIFIERS) -> str | None:
    """Write modifiers as `name=value,name=value`, cut between pairs where they are too many.

    pairs (Sequence[tuple[str, str]]): Names and values. A comma in a value becomes a semicolon.
    length (int): How many characters there may be.
    RETURNS (str | None): The pairs; None where there are none.
    """
    joined = ""
    for name, value in pairs:
        pair = f"{name}={' '.join(_storable(value).replace(',', ';').split())}"
        longer = f"{joined},{pair}" if joined else pair
        if len(longer) > length:
            break
        joined = longer
    return joined or None


def _modifiers(links: pa.Table) -> dict[tuple[str, str], list[tuple[str, str]]]:
    found = defaultdict(list)
    for link in sorted(links.to_pylist(), key=lambda link: (link["start"], link["end"])):
        if link["label"] not in JUDGED and link["text"] is not None:
            name = NAMES.get(link["label"], link["label"].lower())
            found[link["note_id"], link["entity_id"]].append((name, link["text"]))
    return found


def _judged(
    entity: Mapping[str, Any], modifiers: list[tuple[str, str]], possible: Literal["Y", "N"]
) -> dict[str, str | None]:
    judgement = judge(entity)
    said = [
        ("negated", _word(judgement.negated, "yes", "no")),
        ("subject", judgement.subject),
        ("certainty", _word(judgement.uncertain, "possible", "certain")),
        ("conditional", _word(judgement.conditional, "true", "false")),
    ]
    pairs = [(name, value) for name, value in said if value is not None]
    return {
        "term_exists": term_exists(judgement, possible),
        "term_temporal": _word(judgement.historical, "past", "present"),
        "term_modifiers": join_pairs([*pairs, *modifiers]),
    }


def _word(value: bool | None, if_true: str, if_false: str) -> str | None:
    return None if value is None else if_true if value else if_false


def _coded(entity: Mapping[str, Any], codes: Codes) -> dict[str, Any]:
    text = entity["text"]
    if text is None:
        raise ClinnerError(
            "NOTE_NLP must have the words of each term (lexical_variant): annotate with them, "
            "without --no-text."
        )
    concept = find(codes, entity["label"], text)
    return {
        "lexical_variant": _storable(text)[:VARIANT],
        "note_nlp_concept_id": concept.concept_id,
        "note_nlp_source_concept_id": concept.source_concept_id,
    }


def _system(entity: Mapping[str, Any]) -> str | None:
    return entity["model"] and f"{entity['model']} {entity['model_version']}"[:SYSTEM]


def _dated(processed_at: Any) -> dict[str, Any]:
    if processed_at is None:
        raise ClinnerError(
            "NOTE_NLP must have the day of each term (nlp_date), and `processed_at` is null. Take "
            "entities as `annotate` gives them, or fill in this column."
        )
    if processed_at.tzinfo is not None:
        processed_at = processed_at.astimezone(UTC).replace(tzinfo=None)
    return {"nlp_date": processed_at.date(), "nlp_datetime": processed_at}


def fault_of_id(note_id: str) -> str | None:
    """Why a note cannot be one of NOTE.

    note_id (str): Its id.
    RETURNS (str | None): What is said of the id; None where it is a whole number of 64 bits.
    """
    # Python refuses to read a number of thousands of digits.
    digits = note_id.isascii() and note_id.isdigit() and len(note_id) <= len(str(LARGEST_ID))
    return None if digits and int(note_id) <= LARGEST_ID else NO_ID


def _note_id(note_id: str) -> int:
    if fault_of_id(note_id) is not None:
        raise ClinnerError(
            f"NOTE_NLP: the note id {note_id!r} is no whole number, or none of 64 bits. Choose the "
            "column that has the note_id of NOTE by --id."
        )
    return int(note_id)


def _snippet(texts: Mapping[str, str] | None, entity: Mapping[str, Any]) -> str | None:
    text = None if texts is None else texts.get(entity["note_id"])
    return None if text is None else _storable(snippet(text, entity["start"], entity["end"]))


def _storable(text: str) -> str:
    """A text without NUL, which databases refuse; offsets stay."""
    return text.replace("\0", "\ufffd")
