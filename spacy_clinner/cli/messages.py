"""How errors are told: one message, no traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import typer

from spacy_clinner.errors import ClinnerError


@contextmanager
def one_message(exit_code: int = 1) -> Iterator[None]:
    """An error of the user or of the disk becomes one message and an exit code."""
    try:
        yield
    except ClinnerError as error:
        _fail(str(error), exit_code)
    except OSError as error:
        # A rename names two files, of which the user knows the second.
        path = error.filename2 or error.filename
        reason = error.strerror or " ".join(str(error).split())
        _fail(f"{path}: {reason}." if path else reason, exit_code)
    # typer handles its own; spaCy's option parser raises click's.
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _fail(message: str, exit_code: int) -> None:
    typer.secho(f"✘ {message}", fg="red", err=True)
    sys.exit(exit_code)
