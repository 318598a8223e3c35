import os
import shutil
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spacy_clinner.errors import ClinnerError


def read_toml(path: Path, absent: str) -> dict[str, Any]:
    """Read a TOML file.

    path (Path): The file.
    absent (str): What to say after the path when there is no such file.
    RETURNS (dict[str, Any]): Its content.
    RAISES (ClinnerError): The file is missing, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ClinnerError(f"{path}: {absent}") from None
    except OSError as error:
        raise ClinnerError(f"{path}: cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ClinnerError(f"{path}: not a valid TOML file ({error}).") from None


@contextmanager
def written_whole(path: Path, *, private: bool = False) -> Iterator[Path]:
    """A temporary name beside `path` to write to, renamed to `path` when the block ends well.

    So a run that is cut off never leaves half a file under the final name.

    path (Path): The file to write; its folder is made when missing.
    private (bool): It quotes notes: only the user may read it (mode 0600).
    YIELDS (Path): The name to write to; removed when the block raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if private:
            partial.touch(0o600)
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def only_for_user() -> Iterator[None]:
    """Whatever is made in the block, by whichever library, is its user's alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def check_folder(folder: Path, sign: str | None = None, sources: Iterable[Path] = ()) -> None:
    """Stop before a run whose result would take the place of something else.

    folder (Path): The folder to write; one that is empty or not there is always free.
    sign (str | None): The file by which an earlier result is known, which may be replaced; None
        where nothing may be.
    sources (Iterable[Path]): What the run reads.
    RAISES (ClinnerError): The folder holds something else, or what is read, or is the current one.
    """
    if any(source.resolve().is_relative_to(folder.resolve()) for source in sources):
        raise ClinnerError(f"{folder}: holds what is read; choose another folder.")
    if Path.cwd().is_relative_to(folder.resolve()):
        # The shell would stay in the one that was replaced.
        raise ClinnerError(f"{folder}: is the folder that you are in; name a new one in it.")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if sign is None or not (folder / sign).is_file():
        raise ClinnerError(
            f"{folder}: is there already and is not replaced. Delete it, or name another folder."
        )


def check_file(file: Path, sources: Iterable[Path], *, replaced: bool = True) -> None:
    """Stop before a run whose file would take the place of something else.

    file (Path): The file to write.
    sources (Iterable[Path]): What the run reads, files and folders.
    replaced (bool): Whether a file that is there may be replaced.
    RAISES (ClinnerError): It is read, or lies in a folder that is read; or it is there and stays.
    """
    if any(file.resolve().is_relative_to(source.resolve()) for source in sources):
        raise ClinnerError(f"{file}: is read, or lies in what is read. Name another file.")
    if not replaced and file.exists():
        raise ClinnerError(
            f"{file}: is there already and is not replaced. Delete it, or name another file."
        )


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, which takes its place when the block ends well.

    folder (Path): The folder to write; one that is there, or that a link points to, is replaced:
        `check_folder` before.
    YIELDS (Path): The folder to fill; removed when the block raises.
    """
    folder = folder.resolve()
    partial, replaced = (
        folder.with_name(f".{folder.name}.{os.getpid()}.{kind}") for kind in ("partial", "replaced")
    )
    try:
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            folder.replace(replaced)
        partial.replace(folder)
    finally:
        for left in (partial, replaced):
            shutil.rmtree(left, ignore_errors=True)
