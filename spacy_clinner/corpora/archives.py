import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath

from spacy_clinner.errors import ClinnerError

Files = dict[str, Callable[[], bytes]]


def find_files(path: Path) -> Files:
    """The files of a folder, a zip or a tar, and of all folders in it.

    path (Path): A folder, a zip, or a path that goes on inside a zip: `outer.zip/folder`,
        `outer.zip/inner.zip`; or a tar, packed or not.
    RETURNS (dict[str, Callable[[], bytes]]): Path inside `path`, with "/", to what reads the
        bytes. Hidden files, and what macOS adds to a zip, are left out.
    RAISES (ClinnerError): There is no such folder or zip, or the zip cannot be unpacked.
    """
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file())
        files: Files = {file.relative_to(path).as_posix(): file.read_bytes for file in found}
    else:
        if path.is_file() and tarfile.is_tarfile(path):
            return {name: read for name, read in _unpacked(path).items() if not _hidden(name)}
        archive = next((parent for parent in (path, *path.parents) if parent.is_file()), None)
        if archive is None or not zipfile.is_zipfile(archive):
            raise ClinnerError(
                f"{path}: {'neither a folder nor a zip nor a tar' if archive else 'missing'}. "
                f"Put the folder, zip or tar there, or correct the path."
            )
        files = _members(archive, path.relative_to(archive).parts)
    return {name: read for name, read in files.items() if not _hidden(name)}


def _unpacked(path: Path) -> Files:
    """The files of a tar. All are read at once: each by itself would unpack what is before it."""
    try:
        with tarfile.open(path) as opened:
            members = [(m.name, opened.extractfile(m)) for m in opened if m.isfile()]
            return {
                name.removeprefix("./"): partial(bytes, file.read())
                for name, file in members
                if file is not None
            }
    except (tarfile.TarError, OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise ClinnerError(f"{path}: cannot be unpacked ({error}). Fetch it again.") from None


def _hidden(name: str) -> bool:
    return any(p.startswith(".") or p == "__MACOSX" for p in PurePosixPath(name).parts)


def _members(archive: Path, inside: tuple[str, ...]) -> Files:
    opened, where, prefix = _open(archive, archive), archive, ""
    for part in inside:
        where = where / part
        if prefix + part in opened.namelist():
            opened, prefix = _open(BytesIO(_read(opened, where, prefix + part)), where), ""
        else:
            prefix += part + "/"
    names = [name for name in opened.namelist() if name.startswith(prefix) and name[-1] != "/"]
    if not names:
        raise ClinnerError(f"{where}: nothing of that name in the zip.")
    if all(name.endswith(".zip") for name in names):
        known = ", ".join(f"{where}/{name.removeprefix(prefix)}" for name in names)
        raise ClinnerError(f"{where}: holds only zips; name one of them: {known}.")
    return {name.removeprefix(prefix): partial(_read, opened, where, name) for name in names}


def _open(file: Path | BytesIO, where: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise ClinnerError(f"{where}: not a whole zip ({error}). Fetch it again.") from None


def _read(opened: zipfile.ZipFile, where: Path, name: str) -> bytes:
    try:
        return opened.read(name)
    # A zip with a password raises RuntimeError, an unknown compression NotImplementedError.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ClinnerError(f"{where}: {name} cannot be unpacked ({error}).") from None
