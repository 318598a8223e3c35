"""What tables are made of findings: a line for each format."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from spacy_clinner.annotation.spans import ENTS
from spacy_clinner.tables.omop import fault_of_id
from spacy_clinner.tables.schemas import Tables
from spacy_clinner.tables.standards import bundle_tables, note_nlp_tables


@dataclass(frozen=True)
class Format:
    """A format.

    make (Callable): Gets the findings of a piece, the texts of its notes in their order (None
        where a note has none), and the options that the command has for the format; gives tables by
        name, the same names for every piece. Runs in the process that found them.
    files (str | None): The only kind of files that it can be written to; None for any.
    layers (tuple[str, ...] | None): The layers to take where the user names none; None for all.
    fault_of_id (Callable[[str], str | None]): What is said of an id, a note of which cannot
        be written.
    """

    make: Callable[[Tables, Sequence[str | None], Mapping[str, Any]], Mapping[str, pa.Table]]
    files: str | None = None
    layers: tuple[str, ...] | None = None
    fault_of_id: Callable[[str], str | None] = lambda note_id: None  # noqa: ARG005


FORMATS: dict[str, Format] = {
    "tables": Format(lambda found, texts, options: found._asdict()),  # noqa: ARG005
    # Each finds a term once, though several layers do.
    "omop": Format(note_nlp_tables, layers=(ENTS,), fault_of_id=fault_of_id),
    "fhir": Format(bundle_tables, "lines", (ENTS,)),
}
