"""Finding many phrases in one pass over a document's tokens: the matcher that rules share."""

import gc
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from math import prod
from typing import Any, Generic, TypeVar

from spacy.language import Language

from spacy_clinner.errors import ClinnerError

V = TypeVar("V")

GROUP = re.compile(r"\{([^{}()|]*)\}")
CHOICE = re.compile(r"\(([^()]*)\)")
OPEN, CLOSE, BAR = "\ue000", "\ue001", "\ue002"  # stand in for \( \) \| during expansion
PIECE = re.compile(r"[^\W_]+|[^\w\s]|_")
# Longer phrases are typing errors; the limit also bounds what one pattern may expand to.
MAX_EXPANSION = 5_000
# Before repeats are left out.
MAX_MADE = 20 * MAX_EXPANSION
# Ways to cut one phrase into tokens; more would be a phrase of signs only.
MAX_WAYS = 32


def expand(pattern: str, groups: Mapping[str, Sequence[str]], where: str = "") -> list[str]:
    """All phrases that a pattern stands for.

    pattern (str): Words; `(a|b|)` is a choice whose empty part makes it optional, `{group}` one
        of the words or phrases of a named group. Groups may use choices and other groups. A
        bracket or bar that is meant as such is written \\(, \\) and \\|.
    groups (Mapping[str, Sequence[str]]): The named groups.
    where (str): What to name in an error.
    RETURNS (list[str]): The phrases in the pattern's order, without repeats.
    RAISES (ClinnerError): An unknown group, a parenthesis without its partner, or a pattern that
        stands for more than 5,000 phrases.
    """
    text = _escaped(pattern)
    for _ in range(10):
        match = GROUP.search(text)
        if match is None:
            break
        if match[1] not in groups:
            raise ClinnerError(f"{where}: pattern {pattern!r} names an unknown group {match[1]!r}.")
        text = text.replace(match[0], _escaped(f"({'|'.join(groups[match[1]])})"))
    phrases = [text]
    while any("(" in phrase for phrase in phrases):
        # Counted before they are made: forty choices of two would fill any memory.
        count = sum(map(_count_innermost, phrases))
        if count <= MAX_MADE:
            phrases = list(dict.fromkeys(_expand_innermost(phrases, pattern, where)))
            count = len(phrases)
        if count > MAX_EXPANSION:
            raise ClinnerError(
                f"{where}: pattern {pattern!r} stands for more than {MAX_EXPANSION} phrases; "
                "split it or drop a choice."
            )
    if any(sign in phrase for phrase in phrases for sign in "(){}|"):
        raise ClinnerError(f"{where}: pattern {pattern!r} has a bracket or | without its partner.")
    phrases = [" ".join(phrase.replace(" n't", "n't").split()) for phrase in phrases]
    for stand_in, sign in ((OPEN, "("), (CLOSE, ")"), (BAR, "|")):
        phrases = [phrase.replace(stand_in, sign) for phrase in phrases]
    return [phrase for phrase in dict.fromkeys(phrases) if phrase]


def _count_innermost(phrase: str) -> int:
    return prod(choice.count("|") + 1 for choice in CHOICE.findall(phrase))


def _escaped(pattern: str) -> str:
    return pattern.replace(r"\(", OPEN).replace(r"\)", CLOSE).replace(r"\|", BAR)


