"""How far what a section says by itself reaches: "Allergies: NKDA. Presents with fever"."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from spacy.tokens import Doc

from spacy_clinner.annotation import store
from spacy_clinner.pipeline.context.tokens import (
    BLANK,
    LINE,
    Entities,
    Kinds,
    Mark,
    Offsets,
    Tokens,
    word_set,
)
from spacy_clinner.pipeline.phrases import PhraseTokenizer

# A section that says it has nothing says nothing of what follows.
NOTHING = ("nkda", "nka", "nkma", "nkfa", "none", "no", "denies", "nil", "unknown", "deferred")
ITEMS = ("-", "*", "+", "•", "●", "▪", "◦", "–", "—", "·", "#", "(", "[", ">", "o")
# Sections whose one line is all there is, when it starts beside the heading and ends in a stop.
BARE = ("family",)
ONE_LINE = ("conditional", "family")
# What is planned is given or done; a finding that a plan names is there: "HTN: start lisinopril".
FINDING = "Disorders"


class Head(NamedTuple):
    """A section: its title, and its heading's first token and one past the last."""

    title: str
    start: int
    end: int


class SectionDefaults:
    """Decides for which entities a section's default holds."""

    def __init__(self, defaults: Mapping[str, str], cut: PhraseTokenizer) -> None:
        """Make it.

        defaults (Mapping[str, str]): Section title to category.
        cut (PhraseTokenizer): Cuts words into tokens.
        """
        self.defaults = defaults
        self.nothing = word_set(cut, NOTHING)
        numbers = [f"{number}{dot}" for number in range(1, 31) for dot in ("", ".")]
        self.items = word_set(cut, [*ITEMS, *numbers])
        self.stops = word_set(cut, (".",))
        self.bare = word_set(cut, BARE)
        self.commas = word_set(cut, (",", ";"))

    def __call__(
        self,
        tokens: Tokens,
        marks: Sequence[Mark],
        entities: Entities,
        heads: Sequence[Head | None],
        kinds: Kinds,
    ) -> list[str | None]:
        """The titles of the sections whose defaults hold, per entity.

        tokens (Tokens): The text.
        marks (Sequence[tuple[int, int, Cue]]): Its cues.
        entities (Sequence[tuple[int, int]]): First token and one past the last, sorted.
        heads (Sequence[Head | None]): Per entity, its section, if that has a default.
        kinds (Callable[[int], tuple[str, str]]): The semantic group and label of an entity by its
            number.
        RETURNS (list[str | None]): Titles; None where a default does not hold.
        """
        if not any(heads):
            return [None] * len(heads)
        resets = [mark for mark in marks if mark[2].resets]
        return [
            head.title
            # Of white space alone nothing is said.
            if head is not None
            and entity[0] < entity[1]
            and not (self.defaults[head.title] == "hypothetical" and kinds(number)[0] == FINDING)
            and self._holds(tokens, resets, entity, head, self.defaults[head.title])
            else None
            for number, (entity, head) in enumerate(zip(entities, heads, strict=True))
        ]

    def _holds(
        self,
        tokens: Tokens,
        resets: Sequence[Mark],
        entity: tuple[int, int],
        head: Head,
        category: str,
    ) -> bool:
        start, end = entity
        words, gaps = tokens.words, tokens.gaps
        if start <= head.end:
            return True
        if category == "conditional" and words[head.end] in self.nothing:
            return False
        if (
            category == "family"
            and tokens.words[head.start] in self.bare
            and head.end - head.start == 2
        ):
            # "Family: at bedside." says who is there, "Family: DM, CAD" what they have.
            return tokens.first[start] == tokens.first[head.end - 1]
        line = start
        while line > head.end and not (gaps[line] >= LINE and tokens.first[line] == line):
            line -= 1
        item = words[line] in self.items
        if category != "hypothetical" and not item and BLANK in gaps[head.end + 1 : start + 1]:
            return False
        beside = gaps[head.end] < LINE
        if category in ONE_LINE and beside and line > head.end and not item:
            return words[line - 1] not in self.stops
        return not self._reset(tokens, resets, max(line, head.end), end, category)

    def _reset(
        self, tokens: Tokens, resets: Sequence[Mark], line: int, end: int, category: str
    ) -> bool:
        """Whether words of the entity's line speak of now, or of the patient."""
        clause = end
        last = tokens.last[end - 1]
        while clause < last and tokens.words[clause] not in self.commas:
            clause += 1
        number = bisect_right(resets, line - 1, key=lambda mark: mark[0])
        return any(
            category in cue.resets
            for start, _, cue in resets[number:]
            if start < (clause if category == "historical" else end)
        )


def section_heads(
    doc: Doc, offsets: Offsets, entities: Entities, defaults: Mapping[str, str]
) -> list[Head | None]:
    """Per entity its section, if that says something by itself; `offsets` is of its tokens."""
    sheet = store.sheet_of(doc)
    stored = () if sheet is None else sheet.get("sections", ())
    if not any(title in defaults for title, _, _, _ in stored):
        return [None] * len(entities)
    heads: list[Head | None] = []
    begins = []
    for title, header, start, _ in stored:
        begins.append(int(offsets[0].searchsorted(start)))
        end = begins[-1] if header is None else int(offsets[0].searchsorted(header[1]))
        heads.append(Head(title, begins[-1], end) if title in defaults else None)
    numbers = (bisect_right(begins, start) - 1 for start, _ in entities)
    return [heads[number] if number >= 0 else None for number in numbers]
