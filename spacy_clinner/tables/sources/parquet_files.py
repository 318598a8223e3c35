"""Notes in Parquet; columns keep their types."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet as pq

from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.tables.sources.source import ROWS_AT_ONCE, Request, check_there


def schema(paths: Sequence[Path], request: Request) -> pa.Schema:
    """The columns that are meant.

    paths (Sequence[Path]): The files.
    request (Request): Names them.
    RETURNS (pa.Schema): With their types.
    RAISES (ClinnerError): A file is no Parquet, lacks one of them, or has it of another type.
    """
    first = _schema(paths[0], request)
    for path in paths[1:]:
        if not _schema(path, request).equals(first):
            raise ClinnerError(
                f"{path}: its columns {', '.join(request.columns)} are of other types than those "
                f"of {paths[0]}. Make them alike, or read the files one by one."
            )
    return first


def _schema(path: Path, request: Request) -> pa.Schema:
    with _opened(path) as file:
        there = file.schema_arrow
    check_there(request.columns, there.names, str(path))
    return pa.schema([there.field(name).remove_metadata() for name in request.columns])


def rows(path: Path, request: Request) -> Iterator[pa.RecordBatch]:
    """The rows of a file, without reading it whole.

    path (Path): The file.
    request (Request): Names the columns.
    YIELDS (pa.RecordBatch): The columns that are meant.
    RAISES (ClinnerError): The file is cut off or spoilt.
    """
    wanted = _schema(path, request)
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
