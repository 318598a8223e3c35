"""Where tables go: a module for each kind of sink, and here a line."""

from collections.abc import Callable

from spacy_clinner.tables.database_urls import is_database, needs_extra
from spacy_clinner.tables.sinks.folder import open_folder
from spacy_clinner.tables.sinks.sink import Sink


def _open_database(url: str, files: str) -> Sink:  # noqa: ARG001
    with needs_extra():
        from spacy_clinner.tables.sinks.database import Database
    return Database(url)


# By kind: whether a location is of it, and what opens it with the kind of files that is asked for.
# The first that fits is taken.
KINDS: dict[str, tuple[Callable[[str], bool], Callable[[str, str], Sink]]] = {
    "database": (is_database, _open_database),
    "folder": (lambda location: True, open_folder),  # noqa: ARG005
}


def open_sink(location: str, files: str) -> Sink:
    """Open what tables are written to.

    location (str): A folder, or the URL of a database.
    files (str): The kind of files in a folder.
    RETURNS (Sink): The sink.
    RAISES (ClinnerError): It cannot be written to.
    """
    return next(make for fits, make in KINDS.values() if fits(location))(location, files)
