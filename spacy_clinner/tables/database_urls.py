"""URLs of databases, without what opens them, which only those need that have one."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from spacy_clinner.errors import ClinnerError

PASSWORD = re.compile(r"(?<=://)([^:/@]*):[^@]*@")
# Drivers take it as an option, too.
PASSWORD_OPTION = re.compile(r"(?i)(?<=[?&])(\w*(?:password|passwd|pwd|token))=[^&]*")
# What is a file on this machine, whose options do not choose among notes.
IN_FILES = ("sqlite", "duckdb")
NO_FILE = (":memory:", "file:", "md:", "motherduck:")


def is_database(location: str) -> bool:
    """Whether a location is the URL of a database."""
    return "://" in location


def without_password(location: str) -> str:
    """A location as it may be shown."""
    return PASSWORD_OPTION.sub(r"\1=***", PASSWORD.sub(r"\1@", location))


def source_key(location: str, options: Mapping[str, Any]) -> str:
    """What tells the notes of one run in a database from those of another, however their place is
    written.

    location (str): A file, folder or glob, or the URL of a database.
    options (Mapping[str, Any]): `query` or `table`.
    RETURNS (str): SHA-256, hexadecimal. A password is no part of it.
    """
    place = _same_url(location) if is_database(location) else os.path.realpath(location)
    parts = (place, *(str(v).strip().rstrip(";") for _, v in sorted(options.items())))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _same_url(location: str) -> str:
    """The URL without its driver and password; of a file, the whole path and no options."""
    from sqlalchemy.engine import URL, make_url

    url = make_url(without_password(location))
    backend, name = url.get_backend_name(), url.database
    query: Mapping[str, Any] = url.query
    if backend in IN_FILES and name and not name.startswith(NO_FILE):
        name, query = os.path.realpath(name), {}
    host = None if url.host is None else url.host.lower()
    same = URL.create(backend, url.username, None, host, url.port, name, query)
    return same.render_as_string()


@contextmanager
def needs_extra() -> Iterator[None]:
    """What is imported may not be installed.

    RAISES (ClinnerError): It is not.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ClinnerError(
            f"Databases need {error.name}, which is not installed. "
            f"It comes with the extra: pip install 'spacy-clinner[databases]'."
        ) from None
