from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import read_toml
from spacy_clinner.pipeline.phrases import PhraseTokenizer, PhraseTrie, expand, longest

LEXICON = Path(__file__).parent / "lexicon.toml"
OTHER = "other"  # a header in capitals that the lexicon does not know
# Headings that stay in the section they stand in, and those in capitals that are not known.
WITHIN, ANYWHERE, UNKNOWN = " within", " anywhere", " unknown"
MARKERS = ("*", "**", "***", "#", "##", "###", "####", "-", "•", "_", "__", "=", ">", ")", "[")
CLOSERS = ("*", "**", "***", "_", "__", "#", "##", "=", "]", '"')
COLONS = (":", "：", "::")
DASHES = ("-", "–", "—", "--")
STOPS = (".", ";", ",", ":", "!", "?")
# Tokens between a known header and its colon: "PAST MEDICAL HISTORY (PER CHART):".
MAX_TAIL = 6
MAX_UNKNOWN = 8
MAX_MARKERS = 12  # before a header: "***** PLAN"
# Words that are headings only before a colon: a line "ALL" is a leukaemia.
BEFORE_COLON = ("all", "family", "imp", "comorbidities", "comorbidity")
# "CT A/P:" is of the abdomen and the pelvis.
IMAGED = (
    "ct",
    "cta",
    "ctap",
    "mri",
    "mra",
    "mr",
    "pet",
    "xr",
    "us",
    "scan",
    "contrast",
    "con",
    "/",
)


class Header(NamedTuple):
    """A header: its title, its first token, and one past its last (the colon included)."""

    title: str
    start: int
    end: int


class Shapes(NamedTuple):
    """A document's tokens without white space, one value per token.

    lower (list[int]): The hash of the lower form.
    upper (list[int]): 1: capitals only.
    title (list[int]): 1: a capital letter, then small ones.
    punct (list[int]): 1: a punctuation sign.
    length (list[int]): Characters.
    starts (list[bool]): It is the first token of its line.
    number (list[int]): 1: a number in figures.
    paragraph (list[int]): How many empty lines stand before it.
    """

    lower: list[int]
    upper: list[int]
    title: list[int]
    punct: list[int]
    length: list[int]
    starts: list[bool]
    number: list[int]
    paragraph: list[int]


class Headings(NamedTuple):
    """What the lexicon says of headers.

    phrases (dict[str, list[str]]): By title.
    within (frozenset[str]): Titles of the sections in which headings of organ systems stay.
    entries (frozenset[str]): Titles of those whose entries may look like headings.
    """

    phrases: dict[str, list[str]]
    within: frozenset[str]
    entries: frozenset[str]


def read_headers(added: Mapping[str, Sequence[str]]) -> Headings:
    """The lexicon's headers with a user's.

    added (Mapping[str, Sequence[str]]): More header patterns by title; they come first.
    RETURNS (Headings): Both.
    RAISES (ClinnerError): A pattern that is not right.
    """
    tables = read_toml(LEXICON, "missing.")
    patterns: dict[str, list[str]] = {}
    for title, own in added.items():
        if isinstance(own, str) or not all(isinstance(pattern, str) for pattern in own):
            raise ClinnerError(f"headers: {title!r} needs a list of patterns.")
        patterns[title] = list(own)
    known = {**tables["titles"], WITHIN: tables["within"]["headings"]}
    known[ANYWHERE] = tables["within"]["anywhere"]
    for title, own in known.items():
        patterns[title] = [*patterns.get(title, []), *own]
    phrases = {
        title: [phrase for pattern in own for phrase in expand(pattern, {}, f"headers: {title}")]
        for title, own in patterns.items()
    }
    within = tables["within"]
    return Headings(phrases, frozenset(within["sections"]), frozenset(within["entries"]))


