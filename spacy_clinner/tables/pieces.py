"""Cut the notes of a source into pieces: what is annotated, written and taken down at once."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spacy_clinner.tables.annotate import as_strings
from spacy_clinner.tables.conditions import Condition, rows_that_fit
from spacy_clinner.tables.schemas import TYPE_IN_SOURCE
from spacy_clinner.tables.sources.source import FAULT, Request, Source

# A piece ends before these many characters, too, so that notes of a megabyte fit in memory.
CHARACTERS = 8_000_000
ROW = "clinner:row"
TWICE = "a second note with this id"
NULL_ID, EMPTY_ID = "the id is null", "the id is empty"


@dataclass(frozen=True)
class Piece:
    """Notes that are annotated together.

    number (int): From 0.
    notes (pa.RecordBatch): Ids, texts and the columns that are kept; no id is null.
    faults (list[str | None]): By note, why it cannot be read.
    digest (str): SHA-256 of all of this, hexadecimal.
    rows_read (int): Rows of the source up to its end.
    """

    number: int
    notes: pa.RecordBatch
    faults: list[str | None]
    digest: str
    rows_read: int


@dataclass(frozen=True)
class Pieces:
    """The pieces of a source; each turn reads it anew, and cuts it in the same places.

    source (Source): The notes.
    request (Request): Names their columns.
    size (int): Notes of a piece, the last one apart.
    conditions (tuple[Condition, ...]): Which notes are meant.
    keep (tuple[str, ...]): The columns that are kept; the source may have more, for conditions.
    """

    source: Source
    request: Request
    size: int
    conditions: tuple[Condition, ...] = ()
    keep: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The columns that a piece has, each once."""
        return list(dict.fromkeys((self.request.id, self.request.text, *self.keep)))

    def __iter__(self) -> Iterator[Piece]:
        """YIELDS (Piece): The pieces; one without notes where the source has none, so that its
        tables are written."""
        seen = Seen()
        for number, rows in enumerate(self._cut()):
            given = as_strings(_clean(rows.column(self.request.id))).to_pylist()
            ids, faults = self._ids(rows, given)
            for at in np.flatnonzero(seen.add(ids)).tolist():
                faults[at] = faults[at] or TWICE
            arrays = {name: _clean(rows.column(name)) for name in self.columns}
            if ids != given:
                arrays[self.request.id] = pa.array(ids, pa.string())
            # Not cleaned: bytes that are no UTF-8 are told of by note.
            arrays[self.request.text] = rows.column(self.request.text)
            schema = pa.schema([(name, array.type) for name, array in arrays.items()])
            at, id_type = schema.get_field_index(self.request.id), self._type_of_ids()
            schema = schema.set(at, schema.field(at).with_metadata({TYPE_IN_SOURCE: id_type}))
            notes = pa.RecordBatch.from_arrays(list(arrays.values()), schema=schema)
            read = rows.column(ROW)[-1].as_py() + 1 if len(rows) else 0
            yield Piece(number, notes, faults, _digest(notes, faults), read)

    def _type_of_ids(self) -> str:
        return str(self.source.schema.field(self.request.id).type)

    def _cut(self) -> Iterator[pa.RecordBatch]:
        cut = self._full()
        yield next(cut, self._no_rows())
        yield from cut

    def _full(self) -> Iterator[pa.RecordBatch]:
        waiting = _Waiting()
        for rows in self._rows():
            begin = 0
            for at, length in enumerate(_lengths(rows.column(self.request.text))):
                if waiting.notes == self.size or waiting.characters + length > CHARACTERS:
                    waiting.rows.append(rows[begin:at])
                    begin = at
                    yield from waiting.give()
                waiting.notes += 1
                waiting.characters += length
            waiting.rows.append(rows[begin:])
        yield from waiting.give()

    def _rows(self) -> Iterator[pa.RecordBatch]:
        done = 0
        for batch in self.source.batches():
            numbers = pa.array(range(done, done + len(batch)), pa.int64())
            done += len(batch)
            yield rows_that_fit(batch.append_column(ROW, numbers), self.conditions, FAULT)

    def _no_rows(self) -> pa.RecordBatch:
        schema = self.source.schema.append(pa.field(ROW, pa.int64()))
        return pa.RecordBatch.from_pylist([], schema)

    def _ids(
        self, rows: pa.RecordBatch, given: Sequence[str | None]
    ) -> tuple[list[str], list[str | None]]:
        """Ids, one made up where there is none; and what the source found wrong."""
        names = rows.schema.names
        faults = rows.column(FAULT).to_pylist() if FAULT in names else [None] * len(rows)
        ids = []
        for at, (found, row) in enumerate(zip(given, rows.column(ROW).to_pylist(), strict=True)):
            ids.append(found or f"(row {row + 1})")
            if not found:
                faults[at] = faults[at] or (NULL_ID if found is None else EMPTY_ID)
        return ids, faults


