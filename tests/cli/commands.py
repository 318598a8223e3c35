"""Run commands in this process, as a shell would."""

import io
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess

import pytest

from spacy_clinner.cli import main


def clinner(folder, *arguments):
    """`clinner ARGUMENTS` in a folder."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(folder)
        patch.setenv("COLUMNS", "200")
        patch.setattr(sys, "argv", ["clinner", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as done:
            code = done.code or 0
        except Exception:
            # What a shell shows of a bug.
            traceback.print_exc(file=err)
            code = 1
    return CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def refused(done, *says):
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    message = " ".join(done.stderr.split())
    for part in says:
        assert part in message
    return True
