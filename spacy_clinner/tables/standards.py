"""OMOP and FHIR as formats of the command, with the options that it has for them."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.concepts import Codes, read_codes, read_sections
from spacy_clinner.tables.fhir import bundles
from spacy_clinner.tables.omop import note_nlp
from spacy_clinner.tables.schemas import NOTES, Tables

# By format, the options that it takes.
OPTIONS = {"omop": ("codes", "sections", "possible"), "fhir": ("codes", "patient")}
POSSIBLE = ("Y", "N")


def options_of(
    format: str,
    *,
    codes: Path | None = None,
    sections: Path | None = None,
    possible: str | None = None,
    patient: str | None = None,
    no_text: bool = False,
) -> dict[str, Any]:
    """Check the options of a format.

    format (str): A key of `FORMATS`.
    codes (Path | None), sections (Path | None): Tables that `concepts` reads.
    possible (str | None): `term_exists` of what is only possible.
    patient (str | None): The column of the ids of patients.
    no_text (bool): Whether the words of notes are left out.
    RETURNS (dict[str, Any]): What the format takes; JSON values.
    RAISES (ClinnerError): An option is of another format, has a wrong value, or cannot be read.
    """
    given = {"codes": codes, "sections": sections, "possible": possible, "patient": patient}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in OPTIONS.get(format, ()):
            allowed = " and ".join(kind for kind, names in OPTIONS.items() if name in names)
            raise ClinnerError(f"--{name} is an option of --format {allowed}.")
    if format == "omop" and no_text:
        raise ClinnerError(
            "--format omop: NOTE_NLP must have the words of each term (lexical_variant). Leave out "
            "--no-text, or write another format."
        )
    if possible is not None and possible not in POSSIBLE:
        raise ClinnerError(f"--possible {possible!r}: must be Y or N.")
    found: dict[str, Any] = dict(given)
    for name, read in (("codes", read_codes), ("sections", read_sections)):
        if name in given:
            path = Path(str(given[name]))
            read(path)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[name] = {"path": str(path.resolve()), "sha256": digest}
    return found


def note_nlp_tables(
    found: Tables, texts: Sequence[str | None], options: Mapping[str, Any]
) -> dict[str, pa.Table]:
    """NOTE_NLP of a piece; see `Format`."""
    # A second note of an id is not read.
    ids = found.notes["note_id"].to_pylist()
    by_id = {note: text for note, text in reversed([*zip(ids, texts, strict=True)]) if text}
    sections = options.get("sections")
    table = note_nlp(
        found.entities,
        found.links,
        by_id,
        codes=_codes(options),
        sections=None if sections is None else _read_sections(**sections),
        possible=options.get("possible", "Y"),
    )
    return {"note_nlp": table, "note_nlp_notes": _notes(found)}


def bundle_tables(
    found: Tables,
    texts: Sequence[str | None],  # noqa: ARG001
    options: Mapping[str, Any],
) -> dict[str, pa.Table]:
    """Bundles of a piece; see `Format`."""
    made = bundles(*found, codes=_codes(options), patient=options.get("patient"))
    return {"bundles": made, "bundles_notes": _notes(found)}


def _notes(found: Tables) -> pa.Table:
    """What became of each note, for which neither standard has a place."""
    return found.notes.select(NOTES.names)


def _codes(options: Mapping[str, Any]) -> Codes | None:
    codes = options.get("codes")
    return None if codes is None else _read_codes(**codes)


# A process reads a table once, not for every piece; one that changes is another setting.
@lru_cache(maxsize=1)
def _read_codes(path: str, sha256: str) -> Codes:  # noqa: ARG001
    return read_codes(Path(path))


@lru_cache(maxsize=1)
def _read_sections(path: str, sha256: str) -> dict[str, int]:  # noqa: ARG001
    return read_sections(Path(path))
