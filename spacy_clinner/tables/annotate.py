"""The one function behind the command, its engines and the service: notes in, tables out."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from spacy.language import Language

from spacy_clinner.annotation.spans import ALL, ENTS
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.layer_roles import known_layers, modifier_groups
from spacy_clinner.tables.findings import Row, Selection, find
from spacy_clinner.tables.reading import Failure, read
from spacy_clinner.tables.schemas import (
    EMPTY,
    ENTITIES,
    FAILED,
    LINKS,
    NOTES,
    OK,
    Tables,
    notes_schema,
)

UUID_BYTES = 16
Texts = list[str | None]
Faults = list[str | None]


def annotate(
    batch: pa.RecordBatch,
    nlp: Language,
    *,
    id: str = "note_id",
    text: str = "text",
    layers: Iterable[str] | None = None,
    threshold: float | Mapping[str, float] | None = None,
    only: Iterable[str] | None = None,
    no_text: bool = False,
    processed_at: datetime | None = None,
    faults: Sequence[str | None] | None = None,
) -> Tables:
    """Annotate a batch of notes.

    A note that makes a component raise is a row `failed`, and costs no other note. Nothing of the
    pipeline is changed but its vocabulary, which grows with new words: in a long run, call this
    within `nlp.memory_zone()`.

    batch (pa.RecordBatch): The notes. Columns other than the two named are passed through.
    nlp (Language): The pipeline.
    id (str), text (str): The columns of ids (of any type but nested ones) and texts.
    layers (Iterable[str] | None): The layers to take, "ents" for `doc.ents`, "*" for every layer,
        those of modifiers, too; None for all that hold entities, and `doc.ents` where they stand in
        none.
    threshold (float | Mapping[str, float] | None): The least confidence, of all or by layer.
    only (Iterable[str] | None): The labels to take, whatever their case.
    no_text (bool): Whether to leave out the words of the notes; offsets stay.
    processed_at (datetime | None): When the run began, with its time zone; None for now.
    faults (Sequence[str | None] | None): What is wrong with each note already; such a note is not
        read, but a row `failed`.
    RETURNS (Tables): Entities, links and notes.
    RAISES (ClinnerError): The batch lacks a column, one that is passed through has a name of ours,
        the pipeline lacks a layer, or it cannot go on: a budget of `clinner_llm` is spent.
    """
    kept = check_columns(batch.schema, id, text)
    layers, only = names_of("layers", layers), names_of("only", only)
    check_layers(nlp, layers)
    texts, found_faults = texts_and_faults(batch.column(text))
    faults = [own or found for own, found in zip(faults or found_faults, found_faults, strict=True)]
    ids = _ids(batch.column(id))
    selection = select(nlp, layers, threshold, only)
    entities: list[Row] = []
    links: list[Row] = []
    counts, failures = _read_into(entities, links, nlp, ids, texts, faults, selection, no_text)
    notes = [*map(_note, ids, texts, failures, counts)]
    stamp = (*model_and_version(nlp), processed_at or datetime.now(UTC))
    notes_table = as_table(notes, NOTES)
    schema = notes_schema(pa.schema([batch.schema.field(name) for name in kept]),
                          batch.schema.field(id))  # fmt: skip
    columns = [*notes_table.columns, *(pa.chunked_array([batch.column(name)]) for name in kept)]
    return Tables(
        as_table([(*row, *stamp) for row in entities], ENTITIES),
        as_table(links, LINKS),
        pa.Table.from_arrays(columns, schema=schema),
    )


def check_columns(schema: pa.Schema, id: str, text: str) -> list[str]:
    """Check that notes can be read from a table.

    schema (pa.Schema): Its columns.
    id (str), text (str): The columns of ids and texts.
    RETURNS (list[str]): The other columns, which are passed through.
    RAISES (ClinnerError): It lacks a column, its ids cannot be strings, or one that is passed
        through has a name of ours.
    """
    for name in (id, text):
        if schema.names.count(name) != 1:
            there = "two columns" if name in schema.names else "no column"
            raise ClinnerError(
                f"The notes have {there} {name!r}; their columns are {', '.join(schema.names)}. "
                f"Name the columns of ids and texts (`id`, `text`)."
            )
    as_strings(pa.array([], schema.field(id).type))
    kept = [name for name in schema.names if name not in (id, text)]
    check_free(kept, NOTES.names)
    return kept


def check_free(kept: Sequence[str], taken: Sequence[str]) -> None:
    """Check that columns may stand in a table with others, of a database, too: whatever their case.

    kept (Sequence[str]): Columns that are passed through.
    taken (Sequence[str]): Those that are there.
    RAISES (ClinnerError): Two have one name.
    """
    ours = {name.casefold() for name in taken}
    if clash := sorted(name for name in kept if name.casefold() in ours):
        raise ClinnerError(
            f"The notes have columns {', '.join(clash)}, which is a name in the table of notes "
            f"that is made. Rename them, or do not keep them."
        )
    folded = [name.casefold() for name in kept]
    if alike := [name for name in kept if folded.count(name.casefold()) > 1]:
        raise ClinnerError(
            f"The notes have columns {', '.join(alike)}, which are one name to a database. Rename "
            f"them, or do not keep both."
        )


def names_of(argument: str, names: Iterable[str] | None) -> tuple[str, ...] | None:
    """What is given as names.

    argument (str): What they are given as.
    names (Iterable[str] | None): The names; None for all.
    RETURNS (tuple[str, ...] | None): The same.
    RAISES (ClinnerError): It is a string, each letter of which would be a name, or there is none.
    """
    if names is None:
        return None
    if isinstance(names, str):
        raise ClinnerError(f"{argument} must be a list of names, such as [{names!r}].")
    found = tuple(names)
    if not found:
        raise ClinnerError(f"{argument} names nothing. Leave it out to take all.")
    return found


def check_layers(nlp: Language, layers: Iterable[str] | None) -> None:
    """Check that a pipeline has layers.

    nlp (Language): The pipeline.
    layers (Iterable[str] | None): Their names.
    RAISES (ClinnerError): It is known to lack one.
    """
    known = known_layers(nlp)
    for layer in layers or ():
        if known is not None and layer not in (*known, ENTS, ALL):
            raise ClinnerError(
                f"The model has no layer {layer!r}; it has {', '.join((*known, ENTS))}."
            )


def as_strings(ids: pa.Array) -> pa.Array:
    """Ids as strings.

    ids (pa.Array): Of any type but nested ones; bytes are UTF-8, those that are none become U+FFFD,
        and UUIDs are written as such.
    RETURNS (pa.Array): Strings.
    RAISES (ClinnerError): They cannot be strings.
    """
    if isinstance(ids.type, pa.BaseExtensionType):
        ids = ids.storage
    kind = ids.type
    if pa.types.is_fixed_size_binary(kind) and kind.byte_width == UUID_BYTES:
        told = [None if one is None else str(UUID(bytes=one)) for one in ids.to_pylist()]
        return pa.array(told, pa.string())
    if _is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        data = ids.cast(pa.large_binary()).to_pylist()
        told = [None if one is None else one.decode("utf8", "replace") for one in data]
        return pa.array(told, pa.string())
    try:
        return pc.cast(ids, pa.string())
    except pa.ArrowException:
        raise ClinnerError(
            f"The ids are of type {ids.type}, and cannot be written as strings. Name another "
            f"column (`id`), or make it one of numbers or strings."
        ) from None


def select(
    nlp: Language,
    layers: Iterable[str] | None = None,
    threshold: float | Mapping[str, float] | None = None,
    only: Iterable[str] | None = None,
) -> Selection:
    """Which entities of a pipeline are meant; see `annotate`."""
    return Selection(
        None if layers is None else tuple(layers),
        frozenset(modifier_groups(nlp)),
        threshold or 0.0,
        None if only is None else frozenset(label.lower() for label in only),
    )


def model_and_version(nlp: Language) -> tuple[str, str]:
    """How a pipeline is called in the tables: language and name, and its version."""
    name = "_".join(filter(None, (nlp.meta["lang"], nlp.meta["name"])))
    return name, nlp.meta["version"]


def status_of(text: str | None, fault: str | None) -> tuple[str, str | None]:
    """What became of a note.

    text (str | None): The note.
    fault (str | None): Why it could not be read, or why a component failed.
    RETURNS (tuple[str, str | None]): Its `status` and `error`, as the table of notes has them.
    """
    if fault is not None:
        return FAILED, fault
    if text is None:
        return EMPTY, "the text is null"
    return (OK if text and not text.isspace() else EMPTY), None


def as_table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Rows as a table.

    rows (Sequence[Row]): The rows.
    schema (pa.Schema): The columns.
    RETURNS (pa.Table): The table.
    """
    if not rows:
        return schema.empty_table()
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _read_into(
    entities: list[Row], links: list[Row], nlp: Language, ids: list[str], texts: Texts,
    faults: Faults, selection: Selection, no_text: bool,
) -> tuple[list[int], Faults]:  # fmt: skip
    """Read the notes that have a text; the entities of each, and what is wrong with it."""
    counts = [0] * len(ids)
    failures = list(faults)
    full = [at for at, t in enumerate(texts) if t and not t.isspace() and faults[at] is None]
    for at, found in zip(full, read(nlp, [texts[at] or "" for at in full], stop=True), strict=True):
        if isinstance(found, Failure):
            failures[at] = str(found)
            continue
        rows, linked = find(found, selection, no_text)
        counts[at] = len(rows)
        entities += [(ids[at], *row) for row in rows]
        links += [(ids[at], *row) for row in linked]
    return counts, failures


