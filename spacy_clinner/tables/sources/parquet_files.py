"""Notes in Parquet; columns keep their types."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet as pq

from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.tables.sources.source import ROWS_AT_ONCE, Request, check_there


def schema(path: Path, request: Request) -> pa.Schema:
    """The columns that are meant.

    path (Path): The file.
    request (Request): Names them.
    RETURNS (pa.Schema): With their types.
    RAISES (ClinnerError): It is no Parquet, or lacks one of them.
    """
    with _opened(path) as file:
        there = file.schema_arrow
    check_there(request.columns, there.names, str(path))
    return pa.schema([there.field(name).remove_metadata() for name in request.columns])


def rows(path: Path, request: Request) -> Iterator[pa.RecordBatch]:
    """The rows of a file, without reading it whole.

    path (Path), request (Request): As `schema` takes them.
    YIELDS (pa.RecordBatch): The columns that are meant.
    RAISES (ClinnerError): The file is cut off or spoilt.
    """
    wanted = schema(path, request)
    with _opened(path) as file:
        try:
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=request.columns):
                columns = [batch.column(name) for name in wanted.names]
                yield pa.RecordBatch.from_arrays(columns, schema=wanted)
        except (OSError, pa.ArrowException) as error:
            raise ClinnerError(f"{path}: cannot be read ({one_line(error)}).") from None


def count(path: Path) -> int:
    """The number of rows.

    path (Path): The file.
    RETURNS (int): The number, as the file states it.
    """
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise ClinnerError(f"{path}: no Parquet file ({one_line(error)}).") from None
