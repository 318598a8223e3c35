"""The labels that a model is asked for, however an answer writes them."""

import re
from collections.abc import Sequence

from spacy_clinner.schemes import Scheme


class KnownLabels:
    """Finds labels by what an answer calls them.

    layers (Sequence[Scheme]): The layers; of a label in two of them the first counts.
    """

    def __init__(self, layers: Sequence[Scheme]) -> None:
        self._known: dict[str, tuple[Scheme, str]] = {}
        for names_only in (True, False):
            for scheme in layers:
                for written, label in scheme.written.items():
                    if (written in scheme.labels) is names_only:
                        self._known.setdefault(_key(written), (scheme, label))

    def find(self, written: str) -> tuple[Scheme, str] | None:
        """The layer and label that is meant; None where there is none such.

        written (str): As the answer has it; case, hyphens, blanks and "_" do not matter.
        """
        return self._known.get(_key(written))


def _key(written: str) -> str:
    return re.sub(r"[\W_]+", " ", written).strip().casefold()
