"""Fetch a folder of a git repository at a commit, which `spacy project assets` cannot."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError

COMMIT = re.compile("[0-9a-f]{40}")


def main(
    repository: Annotated[str, typer.Argument(help="Address of the repository")],
    commit: Annotated[str, typer.Argument(help="The commit's full hash")],
    folder: Annotated[str, typer.Argument(help="Folder inside the repository")],
    dest: Annotated[Path, typer.Argument(help="Where to put it; left alone when it is there")],
) -> None:
    """Put FOLDER of REPOSITORY at COMMIT in DEST, whole or not at all."""
    if not COMMIT.fullmatch(commit):
        raise ClinnerError(f"{commit}: not the full hash of a commit; branches and tags may move.")
    if dest.exists():
        typer.echo(f"✔ {dest} is there; scripts/check_assets.py verifies it")
        return
    dest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=dest.parent) as scratch:
        for step in (
            ["init", "--quiet"],
            ["fetch", "--quiet", "--depth", "1", repository, commit],
            ["checkout", "--quiet", "FETCH_HEAD", "--", folder],
        ):
            done = subprocess.run(
                ["git", "-C", scratch, *step], capture_output=True, text=True, check=False
            )
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise ClinnerError(
                    f"{repository}: could not fetch {folder} at {commit} ({reason}). Try again, "
                    f"or put that folder in {dest} by hand."
                )
        (Path(scratch) / folder).rename(dest)
    typer.echo(f"✔ {dest}: {folder} of {repository} at {commit[:12]}")


if __name__ == "__main__":
    run(main)
