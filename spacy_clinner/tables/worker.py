"""What is done with a piece, in whatever process and by whatever engine."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from spacy.language import Language

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.annotate import annotate, as_strings, texts_of
from spacy_clinner.tables.conditions import Condition, rows_that_fit
from spacy_clinner.tables.pieces import Piece
from spacy_clinner.tables.pipelines import load
from spacy_clinner.tables.schemas import Tables
from spacy_clinner.tables.sinks.sink import Entry
from spacy_clinner.tables.table_formats import FORMATS


@dataclass(frozen=True)
class Job:
    """What is asked of every piece.

    model (str): An installed pipeline, or its folder.
    id (str), text (str): The columns of ids and texts.
    layers, threshold, only, no_text, processed_at: As `annotate` takes them.
    conditions (tuple[Condition, ...]): Which entities are kept.
    format (str): A key of `FORMATS`.
    options (Mapping[str, Any]): What the format takes; JSON values.
    gpu_id (int): The GPU; -1 for the CPU.
    """

    model: str
    id: str = "note_id"
    text: str = "text"
    layers: tuple[str, ...] | None = None
    threshold: float | None = None
    only: tuple[str, ...] | None = None
    no_text: bool = False
    conditions: tuple[Condition, ...] = ()
    format: str = "tables"
    options: Mapping[str, Any] = field(default_factory=dict)
    gpu_id: int = -1
    processed_at: datetime | None = None


@dataclass(frozen=True)
class Result:
    """A piece that is annotated.

    entry (dict[str, Any]): Its entry in the ledger: number, rows of the source up to its end,
        digest, and how many notes, entities and words it has.
    tables (Mapping[str, pa.Table]): What is written, by name.
    """

    entry: Entry
    tables: Mapping[str, pa.Table]


class Worker:
    """A loaded pipeline that annotates pieces.

    job (Job): What is asked.
    threads (int): Threads of what computes the encoder; 0 for one on each core.
    """

    def __init__(self, job: Job, threads: int = 0) -> None:
        self.job = job
        self.nlp: Language = load(job.model, threads, job.gpu_id)

    def __call__(self, piece: Piece) -> Result:
        """Annotate a piece.

        piece (Piece): The notes.
        RETURNS (Result): What was found in them.
        """
        job = self.job
        faults = faults_of(piece, job)
        # New words of the vocabulary live as long as the zone.
        with self.nlp.memory_zone():
            found = annotate(
                piece.notes, self.nlp, id=job.id, text=job.text, layers=job.layers,
                threshold=job.threshold, only=job.only, no_text=job.no_text,
                processed_at=job.processed_at, faults=faults,
            )  # fmt: skip
        found = keep_entities(found, job.conditions)
        texts = texts_of(piece.notes.column(job.text))
        return Result(
            {
                "piece": piece.number,
                "rows": piece.rows_read,
                "sha256": piece.digest,
                "notes": counts(found.notes["status"]),
                "entities": counts(
                    pc.binary_join_element_wise(
                        found.entities["layer"], found.entities["label"], "/"
                    )
                ),
                "words": sum(len(text.split()) for text in texts if text is not None),
            },
            FORMATS[job.format].make(found, texts, job.options),
        )


def faults_of(piece: Piece, job: Job) -> list[str | None]:
    """Why notes cannot be read, or not be written in the format.

    piece (Piece), job (Job): The notes, and what is asked.
    RETURNS (list[str | None]): By note.
    RAISES (ClinnerError): It is the first piece, and none of its ids can be written.
    """
    ids = as_strings(piece.notes.column(job.id)).to_pylist()
    said = {name: FORMATS[job.format].fault_of_id(name) for name in ids}
    usable = [name for name, fault in zip(ids, piece.faults, strict=True) if fault is None]
    if piece.number == 0 and usable and all(said[name] for name in usable):
        raise ClinnerError(
            f"--format {job.format}: the note id {usable[0]!r} {said[usable[0]]}, nor is any other "
            f"of the first {len(ids)} notes. Choose the column that has such ids by --id."
        )
    of_ids = (said[name] and f"the id {said[name]}" for name in ids)
    return [fault or told for fault, told in zip(piece.faults, of_ids, strict=True)]


def keep_entities(found: Tables, conditions: tuple[Condition, ...]) -> Tables:
    """Leave out entities, and what is linked to them.

    found (Tables): What was found.
    conditions (tuple[Condition, ...]): What entities must be.
    RETURNS (Tables): The rest, counted anew.
    """
    if not conditions:
        return found
    entities = rows_that_fit(found.entities, conditions)
    # By note and entity; ids of notes may be any strings.
    keys = zip(entities["note_id"].to_pylist(), entities["entity_id"].to_pylist(), strict=True)
    kept = set(keys)
    pairs = zip(
        found.links["note_id"].to_pylist(), found.links["entity_id"].to_pylist(), strict=True
    )
    links = found.links.filter(pa.array([pair in kept for pair in pairs], pa.bool_()))
    by_note = Counter(entities["note_id"].to_pylist())
    rows = zip(found.notes["note_id"].to_pylist(), found.notes["status"].to_pylist(), strict=True)
    numbers = [by_note[note] if status == "ok" else 0 for note, status in rows]
    at = found.notes.schema.get_field_index("n_entities")
    field = found.notes.schema.field(at)
    notes = found.notes.set_column(at, field, pa.array(numbers, field.type))
    return Tables(entities, links, notes)


def counts(values: pa.ChunkedArray) -> dict[str, int]:
    """How often each value is there, in the order of the alphabet."""
    return dict(sorted(Counter(values.to_pylist()).items()))
