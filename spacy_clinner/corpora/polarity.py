from collections.abc import Collection
from dataclasses import dataclass, field

from spacy_clinner.annotation.said import ASSERTIONS
from spacy_clinner.corpora.note import Attribute

DOUBT = ("UNCERTAIN", "MAYBE_POS", "MAYBE_NEG")
# How corpora write it: by attribute, from value to what MACCROBAT calls it. The name of a flag
# that is simply set is "".
POLARITY = {
    "neg": "NEG",
    "negative": "NEG",
    "negated": "NEG",
    "absent": "NEG",
    "pos": "POS",
    "positive": "POS",
    "affirmed": "POS",
    "present": "POS",
    "uncertain": "UNCERTAIN",
    "possible": "UNCERTAIN",
    "maybe_pos": "MAYBE_POS",
    "maybe_neg": "MAYBE_NEG",
}
SET = dict.fromkeys(("", "true", "yes", "1"), "NEG")
UNSET = dict.fromkeys(("false", "no", "0"), "POS")
VALUES = {
    "polarity": {**POLARITY, "": "NEG"},
    "assertion": POLARITY,
    "negation": {**POLARITY, **SET, **UNSET},
    "negated": {**POLARITY, **SET, **UNSET},
}


# The same as one of the classes of i2b2 2010.
ASSERTED = {
    **{name: name for name in ASSERTIONS},
    **{value: "absent" for value, polarity in POLARITY.items() if polarity == "NEG"},
    **{value: "present" for value, polarity in POLARITY.items() if polarity == "POS"},
    **{value: "possible" for value, polarity in POLARITY.items() if polarity in DOUBT},
}


def read_polarity(attribute: Attribute) -> str | None:
    """What an attribute says of negation.

    attribute (Attribute): The attribute.
    RETURNS (str | None): NEG, POS or one of `DOUBT`; None for another attribute, or for a value
        that says something else ("Assertion hypothetical", which `read_assertion` knows).
    """
    return VALUES.get(attribute.label.lower(), {}).get((attribute.value or "").strip().lower())


def read_assertion(attribute: Attribute) -> str | None:
    """What an attribute `assertion` says, as tools offer it to be chosen.

    attribute (Attribute): The attribute.
    RETURNS (str | None): One of `ASSERTIONS`; None for another attribute or value.
    """
    if attribute.label.lower() != "assertion":
        return None
    return ASSERTED.get("_".join((attribute.value or "").lower().split()))


@dataclass
class Chosen:
    """What annotators chose for the spans of a note, by their ids.

    judged (Collection[str]): The labels for whose spans annotators choose: what they leave unsaid
        of such a span is "present".
    unread (set[str]): Spans of which something was said that has no place.
    """

    judged: Collection[str] = ()
    polarities: dict[str, str] = field(default_factory=dict)
    assertions: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.polarities or self.assertions)

    def judges(self, span: str, label: str) -> bool:
        """Whether what is not said of an entity is known, by the id of its span and its label."""
        if not self.judged:
            # A corpus that knows negation alone says of each of its notes whether it is marked.
            return bool(self)
        return label in self.judged and (span in self.assertions or span not in self.unread)
