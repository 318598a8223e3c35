"""`clinner annotate`: from a source to a sink, so that nothing is lost and nothing done twice."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

import spacy_clinner
from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables import pipelines
from spacy_clinner.tables.annotate import check_columns
from spacy_clinner.tables.database_urls import source_key
from spacy_clinner.tables.engines import ENGINES
from spacy_clinner.tables.engines.power import Power
from spacy_clinner.tables.numbering import numbered
from spacy_clinner.tables.pieces import Piece, Pieces
from spacy_clinner.tables.schemas import ENTITIES, LINKS, VERSION, Tables, notes_schema
from spacy_clinner.tables.sinks.sink import Entry, Sink
from spacy_clinner.tables.table_formats import FORMATS
from spacy_clinner.tables.worker import Job

FINISHED = "finished"
# Files may have been moved; whether the notes are the same, their digests tell.
NOT_COMPARED = ("settings", "processed_at", "source")


@dataclass
class Total:
    """What a run has done.

    notes (Counter[str]): By status.
    entities (Counter[str]): By layer/label.
    words (int): Between spaces.
    rows (int): Rows of the source that are done.
    """

    notes: Counter[str] = field(default_factory=Counter)
    entities: Counter[str] = field(default_factory=Counter)
    words: int = 0
    rows: int = 0

    def add(self, entry: Entry) -> None:
        """Add a piece."""
        self.notes.update(entry["notes"])
        self.entities.update(entry["entities"])
        self.words += entry["words"]
        self.rows = entry["rows"]


@dataclass(frozen=True)
class Rest:
    """The pieces that are not done; those that are, are checked on the way.

    pieces (Pieces): All pieces.
    done (tuple[str, ...]): The digests of those that are done.
    finished (bool): Whether no other may follow.
    """

    pieces: Pieces
    done: tuple[str, ...]
    finished: bool

    def __iter__(self) -> Iterator[Piece]:
        """YIELDS (Piece): The pieces that are not done.
        RAISES (ClinnerError): The notes are others than those that were done."""
        number = -1
        for number, piece in enumerate(self.pieces):
            if number >= len(self.done):
                if self.finished:
                    raise ClinnerError(_changed(number, "there are more notes than"))
                yield piece
            elif piece.digest != self.done[number]:
                raise ClinnerError(_changed(number, "the notes are others than"))
        if number + 1 < len(self.done):
            raise ClinnerError(_changed(number + 1, "there are fewer notes than"))


def run(
    pieces: Pieces, sink: Sink, job: Job, *, engine: str = "local", power: Power | None = None
) -> Iterator[Total]:
    """Annotate the notes of a source, or go on with it.

    pieces (Pieces): The notes.
    sink (Sink): Where tables go.
    job (Job): What is asked. Its `processed_at` holds only for a run that begins.
    engine (str): A key of `ENGINES`.
    power (Power | None): What the engine may use.
    YIELDS (Total): The same one after each piece, and before the first: what is done already.
    RAISES (ClinnerError): What is asked is not what the run began with, or a column of the notes
        cannot be used.
    """
    schema = pa.schema([pieces.source.schema.field(name) for name in pieces.columns])
    kept = pa.schema([schema.field(name) for name in check_columns(schema, job.id, job.text)])
    schemas = (ENTITIES, LINKS, notes_schema(kept, schema.field(job.id)))
    nothing = Tables(*(one.empty_table() for one in schemas))
    sink.check(FORMATS[job.format].make(nothing, [], job.options))
    described = pipelines.describe(job.model)
    begun = run_entry(job, described, pieces)
    begun["settings"].update(sink.settings)
    stored, entries = sink.start(begun)
    check_same(stored, begun)
    finished = bool(entries) and FINISHED in entries[-1]
    done = entries[:-1] if finished else entries
    total = Total()
    for entry in done:
        total.add(entry)
    yield total
    job = replace(job, processed_at=datetime.fromisoformat(stored["processed_at"]))
    rest = Rest(pieces, tuple(entry["sha256"] for entry in done), finished)
    power = replace(power or Power(), torch_free=described.torch_free)
    number = len(done)
    for result in ENGINES[engine](rest, job, power):
        # A table that counts has a row for each entity.
        first = total.entities.total() + 1
        sink.write(result.entry, {n: numbered(t, first) for n, t in result.tables.items()})
        number += 1
        total.add(result.entry)
        yield total
    if not finished:
        sink.write({"piece": number, FINISHED: True}, {})


def run_entry(job: Job, model: pipelines.Model, pieces: Pieces) -> Entry:
    """What the ledger says of a run, and what a run that goes on is compared with.

    job (Job), model (Model), pieces (Pieces): What is asked.
    RETURNS (dict[str, Any]): JSON values.
    """
    asked: dict[str, Any] = asdict(job)
    when = asked.pop("processed_at") or datetime.now(UTC)
    for name in ("model", "gpu_id", "conditions"):
        del asked[name]
    # Tables that the user gives may be moved, too.
    options = asked.pop("options")
    asked["options"] = {k: v["sha256"] if isinstance(v, dict) else v for k, v in options.items()}
    conditions = (*pieces.conditions, *job.conditions)
    return {
        "clinner_version": spacy_clinner.__version__,
        "schema_version": VERSION,
        "source": source_key(pieces.request.location, pieces.request.options),
        "model": model.name,
        "model_version": model.version,
        "model_sha256": model.sha256,
        "settings": {
            **{key: list(v) if isinstance(v, tuple) else v for key, v in asked.items()},
            "keep": list(pieces.keep),
            "where": [f"{c.column}{c.sign}{c.value}" for c in conditions],
            "piece": pieces.size,
        },
        "processed_at": when.isoformat(),
    }


def check_same(stored: Entry, now: Entry) -> None:
    """Check that a run may go on.

    stored (dict[str, Any]): The run of the ledger.
    now (dict[str, Any]): What is asked now.
    RAISES (ClinnerError): Something differs; the message says what.
    """
    before, after = (
        {
            **{key: value for key, value in entry.items() if key not in NOT_COMPARED},
            **{f"setting {key}": value for key, value in entry.get("settings", {}).items()},
        }
        for entry in (stored, now)
    )
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key):
            raise ClinnerError(
                f"The {key.replace('_', ' ')} was {before.get(key)!r} when this run began, and is "
                f"{after.get(key)!r} now. Give what it began with, or a new place to write."
            )


def _changed(number: int, what: str) -> str:
    return (
        f"The input has changed: in piece {number} {what} when this run did it. Give the notes "
        f"that it began with, or a new place to write."
    )