class HeaderRules:
    """Which words of a text are section headers."""

    def __init__(self, headings: Headings, cut: PhraseTokenizer) -> None:
        """Compile headers.

        headings (Headings): What the lexicon says.
        cut (PhraseTokenizer): Cuts phrases into tokens.
        """
        self.headings = headings
        self.imaged = frozenset(way[0] for word in IMAGED for way in cut(word))
        self.before_colon = frozenset(way[0] for word in BEFORE_COLON for way in cut(word))
        self.trie: PhraseTrie[str] = PhraseTrie()
        for title, own in headings.phrases.items():
            for phrase in own:
                for words in cut(phrase):
                    self.trie.add(words, title)
        numbers = [f"{number}{dot}" for number in range(1, 31) for dot in ("", ".")]
        self.opening, self.closing = (frozenset(cut(sign)[0]) for sign in "()")
        self.markers, self.closers, self.colons, self.dashes, self.stops = (
            frozenset(words[0] for sign in signs for words in cut(sign) if len(words) == 1)
            for signs in ((*MARKERS, *numbers, "."), CLOSERS, COLONS, DASHES, STOPS)
        )

    def __call__(self, text: Shapes) -> list[Header]:
        """Find the headers that open sections.

        text (Shapes): The document's tokens.
        RETURNS (list[Header]): In order; titles of the lexicon, or "other".
        """
        firsts: list[int] = []
        for token, starts in enumerate(text.starts):
            firsts.append(token if starts else firsts[-1])
        headers: list[Header] = []
        opening: set[int] = set()  # first tokens of lines that start with a header
        for start, end, title in longest(self.trie.find(text.lower)):
            if headers and start < headers[-1].end:
                continue
            first = firsts[start]
            before = text.lower[first:start]
            if len(before) > MAX_MARKERS or any(word not in self.markers for word in before):
                first = start
            opened = firsts[start] in opening
            stop = self._end(text, start, end, text.starts[first], opened)
            if stop is not None:
                headers.append(Header(title, first, stop))
                if text.starts[first]:
                    opening.add(first)
        known = {header.start for header in headers}
        for start, begins in enumerate(text.starts):
            if begins and start not in known:
                stop = self._unknown_end(text, start)
                if stop is not None:
                    headers.append(Header(UNKNOWN, start, stop))
        return self._sections(text, sorted(headers, key=lambda header: header.start))

    def _end(
        self, text: Shapes, start: int, end: int, at_line_start: bool, opened: bool
    ) -> int | None:
        """One past a header's colon (or its last word); None if the phrase is no header.

        `opened`: its line starts with a header, so that "PMH:" further on is one, too.
        """
        count = len(text.lower)
        capitals = all(text.upper[token] or text.punct[token] for token in range(start, end))
        stop = self._skip_closers(text, end)
        letters = all(text.length[token] == 1 for token in range(start, end))
        if letters and self._is_no_heading(text, start, end, at_line_start):
            return None
        if at_line_start:
            if stop == count or text.starts[stop]:
                bare = end == start + 1 and text.lower[start] in self.before_colon
                return None if bare else stop
            if text.lower[stop] in self.dashes and capitals:
                return stop + 1
        elif not (capitals and end - start > 1):
            before = text.lower[start - 1] if start else 0
            beside = opened and capitals and stop < count and text.lower[stop] in self.colons
            beside = beside and text.length[start] > 1
            if not beside and (not (capitals or text.title[start]) or before not in self.stops):
                return None
        limit = min(count, stop + (MAX_TAIL if capitals else 0) + 1)
        in_brackets = False
        while stop < limit and not text.starts[stop]:
            word = text.lower[stop]
            if word in self.colons:
                return self._skip_closers(text, stop + 1)
            in_brackets = word in self.opening or (in_brackets and word not in self.closing)
            shaped = text.upper[stop] or text.punct[stop] or in_brackets
            if not shaped or word in self.stops:
                return None
            stop += 1
        return None

    def _is_no_heading(self, text: Shapes, start: int, end: int, at_line_start: bool) -> bool:
        """Whether letters are something else: "P: 110" is a pulse, "CT A/P" of the belly."""
        if not at_line_start and end > start + 1:
            return text.lower[start - 1] in self.imaged
        value = end + 1
        if end > start + 1 or value >= len(text.lower) or text.lower[end] not in self.colons:
            return False
        # "P: 1. aspirin" is a plan.
        return bool(text.number[value]) and text.lower[value] not in self.markers

    def _skip_closers(self, text: Shapes, token: int) -> int:
        while (
            token < len(text.lower) and not text.starts[token] and text.lower[token] in self.closers
        ):
            token += 1
        return token

    def _unknown_end(self, text: Shapes, start: int) -> int | None:
        """One past the colon of a line that starts like "PROGNOSTIC FACTORS:"; None if not."""
        letters = 0
        for token in range(start, min(len(text.lower), start + MAX_UNKNOWN)):
            if token > start and text.starts[token]:
                return None
            if text.lower[token] in self.colons:
                return token + 1 if letters > 3 else None
            if text.upper[token]:
                letters += text.length[token]
            elif not text.punct[token] or text.lower[token] in self.stops:
                return None
        return None

    def _sections(self, text: Shapes, headers: list[Header]) -> list[Header]:
        """Drop headings that stay in the section they stand in."""
        kept: list[Header] = []
        for header in headers:
            current = kept[-1].title if kept else None
            stays = header.title in (WITHIN, UNKNOWN, OTHER, "vital_signs")
            stays = stays and current in self.headings.within
            stays = stays or (current == "vital_signs" and self._is_sign(text, header))
            if stays or header.title == ANYWHERE or self._is_entry(text, header, kept[-1:]):
                continue
            other = header.title in (WITHIN, UNKNOWN)
            kept.append(header._replace(title=OTHER) if other else header)
        return kept

    def _is_sign(self, text: Shapes, header: Header) -> bool:
        """Whether a letter inside a line is one of the vital signs: "T 98.6, P: irreg"."""
        return text.length[header.start] == 1 and not text.starts[header.start]

    def _is_entry(self, text: Shapes, header: Header, current: list[Header]) -> bool:
        """Whether a heading that is not known is an entry of a list under a heading of its own
        line: "ALLERGIES:", then "PENICILLIN: hives"."""
        if header.title != UNKNOWN or not current:
            return False
        (above,) = current
        count = len(text.lower)
        if above.title not in self.headings.entries or max(above.end, header.end) >= count:
            return False
        alone, filled = text.starts[above.end], not text.starts[header.end]
        return alone and filled and text.paragraph[above.end] == text.paragraph[header.start]