def _note(id: str, text: str | None, failure: str | None, count: int) -> Row:
    length = None if text is None else len(text)
    return (id, *status_of(text, failure), length, count, _digest(text))


def _ids(column: pa.Array) -> list[str]:
    if column.null_count:
        raise ClinnerError(
            f"Of the ids {column.null_count} are null. Every note needs an id; leave these out, "
            f"or name another column (`id`)."
        )
    return as_strings(column).to_pylist()  # type: ignore[no-any-return]


def texts_of(column: pa.Array) -> Texts:
    """The texts of a column.

    column (pa.Array): Of any type.
    RETURNS (list[str | None]): None for what is null, no string or not UTF-8.
    """
    return texts_and_faults(column)[0]


def texts_and_faults(column: pa.Array) -> tuple[Texts, Faults]:
    """The texts of a column, and why some are missing.

    column (pa.Array): Of any type.
    RETURNS (tuple[list[str | None], list[str | None]]): The texts, and by note why it has none;
        nothing is said of what is null.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return texts_and_faults(column.dictionary_decode())
    if pa.types.is_null(kind):
        return [None] * len(column), [None] * len(column)
    if not _is_string(kind) and not _is_binary(kind):
        told, valid = f"the text is no string but {kind}", column.is_valid().to_pylist()
        return [None] * len(column), [told if there else None for there in valid]
    # Strings, too: what reads Parquet does not look whether they are UTF-8.
    texts: Texts = []
    faults: Faults = []
    for data in column.cast(pa.large_binary()).to_pylist():
        fault = None
        try:
            texts.append(None if data is None else data.decode("utf8"))
        except UnicodeDecodeError as error:
            texts.append(None)
            fault = f"not UTF-8 (byte 0x{data[error.start]:02x} at byte {error.start})"
        faults.append(fault)
    return texts, faults


def _digest(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def _is_string(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_binary(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))
