"""The key that callers send: which can be sent at all, and whether one is the same."""

import hmac
import re

from spacy_clinner.errors import ClinnerError

# White space at the ends of a header is not of its value, and no value holds control characters.
UNSENDABLE = re.compile(r"^[ \t]|[ \t]$|[\0-\x08\x0a-\x1f\x7f]")
# Programs send UTF-8 or, where a header is a string to them, Latin-1.
ENCODINGS = ("utf8", "latin1")


def check_sendable(key: str | None) -> None:
    """Check a key.

    key (str | None): The key; None for none.
    RAISES (ClinnerError): No header can hold it.
    """
    if key is not None and (UNSENDABLE.search(key) or not _encoded(key)):
        raise ClinnerError(
            "The API key begins or ends with white space, or holds a line end or another control "
            "character: callers could never send it in a header. Choose another."
        )


def is_same(given: bytes, key: str) -> bool:
    """Compare, in a time that tells nothing of the key.

    given (bytes): What a caller sent.
    key (str): The key.
    RETURNS (bool): Whether it is the key, in one of the encodings that callers use.
    """
    return any(hmac.compare_digest(given, expected) for expected in _encoded(key))


def _encoded(key: str) -> list[bytes]:
    made = []
    for encoding in ENCODINGS:
        try:
            # Of the environment, bytes that are no UTF-8 come as surrogates.
            made.append(key.encode(encoding, "surrogateescape"))
        except UnicodeEncodeError:
            continue
    return made
