"""Where notes come from: a module for each kind of source, and here a line."""

from collections.abc import Callable

from spacy_clinner.tables.database_urls import is_database, needs_extra
from spacy_clinner.tables.sources.notes_files import open_files
from spacy_clinner.tables.sources.source import Request, Source


def _open_database(request: Request) -> Source:
    with needs_extra():
        from spacy_clinner.tables.sources.notes_database import open_notes
    return open_notes(request)


# By kind: whether a location is of it, and what opens it. The first that fits is taken.
KINDS: dict[str, tuple[Callable[[str], bool], Callable[[Request], Source]]] = {
    "database": (is_database, _open_database),
    "files": (lambda location: True, open_files),  # noqa: ARG005
}


def open_source(request: Request) -> Source:
    """Open what notes are read from.

    request (Request): Where they are, and which columns are meant.
    RETURNS (Source): The source.
    RAISES (ClinnerError): There is none there, or it lacks a column.
    """
    return next(make for fits, make in KINDS.values() if fits(request.location))(request)
