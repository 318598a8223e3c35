"""Short forms and what they stand for, from `short_forms.toml` and of the user's own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import read_toml

FILE = Path(__file__).with_name("short_forms.toml")
DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]?\.?")
LongForms = tuple[str, ...]


@dataclass(frozen=True)
class Inventory:
    """Short forms with their long forms.

    in_any_case (Mapping[str, LongForms]): Those in lower case, which are read in any case.
    as_written (Mapping[str, LongForms]): Those with capitals, which are read as they stand.
    """

    in_any_case: Mapping[str, LongForms]
    as_written: Mapping[str, LongForms]

    def long_forms(self, word: str) -> LongForms:
        """What a word of a note may stand for.

        word (str): The word, with its dots if it has any ("b.i.d."); also the plural of a short
            form in capitals ("UTIs").
        RETURNS (LongForms): One where it is clear, several where it is not; empty for a word that
            is no short form.
        """
        plain = word.replace(".", "") if DOTTED.fullmatch(word) else word
        found = self._of(plain)
        if not found and plain[-1:] == "s" and len(plain) > 2 and plain[:-1].isupper():
            found = tuple(map(plural, self._of(plain[:-1])))
        return found

    def _of(self, word: str) -> LongForms:
        return self.as_written.get(word) or self.in_any_case.get(word.lower(), ())

    def is_word_too(self, word: str) -> bool:
        """Whether a short form would be a word or another thing in small letters ("ALL")."""
        return word.isupper() and word in self.as_written


def plural(long_form: str) -> str:
    """The plural of a long form by its ending; those in -s stay, but for those in -sis."""
    if long_form.endswith("sis"):
        return f"{long_form[:-2]}es"
    if long_form.endswith("s"):
        return long_form
    if re.search(r"[^aeiou]y$", long_form):
        return f"{long_form[:-1]}ies"
    return f"{long_form}s"


def make_inventory(own: Mapping[str, str | Sequence[str]], source: str) -> Inventory:
    """The short forms that come with clinner, with a user's own.

    own (Mapping[str, str | Sequence[str]]): Long form of each short form; several where it is not
        clear. They replace what is known of these short forms; an empty list takes one out.
    source (str): Where they are from, for messages.
    RETURNS (Inventory): The short forms.
    RAISES (ClinnerError): A short form with white space, or an empty long form.
    """
    found = dict(known())
    for short, long in own.items():
        forms = (long,) if isinstance(long, str) else tuple(long)
        if not short or re.search(r"\s", short) or not all(form.strip() for form in forms):
            raise ClinnerError(
                f"{source}: short_forms must give each short form, one word, its long form or a "
                f"list of them; that of {short!r} is none."
            )
        for same_word in (short, short.lower(), short.upper()):
            found.pop(same_word, None)
        found[short] = forms
    lower = {short: forms for short, forms in found.items() if short == short.lower()}
    return Inventory(lower, {short: forms for short, forms in found.items() if short not in lower})


@cache
def known() -> Mapping[str, LongForms]:
    """The short forms that come with clinner, as their file has them: those in lower case are read
    in any case, those with capitals as they stand."""
    tables = read_toml(FILE, "the short forms of clinner are missing; install it again.")
    return {
        short: (long,) if isinstance(long, str) else tuple(long)
        for table in tables.values()
        for short, long in table.items()
    }


@cache
def _inventory() -> Inventory:
    return make_inventory({}, FILE.name)


def expansions(short_form: str) -> LongForms:
    """What a short form may stand for, as far as clinner knows.

    short_form (str): The short form, as a note has it: "HTN", "b.i.d.", "UTIs".
    RETURNS (tuple[str, ...]): Its long forms; empty for one that is not known.
    """
    return _inventory().long_forms(short_form)


@cache
def _short_forms() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for short, forms in known().items():
        for form in forms:
            found.setdefault(form.lower(), []).append(short)
    return {form: tuple(shorts) for form, shorts in found.items()}


def short_forms(long_form: str) -> tuple[str, ...]:
    """The short forms of a long form.

    long_form (str): The long form, in any case: "hypertension".
    RETURNS (tuple[str, ...]): The short forms, of which those in lower case are written in any
        case; empty where none is known.
    """
    return _short_forms().get(long_form.lower(), ())
