"""How far what a section says by itself reaches: "Allergies: NKDA. Presents with fever"."""

from bisect import bisect_left, bisect_right
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
# So it does with one of these, where no entity stands beside it: "FH: not on file. Cough".
SILENT = (
    *NOTHING,
    *("not", "n/c", "nc", "noncontributory", "non", "contributory", "negative", "unremarkable"),
    *("unobtainable", "adopted"),
)
ITEMS = ("-", "*", "+", "•", "●", "▪", "◦", "–", "—", "·", "#", "(", "[", ">", "o")
# Sections whose one line is all there is, when it starts beside the heading and ends in a stop.
BARE = ("family",)
ONE_LINE = ("conditional", "family", "historical")
FIELD = 3  # tokens up to the colon of a line that is a field of its own: "Pain: 4/10"
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
        self.silent = frozenset(way[0] for word in SILENT for way in cut(word))
        numbers = [f"{number}{dot}" for number in range(1, 31) for dot in ("", ".")]
        self.items = word_set(cut, [*ITEMS, *numbers])
        self.stops = word_set(cut, (".",))
        self.bare = word_set(cut, BARE)
        self.commas = word_set(cut, (",", ";"))
        self.colons = word_set(cut, (":",))

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
        starts = [start for start, _ in entities]
        silent = {
            head: self._says_nothing(tokens, starts, head)
            for head in dict.fromkeys(heads)
            if head is not None
        }
        # Behind an empty line a line that is no item starts something else.
        breaks = [
            token
            for token, gap in enumerate(tokens.gaps)
            if gap == BLANK and tokens.words[token] not in self.items
        ]
        resets = [mark for mark in marks if mark[2].resets]
        return [
            head.title
            # Of white space alone nothing is said.
            if head is not None
            and entity[0] < entity[1]
            and not (self.defaults[head.title] == "hypothetical" and kinds(number)[0] == FINDING)
            and not (entity[0] > head.end and silent[head])
            and self._holds(tokens, breaks, resets, entity, head)
            else None
            for number, (entity, head) in enumerate(zip(entities, heads, strict=True))
        ]

    def _holds(
        self,
        tokens: Tokens,
        breaks: Sequence[int],
        resets: Sequence[Mark],
        entity: tuple[int, int],
        head: Head,
    ) -> bool:
        start, category = entity[0], self.defaults[head.title]
        words, gaps = tokens.words, tokens.gaps
        if start <= head.end:
            # "Plan: CT showed no bleed" tells of what was done.
            done = category == "hypothetical"
            return not (done and self._reset(tokens, resets, head.end, entity, category))
        if category == "conditional" and words[head.end] in self.nothing:
            return False
        if (
            category == "family"
            and words[head.start] in self.bare
            and head.end - head.start == 2
            and words[head.end - 1] in self.colons
        ):
            # "Family: at bedside." says who is there, "Family: DM, CAD" what they have.
            return tokens.first[start] == tokens.first[head.end - 1]
        line = start
        while line > head.end and not (gaps[line] >= LINE and tokens.first[line] == line):
            line -= 1
        item = words[line] in self.items
        if category != "hypothetical":
            after = bisect_right(breaks, head.end)
            if after < len(breaks) and breaks[after] <= start:
                return False
            if not item and BLANK in gaps[head.end + 1 : start + 1]:
                return False
        if category in ONE_LINE and gaps[head.end] < LINE and line > head.end and not item:
            if words[line - 1] in self.stops:
                return False
            # "PMH: OA", and below "Pain: 4/10"; under "Allergies:" that names an allergy.
            if category == "historical" and self._is_field(tokens, line):
                return False
        return not self._reset(tokens, resets, max(line, head.end), entity, category)

    def _is_field(self, tokens: Tokens, line: int) -> bool:
        """Whether a line starts with a short heading of its own: "Pain: 4/10"."""
        last = min(line + FIELD + 1, len(tokens.words))
        return any(
            tokens.words[token] in self.colons
            for token in range(line + 1, last)
            if max(tokens.gaps[line + 1 : token + 1]) < LINE
        )

    def _says_nothing(self, tokens: Tokens, starts: Sequence[int], head: Head) -> bool:
        """Whether a section's first words are all it says: "FH: not on file.", "PMH: none"."""
        words, gaps, end = tokens.words, tokens.gaps, head.end
        while end < len(words) and words[end] not in self.stops:
            if end > head.end and gaps[end] >= LINE:
                break
            end += 1
        entity = bisect_left(starts, head.end)
        if end == head.end or (entity < len(starts) and starts[entity] < end):
            return False
        said = self.defaults[head.title] in ("family", "historical")
        return said and not self.silent.isdisjoint((words[head.end], words[end - 1]))

    def _reset(
        self,
        tokens: Tokens,
        resets: Sequence[Mark],
        line: int,
        entity: tuple[int, int],
        category: str,
    ) -> bool:
        """Whether words of the entity's line speak of now, or of the patient; in a plan, whether
        words of its sentence say that it was done."""
        begin, end = entity
        clause, last = end, tokens.last[end - 1]
        while clause < last and tokens.words[clause] not in self.commas:
            clause += 1
        if category == "hypothetical":
            line = max(line, tokens.first[begin])
        number, stop = (bisect_left(resets, at, key=lambda mark: mark[0]) for at in (line, clause))
        return any(
            category in cue.resets
            for start, _, cue in resets[number:stop]
            if (start >= begin or cue.direction != "backward")
            and start < (clause if category == "historical" or cue.direction == "backward" else end)
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