def _expand_innermost(phrases: Iterable[str], pattern: str, where: str) -> Iterator[str]:
    for phrase in phrases:
        parts = CHOICE.split(phrase)
        if len(parts) == 1 and "(" in phrase:
            raise ClinnerError(f"{where}: pattern {pattern!r} has a bracket without its partner.")
        choices = [part.split("|") if number % 2 else [part] for number, part in enumerate(parts)]
        for combination in product(*choices):
            yield "".join(combination)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Compile phrases without Python's collector of garbage, which would go through all that is
    there again and again, for three quarters of the time, and find that all of it stays."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class PhraseTrie(Generic[V]):
    """Phrases as a trie over the hashes of lower-cased tokens (`LOWER`)."""

    def __init__(self) -> None:
        self._root: dict[int | None, Any] = {}

    def __len__(self) -> int:
        return len(self._root)

    def add(self, words: Sequence[int], value: V) -> None:
        """Add a phrase; one phrase may have several values.

        words (Sequence[int]): The hash of each token's lower form.
        value (V): What `find` gives back for it.
        """
        node = self._root
        for word in words:
            node = node.setdefault(word, {})
        values = node.setdefault(None, [])
        if value not in values:
            values.append(value)

    def find(self, words: Sequence[int]) -> list[tuple[int, int, V]]:
        """All phrases in a sequence of tokens, by start, then by end.

        words (Sequence[int]): The hash of each token's lower form.
        RETURNS (list[tuple[int, int, V]]): First token, one past the last token, value.
        """
        root = self._root
        found: list[tuple[int, int, V]] = []
        add, length = found.append, len(words)
        for start in [index for index, word in enumerate(words) if word in root]:
            node = root[words[start]]
            end = start + 1
            while True:
                if None in node:
                    for value in node[None]:
                        add((start, end, value))
                if end == length:
                    break
                node = node.get(words[end])
                if node is None:
                    break
                end += 1
        return found


class PhraseTokenizer:
    """The ways in which a phrase may come out of a tokenizer, as hashes of lower forms.

    The pipeline's own tokenizer is what counts; splitting at every sign, and at white space only,
    are there because a tokenizer may treat a phrase in a sentence differently.
    """

    def __init__(self, nlp: Language) -> None:
        """Make it for a pipeline.

        nlp (Language): Its tokenizer cuts the phrases, its vocabulary holds the words.
        """
        self._nlp = nlp
        self._ways: dict[str, list[list[int]]] = {}

    def _cut(self, chunk: str) -> list[list[int]]:
        """The ways to cut a stretch without white space; tokenizers cut each on its own."""
        ways: dict[tuple[str, ...], None] = {}
        # "didnt" is cut like "didn't".
        forms = (chunk, chunk.replace("'", "’"), chunk.replace("n't", "nt"))
        for written in dict.fromkeys(forms):
            for cased in (written, written.capitalize(), written.upper()):
                tokens = self._nlp.tokenizer(cased)
                ways[tuple(token.lower_ for token in tokens)] = None
            ways[tuple(piece.lower() for piece in PIECE.findall(written))] = None
            ways[(written.lower(),)] = None
        add = self._nlp.vocab.strings.add
        return [[add(word) for word in words] for words in ways]

    def __call__(self, phrase: str) -> list[list[int]]:
        """Cut a phrase into tokens.

        phrase (str): The phrase.
        RETURNS (list[list[int]]): For each way to cut it, the hash of each token's lower form.
        """
        ways: list[list[int]] = [[]]
        for chunk in phrase.split():
            if chunk not in self._ways:
                self._ways[chunk] = self._cut(chunk)
            cuts = self._ways[chunk] if len(ways) < MAX_WAYS else self._ways[chunk][:1]
            ways = [way + cut for way in ways for cut in cuts]
        return ways


def longest(found: Sequence[tuple[int, int, V]]) -> list[tuple[int, int, V]]:
    """Drop phrases that overlap a longer one; of equally long ones the first stays.

    found (Sequence[tuple[int, int, V]]): Phrases as `PhraseTrie.find` orders them.
    RETURNS (list[tuple[int, int, V]]): Phrases that do not overlap, in order.
    """
    kept: list[tuple[int, int, V]] = []
    for phrase in found:
        start, end, _ = phrase
        while kept and kept[-1][1] > start and end - start > kept[-1][1] - kept[-1][0]:
            kept.pop()
        if not kept or kept[-1][1] <= start:
            kept.append(phrase)
    return kept
