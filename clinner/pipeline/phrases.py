"""Finding many phrases in one pass over a document's tokens: the matcher that rules share."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Generic, TypeVar

from spacy.language import Language

from clinner.errors import ClinnerError

V = TypeVar("V")

GROUP = re.compile(r"\{([^{}()|]*)\}")
CHOICE = re.compile(r"\(([^()]*)\)")
PIECE = re.compile(r"[^\W_]+|[^\w\s]|_")
# Longer phrases are typing errors; the limit also bounds what one pattern may expand to.
MAX_EXPANSION = 5_000


def expand(pattern: str, groups: Mapping[str, Sequence[str]], where: str = "") -> list[str]:
    """All phrases that a pattern stands for.

    pattern (str): Words; `(a|b|)` is a choice whose empty part makes it optional, `{group}` one
        of the words or phrases of a named group. Groups may use choices and other groups.
    groups (Mapping[str, Sequence[str]]): The named groups.
    where (str): What to name in an error.
    RETURNS (list[str]): The phrases in the pattern's order, without repeats.
    RAISES (ClinnerError): An unknown group, a parenthesis without its partner, or a pattern that
        stands for more than 5,000 phrases.
    """
    text = pattern
    for _ in range(10):
        match = GROUP.search(text)
        if match is None:
            break
        if match[1] not in groups:
            raise ClinnerError(f"{where}: pattern {pattern!r} names an unknown group {match[1]!r}.")
        text = text.replace(match[0], f"({'|'.join(groups[match[1]])})")
    phrases = [text]
    while any("(" in phrase for phrase in phrases):
        phrases = list(dict.fromkeys(_expand_innermost(phrases, pattern, where)))
        if len(phrases) > MAX_EXPANSION:
            raise ClinnerError(
                f"{where}: pattern {pattern!r} stands for more than {MAX_EXPANSION} phrases; "
                "split it or drop a choice."
            )
    if any(sign in phrase for phrase in phrases for sign in "(){}|"):
        raise ClinnerError(f"{where}: pattern {pattern!r} has a bracket or | without its partner.")
    phrases = [" ".join(phrase.split()) for phrase in phrases]
    return [phrase for phrase in dict.fromkeys(phrases) if phrase]


def _expand_innermost(phrases: Iterable[str], pattern: str, where: str) -> Iterator[str]:
    for phrase in phrases:
        parts = CHOICE.split(phrase)
        if len(parts) == 1 and "(" in phrase:
            raise ClinnerError(f"{where}: pattern {pattern!r} has a bracket without its partner.")
        choices = [
            part.split("|") if number % 2 else [part] for number, part in enumerate(parts)
        ]
        for combination in product(*choices):
            yield "".join(combination)


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
        length = len(words)
        for start in [index for index, word in enumerate(words) if word in root]:
            node = root[words[start]]
            end = start + 1
            while True:
                if None in node:
                    found.extend((start, end, value) for value in node[None])
                node = node.get(words[end]) if end < length else None
                if node is None:
                    break
                end += 1
        return found


def tokenizations(nlp: Language, phrase: str) -> Iterator[list[int]]:
    """The ways in which a phrase may come out of a tokenizer, as hashes of lower forms.

    The pipeline's own tokenizer is what counts; splitting at every sign, and at white space only,
    are there because a tokenizer may treat a phrase in a sentence differently.

    nlp (Language): The pipeline.
    phrase (str): The phrase.
    YIELDS (list[int]): One hash per token that is not white space.
    """
    strings = nlp.vocab.strings
    for written in dict.fromkeys((phrase, phrase.replace("'", "’"), phrase.capitalize())):
        tokens = [token.text for token in nlp.tokenizer(written) if not token.is_space]
        for words in (tokens, PIECE.findall(written), written.split()):
            yield [strings.add(word.lower()) for word in words]


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
