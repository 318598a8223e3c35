"""Files of lines, plain or compressed, as UTF-8 that may hold bytes that are none."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from spacy_clinner.errors import ClinnerError, one_line


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    r"""Open a file as text. A byte order mark is left out, line ends stay as they are, and bytes
    that are no UTF-8 become lone surrogates: see `not_utf8`.

    path (Path): The file; `.gz` and `.zst` are unpacked.
    YIELDS (IO[str]): The text.
    RAISES (ClinnerError): It cannot be read or unpacked.
    """
    try:
        with _bytes(path) as data:
            yield io.TextIOWrapper(data, "utf-8-sig", "surrogateescape", newline="")
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        raise ClinnerError(f"{path}: cannot be read ({one_line(error)}). Fetch it again.") from None


def not_utf8(text: str) -> str | None:
    """Why a text is no UTF-8.

    text (str): As `opened` gives it.
    RETURNS (str | None): None where it is.
    """
    if text.isascii():
        return None
    for at, character in enumerate(text):
        if "\udc80" <= character <= "\udcff":
            return f"not UTF-8 (byte 0x{ord(character) - 0xDC00:02x} at character {at})"
    return None


def storable(text: str) -> str:
    """A text with U+FFFD for every lone surrogate, which no file can hold.

    text (str): The text.
    RETURNS (str): As many characters.
    """
    if text.isascii():
        return text
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)


@contextmanager
def _bytes(path: Path) -> Iterator[Any]:
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as file:
            yield file
    elif path.suffix.lower() == ".zst":
        with pa.input_stream(str(path), compression="zstd") as file:
            yield io.BufferedReader(file)
    else:
        with path.open("rb") as file:
            yield file
