"""Codes of terms and concepts of sections, from tables that the user gives."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spacy_clinner.errors import ClinnerError

# Concepts have 32 bits in the CDM.
LARGEST = 2**31 - 1
# By label and term as `_normal` writes it; an empty label stands for all.
Codes = dict[tuple[str, str], "Concept"]


@dataclass(frozen=True, slots=True)
class Concept:
    """What a term is in vocabularies.

    concept_id, source_concept_id (int): Of OMOP's vocabulary; 0 where there is none.
    system, code, display (str): For FHIR; empty where there is none.
    """

    concept_id: int = 0
    source_concept_id: int = 0
    system: str = ""
    code: str = ""
    display: str = ""


def read_codes(path: Path) -> Codes:
    """Read a table of codes.

    path (Path): A CSV file with the column `text`, and any of `label`, `concept_id`,
        `source_concept_id`, `system`, `code` and `display`. Case of both and spaces of
        a text do not matter; a row without a label holds for all that have none of their own.
    RETURNS (Codes): What `find` looks into.
    RAISES (ClinnerError): The file is no such table; names the line.
    """
    codes: Codes = {}
    for line, row in _rows(path, ("text",)):
        codes[row.get("label", "").casefold(), _normal(row["text"])] = Concept(
            _number(row, "concept_id", path, line),
            _number(row, "source_concept_id", path, line),
            *(row.get(name, "") for name in ("system", "code", "display")),
        )
    return codes


def find(codes: Codes, label: str, text: str | None) -> Concept:
    """The concept of a term.

    codes (Codes): As `read_codes` gives them.
    label (str): The label of the entity.
    text (str | None): Its text.
    RETURNS (Concept): One without codes where the table has none.
    """
    term = _normal(text or "")
    return codes.get((label.casefold(), term)) or codes.get(("", term)) or Concept()


def read_sections(path: Path) -> dict[str, int]:
    """Read the concepts of sections.

    path (Path): A CSV file with the columns `section`, a title as `Span._.section` has it, and
        `concept_id`.
    RETURNS (dict[str, int]): Concepts by title.
    RAISES (ClinnerError): The file is no such table; names the line.
    """
    return {
        row["section"]: _number(row, "concept_id", path, line)
        for line, row in _rows(path, ("section", "concept_id"))
    }


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise ClinnerError(f"{path}: no column {', '.join(missing)} in line 1.")
            for row in reader:
                row.pop(None, None)
                yield reader.line_num, {name: value.strip() for name, value in row.items()}
    except (UnicodeDecodeError, csv.Error) as error:
        raise ClinnerError(f"{path}: no CSV file in UTF-8 ({error}).") from None


def _number(row: dict[str, str], name: str, path: Path, line: int) -> int:
    value = row.get(name) or "0"
    if not (value.isascii() and value.isdigit()):
        raise ClinnerError(f"{path}, line {line}: {name} must be a whole number; got {value!r}.")
    if len(value) > len(str(LARGEST)) or int(value) > LARGEST:
        raise ClinnerError(f"{path}, line {line}: {name} must be {LARGEST} at most; got {value!r}.")
    return int(value)


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())
