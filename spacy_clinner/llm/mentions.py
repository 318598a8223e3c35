"""The records between a document and a language model: a passage of it, and what was answered."""

from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """What sorts mentions in reading order, outer ones before inner ones."""

    start: int
    minus_end: int
    label: str


@dataclass(frozen=True, slots=True)
class Mention:
    """A labelled stretch of a passage.

    label (str): Its label.
    start (int), end (int): Offsets in characters into the passage.
    heads (tuple[int, ...]): Of a modifier, which mentions of the passage it modifies.
    assertion (str | None): What is asserted of it, one of `annotation.said.ASSERTIONS`.
    """

    label: str
    start: int
    end: int
    heads: tuple[int, ...] = ()
    assertion: str | None = None

    @property
    def place(self) -> Place:
        return Place(self.start, -self.end, self.label)


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that is asked about at once.

    text (str): The text.
    mentions (tuple[Mention, ...]): In the order of their `place`, each place once.
    """

    text: str
    mentions: tuple[Mention, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """A mention as an answer names it: words, not yet a place in the text.

    label (str): Its label, as the answer writes it.
    words (str): The words.
    echo (tuple[int, int] | None): Where the words stand in the answer's own copy of the text.
    after (str): Words that stand right before it in the text; "" where the answer gives none.
    heads (tuple[int, ...]): Of a modifier, which mentions of the answer it modifies.
    assertion (str | None): What is asserted of it.
    """

    label: str
    words: str
    echo: tuple[int, int] | None = None
    after: str = ""
    heads: tuple[int, ...] = ()
    assertion: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a parser read in an answer.

    said (tuple[Said, ...]): The mentions, in the order of the answer.
    copy (str | None): The answer's copy of the text, without its marks.
    unreadable (int): Parts of the answer that are not in the format, and were passed over.
    fits (bool): Whether anything of it is in the format, if only to say that nothing was found.
    """

    said: tuple[Said, ...] = ()
    copy: str | None = None
    unreadable: int = 0
    fits: bool = True
