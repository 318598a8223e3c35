"""What a database's error says, without what it may quote of a note."""

from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

# Those that say what is wrong with a query, a file or a server. All others may quote values, by a
# function of SQL that fails at one.
OF_DUCKDB = (
    "CatalogException", "ParserException", "BinderException", "IOException", "ConnectionException",
    "PermissionException", "OutOfMemoryException", "DependencyException",
)  # fmt: skip
# Connections, rights, names and syntax, memory and disk: the first two signs of an SQLSTATE.
OF_POSTGRESQL = ("08", "25", "28", "3D", "3F", "42", "53", "55", "57", "58")
OF_SQLITE = (
    "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CORRUPT",
    "SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_NOTADB", "SQLITE_CONSTRAINT_UNIQUE",
    "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_NOTNULL",
)  # fmt: skip
# Of `SQLITE_ERROR`, which is of everything else, too.
BEGIN_OF_SQLITE = ("no such ", "near ", "table ", "incomplete input", "unrecognized token")


def reason(error: SQLAlchemyError) -> str:
    """Why a database refuses.

    error (SQLAlchemyError): What was raised.
    RETURNS (str): The kind of error, and its first line or its code: more may quote a note.
    """
    cause: Any = error.orig if isinstance(error, StatementError) and error.orig else error
    kind = type(cause).__name__
    first = str(cause).strip().split("\n")[0]
    if isinstance(error, DBAPIError) and not _quotes_nothing(cause, first):
        return f"{kind} {_code(cause) or ''}".rstrip()
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return kind
    return f"{kind}: {first}".rstrip(". :")


def _quotes_nothing(cause: Any, first: str) -> bool:
    library, kind = type(cause).__module__.partition(".")[0].lstrip("_"), type(cause).__name__
    if library == "duckdb":
        return kind in OF_DUCKDB
    if library == "sqlite3":
        code = getattr(cause, "sqlite_errorname", None) or ""
        return code.startswith(OF_SQLITE) or first.startswith(BEGIN_OF_SQLITE)
    if library == "psycopg":
        state = cause.sqlstate
        # A server that is not there gives none.
        return kind == "OperationalError" if state is None else state.startswith(OF_POSTGRESQL)
    return False


def _code(cause: Any) -> Any:
    number = next((a for a in cause.args if isinstance(a, int)), None)
    names = (getattr(cause, name, None) for name in ("sqlstate", "sqlite_errorname"))
    return next(filter(None, names), number)
