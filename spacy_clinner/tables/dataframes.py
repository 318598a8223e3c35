"""Data frames of other libraries in and out, by Arrow."""

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import pyarrow as pa
from spacy.language import Language
from spacy.tokens import Doc

from spacy_clinner import schemes
from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.annotate import (
    as_table,
    check_layers,
    model_and_version,
    names_of,
    select,
)
from spacy_clinner.tables.findings import Selection, find
from spacy_clinner.tables.schemas import ENTITIES
from spacy_clinner.tables.sources.opening import storable

LIBRARIES = ("pandas", "polars", "arrow")


def to_dataframe(
    docs: Iterable[Doc],
    *,
    ids: Sequence[str] | None = None,
    layers: Iterable[str] | None = None,
    library: str = "pandas",
    nlp: Language | None = None,
) -> Any:
    """The entities of documents as a data frame with the columns of `entities`.

    docs (Iterable[Doc]): Processed documents.
    ids (Sequence[str] | None): Their ids; None numbers them from 0.
    layers (Iterable[str] | None): The layers to take; None for all that hold entities, and
        `doc.ents` where they stand in none.
    library (str): "pandas", "polars" or "arrow" (a `pyarrow.Table`).
    nlp (Language | None): The pipeline, for schemes of its own and its name and version, which are
        null without it, as is the time.
    RETURNS (DataFrame | pa.Table): A row for each entity.
    RAISES (ClinnerError): The library is unknown or not installed, or there are too few ids.
    """
    make = _maker(library)
    no_entities = frozenset(name for name in schemes.names() if not schemes.load(name).entities)
    chosen = names_of("layers", layers)
    if nlp is not None:
        check_layers(nlp, chosen)
    selection = Selection(chosen, no_entities) if nlp is None else select(nlp, chosen)
    stamp: tuple[Any, ...] = (None, None, None)
    if nlp is not None:
        stamp = (*model_and_version(nlp), None)
    rows = []
    for number, doc in enumerate(docs):
        if ids is not None and number >= len(ids):
            raise ClinnerError(f"There are more documents than ids, of which {len(ids)} are given.")
        note = str(number if ids is None else ids[number])
        rows += [(note, *row, *stamp) for row in find(doc, selection)[0]]
    return make(as_table(rows, ENTITIES))


def from_dataframe(frame: Any, *, text: str = "text", id: str | None = None) -> pa.RecordBatch:
    """A data frame as a batch of notes for `annotate`.

    frame (Any): A data frame of pandas, polars or any other library that speaks Arrow.
    text (str): The column of texts.
    id (str | None): The column of ids; None for `note_id`, or, where there is none, numbers from 0.
    RETURNS (pa.RecordBatch): All columns. That of texts is called `text`, that of ids `note_id`.
    RAISES (ClinnerError): The frame lacks a column, has two of one name, or speaks no Arrow.
    """
    table = _table(frame)
    if id is None and "note_id" in table.column_names:
        id = "note_id"
    wanted = {"text": text} if id is None else {"note_id": id, "text": text}
    if lacking := [name for name in wanted.values() if name not in table.column_names]:
        raise ClinnerError(
            f"The frame has no column {', '.join(lacking)}; it has {', '.join(table.column_names)}."
        )
    if id == text:
        raise ClinnerError(f"id and text both name {text!r}. Name two columns.")
    renamed = {old: new for new, old in wanted.items()}
    names = [renamed.get(name, name) for name in table.column_names]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ClinnerError(
            f"The frame would have two columns {', '.join(twice)}: ids are called note_id and "
            f"texts text. Rename or drop the other."
        )
    table = table.rename_columns(names)
    if id is None:
        table = table.add_column(0, "note_id", [pa.array(range(len(table)), pa.int64())])
    arrays = [column.combine_chunks() for column in table.columns]
    whole = [a if isinstance(a, pa.Array) else pa.concat_arrays(a.chunks) for a in arrays]
    return pa.RecordBatch.from_arrays(whole, schema=table.schema.remove_metadata())


def _table(frame: Any) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    if type(frame).__module__.partition(".")[0] == "pandas":
        return _of_pandas(frame)
    if hasattr(frame, "__arrow_c_stream__"):
        return pa.table(frame)
    raise ClinnerError(
        f"{type(frame).__name__} is no data frame that gives its columns by Arrow. "
        f"Make it one of pandas or polars, or a pyarrow.Table."
    )


def _of_pandas(frame: Any) -> pa.Table:
    names = [str(name) for name in frame.columns]
    columns = [_as_arrow(name, frame.iloc[:, at]) for at, name in enumerate(names)]
    return pa.Table.from_arrays(columns, names)


def _as_arrow(name: str, column: Any) -> pa.Array:
    try:
        try:
            return pa.array(column, from_pandas=True)
        except UnicodeEncodeError:
            told = [storable(value) if isinstance(value, str) else value for value in column]
            return pa.array(told, from_pandas=True)
    # Its message may quote a note.
    except (pa.ArrowException, OverflowError):
        raise ClinnerError(
            f"The column {name!r} has values of several types, or of one that Arrow does not have. "
            f"Make them alike, as strings."
        ) from None


def _maker(library: str) -> Any:
    if library not in LIBRARIES:
        raise ClinnerError(f"unknown library {library!r}. Known: {', '.join(LIBRARIES)}.")
    if library == "arrow":
        return lambda table: table
    try:
        module = import_module(library)
    except ImportError:
        raise ClinnerError(
            f'{library} is not installed. Install it, or ask for library="arrow".'
        ) from None
    return pa.Table.to_pandas if library == "pandas" else module.from_arrow
