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


def read_polarity(attribute: Attribute) -> str | None:
    """What an attribute says of negation.

    attribute (Attribute): The attribute.
    RETURNS (str | None): NEG, POS or one of `DOUBT`; None for another attribute, or for a value
        that says something else ("Assertion hypothetical").
    """
    return VALUES.get(attribute.label.lower(), {}).get((attribute.value or "").strip().lower())