@dataclass
class _Waiting:
    rows: list[pa.RecordBatch] = field(default_factory=list)
    notes: int = 0
    characters: int = 0

    def give(self) -> Iterator[pa.RecordBatch]:
        if self.notes:
            yield pa.concat_batches(self.rows)
        self.rows, self.notes, self.characters = [], 0, 0


@dataclass
class Seen:
    """The ids that went by, at 16 bytes each: sorted runs, of which no two have a like length."""

    runs: list[NDArray[np.bytes_]] = field(default_factory=list)

    def add(self, ids: Sequence[str]) -> NDArray[np.bool_]:
        """Take ids down.

        ids (Sequence[str]): Some more.
        RETURNS (NDArray[bool]): By id, whether it went by before, among these or earlier ones.
        """
        keys = np.array([hashlib.blake2b(i.encode(), digest_size=16).digest() for i in ids], "S16")
        new, first = np.unique(keys, return_index=True)
        twice = np.ones(len(keys), dtype=bool)
        twice[first] = False
        for run in self.runs:
            twice |= _are_in(run, keys)
            new = new[~_are_in(run, new)]
        if len(new):
            self.runs.append(new)
        while len(self.runs) > 1 and 2 * len(self.runs[-1]) > len(self.runs[-2]):
            self.runs[-2:] = [np.sort(np.concatenate(self.runs[-2:]))]
        return twice


def _are_in(run: NDArray[np.bytes_], keys: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    at = np.minimum(np.searchsorted(run, keys), len(run) - 1)
    found: NDArray[np.bool_] = run[at] == keys
    return found


def _lengths(texts: pa.Array) -> list[int]:
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_decode()
    try:
        lengths: list[int] = pc.fill_null(pc.binary_length(texts), 0).to_pylist()
        return lengths
    except pa.ArrowException:
        return [0] * len(texts)


def _clean(column: pa.Array) -> pa.Array:
    """A column whose strings are UTF-8, which no reader of Parquet checks."""
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return column
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        data = column.cast(pa.large_binary()).to_pylist()
        told = [None if item is None else item.decode("utf8", "replace") for item in data]
        return pa.array(told, column.type)
    return column


def _digest(notes: pa.RecordBatch, faults: Sequence[str | None]) -> str:
    found = hashlib.sha256()
    for name, column in zip(notes.schema.names, notes.columns, strict=True):
        found.update(f"{name}:{column.type}\n".encode())
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = column.cast(pa.large_binary())
        elif pa.types.is_temporal(column.type) and not pa.types.is_interval(column.type):
            # Numbers, which are the same with pandas installed and without.
            column = column.view(pa.int64() if column.type.bit_width == 64 else pa.int32())
        for value in column.to_pylist():
            found.update(repr(value).encode() + b"\n")
    found.update(repr(faults).encode())
    return found.hexdigest()
