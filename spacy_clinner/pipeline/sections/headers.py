from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import read_toml
from spacy_clinner.pipeline.phrases import PhraseTokenizer, PhraseTrie, expand, longest

LEXICON = Path(__file__).parent / "lexicon.toml"
OTHER = "other"  # a header in capitals that the lexicon does not know
WITHIN, ANYWHERE = " within", " anywhere"  # headings that stay in the section they stand in
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
BEFORE_COLON = ("all", "family")


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
    """

    lower: list[int]
    upper: list[int]
    title: list[int]
    punct: list[int]
    length: list[int]
    starts: list[bool]


def read_headers(added: Mapping[str, Sequence[str]]) -> tuple[dict[str, list[str]], frozenset[str]]:
    """The lexicon's headers with a user's.

    added (Mapping[str, Sequence[str]]): More header patterns by title; they come first.
    RETURNS (tuple[dict[str, list[str]], frozenset[str]]): Phrases by title, and the titles of the
        sections in which headings of organ systems stay.
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
    return phrases, frozenset(tables["within"]["sections"])


class HeaderRules:
    """Which words of a text are section headers."""

    def __init__(
        self, phrases: Mapping[str, Sequence[str]], within: frozenset[str], cut: PhraseTokenizer
    ) -> None:
        """Compile headers.

        phrases (Mapping[str, Sequence[str]]): Header phrases by title.
        within (frozenset[str]): Titles of sections in which headings of organ systems stay.
        cut (PhraseTokenizer): Cuts phrases into tokens.
        """
        self.within = within
        self.before_colon = frozenset(way[0] for word in BEFORE_COLON for way in cut(word))
        self.trie: PhraseTrie[str] = PhraseTrie()
        for title, own in phrases.items():
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
                    headers.append(Header(OTHER, start, stop))
        return self._sections(sorted(headers, key=lambda header: header.start))

    def _end(
        self, text: Shapes, start: int, end: int, at_line_start: bool, opened: bool
    ) -> int | None:
        """One past a header's colon (or its last word); None if the phrase is no header.

        `opened`: its line starts with a header, so that "PMH:" further on is one, too.
        """
        count = len(text.lower)
        capitals = all(text.upper[token] or text.punct[token] for token in range(start, end))
        stop = self._skip_closers(text, end)
        if at_line_start:
            if stop == count or text.starts[stop]:
                return None if text.lower[start] in self.before_colon else stop
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

    def _sections(self, headers: list[Header]) -> list[Header]:
        """Drop headings that stay in the section they stand in."""
        kept: list[Header] = []
        for header in headers:
            current = kept[-1].title if kept else None
            stays = header.title in (WITHIN, OTHER, "vital_signs") and current in self.within
            if stays or header.title == ANYWHERE:
                continue
            kept.append(header._replace(title=OTHER) if header.title == WITHIN else header)
        return kept
