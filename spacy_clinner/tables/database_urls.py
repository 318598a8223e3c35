"""URLs of databases, without what opens them, which only those need that have one."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from spacy_clinner.errors import ClinnerError

# To the last @ before the options: one that should have been escaped is of the password.
PASSWORD = re.compile(r"(?<=://)([^:/@]*):[^?]*@")
# Drivers take it as an option, too.
PASSWORD_OPTION = re.compile(r"(?i)(?<=[?&])(\w*(?:password|passwd|pwd|token))=[^&]*")
# What is a file on this machine, whose options do not choose among notes.
IN_FILES = ("sqlite", "duckdb")
PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
SCHEMAS = {"postgresql": "public", "sqlite": "main", "duckdb": "main"}
NO_FILE = (":memory:", "file:", "md:", "motherduck:")


def is_database(location: str) -> bool:
    """Whether a location is the URL of a database."""
    return "://" in location


def is_in_memory(url: str) -> bool:
    """Whether a database is gone when it is closed."""
    kind, _, rest = url.partition("://")
    name, _, options = rest.partition("?")
    if kind.partition("+")[0] not in IN_FILES:
        return False
    name = name.removeprefix("/")
    return name in ("", "file:") or ":memory:" in name or "mode=memory" in options


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
    given = dict(options)
    if is_database(location):
        place, schema = _same_url(location)
        if schema is not None and "table" in given:
            given["table"] = str(given["table"]).removeprefix(f"{schema}.")
    else:
        place = os.path.realpath(location)
    parts = (place, *(str(v).strip().rstrip(";") for _, v in sorted(given.items())))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _same_url(location: str) -> tuple[str, str | None]:
    """The URL without its driver and password, every part in its place and defaults written; of a
    file, the whole path and no options. And the schema of tables that name none, where it is
    known."""
    from sqlalchemy.engine import URL, make_url

    url = make_url(PASSWORD_OPTION.sub(r"\1=***", location))
    backend, name = url.get_backend_name(), url.database
    query: dict[str, Any] = dict(url.query)
    schema = SCHEMAS.get(backend)
    if backend in IN_FILES:
        if name and not name.startswith(NO_FILE):
            name, query = os.path.realpath(name), {}
        return URL.create(backend, database=name, query=query).render_as_string(), schema
    # Drivers of PostgreSQL take them as options, too; of several servers, they stay there.
    user = url.username or query.pop("user", None)
    host = url.host or query.pop("host", None)
    if isinstance(host, str) and not host.startswith("/"):
        host = host.lower()
    port = url.port
    if port is None and str(query.get("port")).isdigit():
        port = int(query.pop("port"))
    port = port or PORTS.get(backend)
    name = name or query.pop("dbname", None)
    same = URL.create(backend, user, None, host and str(host), port, name, query)
    # They may choose another schema.
    return same.render_as_string(), None if "options" in query else schema


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
