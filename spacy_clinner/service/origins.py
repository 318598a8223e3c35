"""The origins of other sites whose pages may call the service."""

import re

from spacy_clinner.errors import ClinnerError

# As browsers send it: lower case, and no port that its scheme has anyway.
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]*)?")
USUAL = re.compile(r"http://.*:80|https://.*:443")
ANY = "*"


def check(origin: str) -> None:
    """Check an origin, which is compared with what a browser sends letter by letter.

    origin (str): The origin, "*" for any.
    RAISES (ClinnerError): No browser sends it.
    """
    if origin != ANY and (not ORIGIN.fullmatch(origin) or USUAL.fullmatch(origin)):
        raise ClinnerError(
            f"{origin}: no origin that a browser sends. Write scheme and host in small letters, "
            f"and the port if it is not the usual one, such as https://their.example."
        )
