"""Definitions of short forms in a note: "long form (LF)" and "LF (long form)"."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# As long as a note's brackets get that define something.
BRACKETS = re.compile(r"[(\[]([^()\[\]]{2,100})[)\]]")
SHORT_FORM = re.compile(r"[^\W_][\w&/+.'-]{0,8}[^\W_]")
LAST_WORD = re.compile(r"[^\s,;:()\[\]]+\Z")
WORD = re.compile(r"[^\W_]+")
# Nothing that is defined runs over one of these.
BREAK = re.compile(r"[.;:!?](?=\W)|\n\s*\n|[()\[\]]")
# Characters before a bracket that are looked at.
REACH = 150
SMALL_WORDS = frozenset({"a", "and", "by", "for", "in", "of", "on", "or", "the", "to", "with"})
# What stands in brackets after a name, or counts.
NO_SHORT_FORM = frozenset({"MD", "DO", "RN", "NP", "PA", "PA-C", "AM", "PM", "II", "III", "VI"})

Known = Callable[[str], tuple[str, ...]]
Extent = tuple[int, int]


@dataclass(frozen=True)
class Definition:
    """A short form that a note defines.

    short (str), long (str): Both forms; white space in the long one is single spaces.
    short_at (tuple[int, int]), long_at (tuple[int, int]): Where they stand, in characters.
    end (int): Where the definition ends, after the closing bracket.
    """

    short: str
    long: str
    short_at: Extent
    long_at: Extent
    end: int

    @property
    def start(self) -> int:
        """Where the definition begins, in characters."""
        return min(self.short_at[0], self.long_at[0])


def find_definitions(text: str, known: Known) -> list[Definition]:
    """Find the short forms that a note defines, by the method of Schwartz and Hearst (2003).

    A short form that is known must be defined as known, or by the first letters of all words: else
    "chest x-ray (CT)" would define one. So must one that stands before its definition.

    text (str): The note.
    known (Callable[[str], tuple[str, ...]]): The long forms that a short form is known to have.
    RETURNS (list[Definition]): The definitions, in the order of the text.
    """
    return list(_definitions(text, known))


def _definitions(text: str, known: Known) -> Iterator[Definition]:
    for match in BRACKETS.finditer(text):
        start, end = _trimmed(text, match.start(1), _first_part(match[1]) + match.start(1))
        before = _trimmed(text, _last_break(text, match.start()), match.start())
        if start == end or before[0] == before[1]:
            continue
        long_at = _long_form_before(text, before, text[start:end], known)
        if long_at is not None:
            yield _definition(text, (start, end), long_at, match.end())
            continue
        word = LAST_WORD.search(text, *before)
        if word and _long_form_after(word[0], text[start:end], known):
            yield _definition(text, word.span(), (start, end), match.end())


def _definition(text: str, short_at: Extent, long_at: Extent, end: int) -> Definition:
    long = " ".join(text[slice(*long_at)].split())
    return Definition(text[slice(*short_at)], long, short_at, long_at, end)


def _first_part(content: str) -> int:
    """Where what a bracket says first ends: "(CHF, since 2010)"."""
    found = re.search(r"[,;]", content)
    return found.start() if found else len(content)


def _last_break(text: str, end: int) -> int:
    start = max(0, end - REACH)
    for found in BREAK.finditer(text, start, end):
        start = found.end()
    return start


def _trimmed(text: str, start: int, end: int) -> Extent:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, max(start, start + len(piece.strip()))


def _may_be_short(short: str, known: Known) -> bool:
    if not SHORT_FORM.fullmatch(short) or short in NO_SHORT_FORM:
        return False
    return any(map(str.isupper, short)) or bool(known(short))


def _long_form_before(text: str, before: Extent, short: str, known: Known) -> Extent | None:
    if not _may_be_short(short, known):
        return None
    start, end = before
    forms = known(short)
    for form in sorted(forms, key=len, reverse=True):
        at = end - len(form)
        if at >= start and text[at:end].lower() == form.lower() and _begins_word(text, at):
            return at, end
    words = list(re.finditer(r"\S+", text[start:end]))[-min(len(short) + 5, 2 * len(short)) :]
    found = best_long_form(short, text[start + words[0].start() : end])
    if found is None:
        return None
    long = text[end - len(found) : end]
    if len(long) <= len(short) or short.lower() in (word.lower() for word in WORD.findall(long)):
        return None
    if forms and not spelled_by_initials(short, long):
        return None
    return end - len(found), end


def _long_form_after(short: str, long: str, known: Known) -> bool:
    if not _may_be_short(short, known):
        return False
    plain = " ".join(long.lower().split())
    if plain in (form.lower() for form in known(short)):
        return True
    return len(WORD.findall(long)) > 1 and spelled_by_initials(short, long)


def _begins_word(text: str, at: int) -> bool:
    return at == 0 or not text[at - 1].isalnum()


def best_long_form(short: str, before: str) -> str | None:
    """The shortest end of a text that holds all letters of a short form in their order, the first
    of them at the beginning of a word (Schwartz and Hearst 2003, figure 1).

    short (str): The short form; begins with a letter or a digit.
    before (str): The words before it.
    RETURNS (str | None): The long form; None where there is none.
    """
    at = len(before)
    for index in range(len(short) - 1, -1, -1):
        letter = short[index].lower()
        if not letter.isalnum():
            continue
        at -= 1
        while at >= 0 and (
            before[at].lower() != letter or (index == 0 and not _begins_word(before, at))
        ):
            at -= 1
        if at < 0:
            return None
    while at > 0 and not (before[at - 1].isspace() or before[at - 1] in ",;:"):
        at -= 1
    return before[at:]


def spelled_by_initials(short: str, long: str) -> bool:
    """Whether a short form is made of the first letters of all words of a long one, but for small
    words ("of", "and") that may be passed over."""
    letters = [letter for letter in short.lower() if letter.isalnum()]
    return _spelled(letters, [word.lower() for word in WORD.findall(long)])


def _spelled(letters: list[str], words: list[str]) -> bool:
    if not words:
        return not letters
    if letters and words[0][0] == letters[0] and _spelled(letters[1:], words[1:]):
        return True
    return words[0] in SMALL_WORDS and _spelled(letters, words[1:])
