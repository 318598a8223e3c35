"""A note in each text file; its id is the name of the file from the folder on, without `.txt`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.sources.source import Request

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FOLDER = "folder"


def within(request: Request, folder: Path) -> Request:
    """The request with the folder that ids are told from.

    request (Request): For text files.
    folder (Path): The folder.
    RETURNS (Request): The same, with an option.
    RAISES (ClinnerError): It asks for columns that text files do not have.
    """
    if request.keep:
        raise ClinnerError(
            f"{request.location}: text files have no columns to keep "
            f"({', '.join(request.keep)}); what they have is an id and a text."
        )
    return replace(request, options={**request.options, FOLDER: folder})


def schema(paths: Sequence[Path], request: Request) -> pa.Schema:  # noqa: ARG001
    """The columns.

    paths (Sequence[Path]): The files.
    request (Request): Names the columns.
    RETURNS (pa.Schema): An id, and a text as bytes, which need not be UTF-8.
    """
    return pa.schema([(request.id, pa.string()), (request.text, pa.binary())])


def rows(path: Path, request: Request) -> Iterator[pa.RecordBatch]:
    """A file as one row.

    path (Path): The file.
    request (Request): As `within` gives it.
    YIELDS (pa.RecordBatch): The row.
    """
    name = path.relative_to(request.options[FOLDER]).as_posix()[: -len(".txt")]
    data = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    columns = [pa.array([name]), pa.array([data], pa.binary())]
    yield pa.RecordBatch.from_arrays(columns, schema=schema([path], request))


def count(path: Path) -> int:  # noqa: ARG001
    """RETURNS (int): 1."""
    return 1
