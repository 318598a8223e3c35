"""Where tables go: a module for each kind of sink, and here a line."""

from collections.abc import Callable

from spacy_clinner.tables.sinks.folder import open_folder
from spacy_clinner.tables.sinks.sink import Sink

# By kind: whether a location is of it, and what opens it with the kind of files that is asked for.
# The first that fits is taken.
KINDS: dict[str, tuple[Callable[[str], bool], Callable[[str, str], Sink]]] = {
    "folder": (lambda location: True, open_folder),  # noqa: ARG005
}


def open_sink(location: str, files: str) -> Sink:
    """Open what tables are written to.

    location (str): A folder.
    files (str): The kind of files in it.
    RETURNS (Sink): The sink.
    RAISES (ClinnerError): It cannot be written to.
    """
    return next(make for fits, make in KINDS.values() if fits(location))(location, files)
