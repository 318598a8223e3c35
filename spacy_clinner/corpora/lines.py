import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from spacy_clinner.errors import ClinnerError


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""The lines of a UTF-8 text file, plain or `.gz`, one at a time.

    Only "\n" and "\r\n" end a line: the other characters that `str.splitlines` cuts at occur
    inside clinical text. A byte order mark is left out.

    path (Path): The file.
    YIELDS (tuple[int, str]): Line number from 1, and the line without its end.
    RAISES (ClinnerError): The file is missing, cannot be unpacked, is not UTF-8 or holds nothing.
    """
    if not path.is_file():
        raise ClinnerError(
            f"{path}: {'a folder, not a file' if path.is_dir() else 'no such file'}. "
            f"Put the file there, or correct the path."
        )
    blank = True
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                line = decode(raw, path, number)
                blank = blank and not line.strip()
                yield number, line.removesuffix("\n").removesuffix("\r")
    except (OSError, EOFError, zlib.error) as error:
        raise ClinnerError(f"{path}: cannot be read ({error}). Fetch it again.") from None
    if blank:
        raise ClinnerError(f"{path}: the file is empty.")


def decode(data: bytes, path: Path | str, first_line: int = 1) -> str:
    """UTF-8 bytes as text; a byte order mark at the start of the file is left out.

    data (bytes): The bytes.
    path (Path | str): Where they come from, for the error.
    first_line (int): The number of their first line.
    RETURNS (str): The text, line ends as they are.
    RAISES (ClinnerError): They are not UTF-8.
    """
    try:
        return data.decode("utf-8-sig" if first_line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        raise ClinnerError(
            f"{path}:{line}: not UTF-8 text (byte 0x{data[error.start]:02x}). "
            f"Convert the file to UTF-8."
        ) from None
