from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from spacy_clinner.pipeline.context.lexicon import Cue
from spacy_clinner.pipeline.phrases import PhraseTokenizer, PhraseTrie, longest

COMMAS = (",", "،", "、")
CONJUNCTIONS = ("and", "or", "nor", "/", "&", "and/or", "plus")
ALTERNATIVES = ("or", "nor", "/", "and/or")
# What may follow a cue that stands alone: "Fever: no."
STOPS = (".", ",", ";", ")", "]", "!", "?", "(", "|", "..", "*")
ITEM = 6  # tokens that one item of a list may have


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the rules see of a document: its tokens without white space.

    words (list[int]): The hash of each token's lower form.
    first (list[int]): Per token, the first token of its sentence.
    last (list[int]): Per token, one past the last token of its sentence.
    """

    words: list[int]
    first: list[int]
    last: list[int]


Mark = tuple[int, int, Cue]
Found = dict[str, Mark]


class ContextRules:
    """Cues and their scopes: which entities does each cue speak about?

    All cues are found in one pass over the tokens; every scope ends at its sentence's end, at a
    terminator, or where the window runs out. The cost is close to linear in tokens and entities.
    """

    def __init__(self, cues: Mapping[str, Cue], cut: PhraseTokenizer) -> None:
        """Compile cues.

        cues (Mapping[str, Cue]): By id.
        cut (PhraseTokenizer): Cuts their phrases into tokens.
        """
        self.trie: PhraseTrie[Cue] = PhraseTrie()
        # Where a phrase has two meanings, the one that must stand alone is tried first.
        for cue in sorted(cues.values(), key=lambda cue: not cue.alone):
            for phrase in cue.phrases:
                for words in cut(phrase):
                    self.trie.add(words, cue)
        self.commas = frozenset(way[0] for sign in COMMAS for way in cut(sign))
        self.conjunctions = frozenset(
            way[0] for word in CONJUNCTIONS for way in cut(word) if len(way) == 1
        )
        self.alternatives = frozenset(
            way[0] for word in ALTERNATIVES for way in cut(word) if len(way) == 1
        )
        self.separators = self.commas | self.conjunctions
        self.stops = frozenset(way[0] for sign in STOPS for way in cut(sign) if len(way) == 1)

    def marks(self, tokens: Tokens, starts: Sequence[int] = ()) -> list[Mark]:
        """The cues in a text, without overlaps, in order.

        tokens (Tokens): The text.
        starts (Sequence[int]): Where entities start, sorted. A pseudo cue that runs into an
            entity is none: "no change in" says nothing about vision, but "no [change in
            vision]" is a negated entity.
        RETURNS (list[tuple[int, int, Cue]]): First token, one past the last token, cue.
        """
        words, last = tokens.words, tokens.last
        cues: list[Mark] = []
        terminators: list[Mark] = []
        for mark in self.trie.find(words):
            start, end, cue = mark
            if end > last[start]:
                continue
            if cue.role == "terminator":
                terminators.append(mark)
            elif cue.role == "pseudo":
                entity = bisect_left(starts, start + 1)
                if entity == len(starts) or starts[entity] >= end:
                    cues.append(mark)
            elif not cue.alone or end == last[start] or words[end] in self.stops:
                cues.append(mark)
        # Terminators may overlap cues and each other: "he denies" starts a clause, and "denies" is
        # a cue; "who" ends more scopes than "who presented".
        return sorted(longest(cues) + terminators, key=lambda mark: mark[:2])

    def __call__(
        self,
        tokens: Tokens,
        entities: Sequence[tuple[int, int]],
        groups: Sequence[str | None] | None = None,
    ) -> list[Found]:
        """Find what the cues say about entities.

        tokens (Tokens): The text.
        entities (Sequence[tuple[int, int]]): First token and one past the last, sorted.
        groups (Sequence[str | None] | None): Their UMLS semantic groups, where known.
        RETURNS (list[dict[str, tuple[int, int, Cue]]]): Per entity, by category, the nearest cue.
        """
        marks = self.marks(tokens, [start for start, _ in entities])
        return _Scopes(self, tokens, marks, entities, groups or [None] * len(entities)).run()


class _Scopes:
    """One pass over one text."""

    def __init__(
        self,
        rules: ContextRules,
        tokens: Tokens,
        marks: list[Mark],
        entities: Sequence[tuple[int, int]],
        groups: Sequence[str | None],
    ) -> None:
        self.groups = groups
        self.rules = rules
        self.tokens = tokens
        self.marks = marks
        self.entities = entities
        self.starts = [start for start, _ in entities]
        # The furthest end among an entity and all before it: is a token inside any of them?
        self.reach = list(accumulate((end for _, end in entities), max))
        self.by_end = sorted(range(len(entities)), key=lambda entity: entities[entity][1])
        self.ends = [entities[entity][1] for entity in self.by_end]
        separators = rules.separators
        self.separators = [index for index, word in enumerate(tokens.words) if word in separators]
        self.found: list[Found] = [{} for _ in entities]
        self.distances: list[dict[str, int]] = [{} for _ in entities]

    def run(self) -> list[Found]:
        for number, (start, end, cue) in enumerate(self.marks):
            if cue.role != "cue":
                continue
            if cue.direction == "inside":
                self._inside(start, end, number)
                continue
            before = bisect_left(self.starts, start)
            covered = before > 0 and self.reach[before - 1] >= end
            if cue.direction != "backward" and not covered:
                self._forward(number)
            if cue.direction != "forward":
                self._backward(number, covered)
        return self.found

    def _assign(self, entity: int, category: str, mark: Mark, distance: int) -> None:
        if self.groups[entity] in mark[2].skips:
            return
        if distance < self.distances[entity].get(category, 1 << 30):
            self.distances[entity][category] = distance
            self.found[entity][category] = mark

    def _inside(self, start: int, end: int, number: int) -> None:
        """A word that negates itself ("nontender"), and what its entity holds of it ("tender")."""
        mark = self.marks[number]
        entity = bisect_left(self.starts, start)
        while entity < len(self.starts) and self.starts[entity] < end:
            if self.entities[entity][1] >= end:
                for category in mark[2].categories:
                    self._assign(entity, category, mark, 0)
            entity += 1

    def _forward(self, number: int) -> None:
        mark = self.marks[number]
        start, end, cue = mark
        for category in cue.categories:
            stop = self._forward_stop(number, category)
            entity = bisect_left(self.starts, start)
            while entity < len(self.starts) and self.starts[entity] < stop:
                first, last = self.entities[entity]
                if first >= end or (cue.within and last > end) or first > start:
                    self._assign(entity, category, mark, max(first - end, 0))
                entity += 1

    def _forward_stop(self, number: int, category: str) -> int:
        """One past the last token at which an entity in a cue's forward scope may start."""
        start, end, cue = self.marks[number]
        stop = self.tokens.last[start]
        for following in range(number + 1, len(self.marks)):
            next_start, _, other = self.marks[following]
            if next_start >= stop:
                break
            if next_start < end:
                continue
            # A nearer cue takes over; a narrow one inside a wide scope does not end it.
            nearer = (
                category in other.categories
                and other.direction == "forward"
                and other.window >= cue.window
            )
            contradicted = next_start > end and _contradict(category, other)
            if category in other.ends or nearer or contradicted:
                stop = next_start
        return self._window_end(end, cue, stop)

    def _window_end(self, end: int, cue: Cue, stop: int) -> int:
        """Where a forward window runs out; each separator of a list opens it anew."""
        limit = end + cue.window + 1
        words, alternatives = self.tokens.words, self.rules.alternatives
        for number in range(bisect_left(self.separators, end), len(self.separators)):
            separator = self.separators[number]
            if separator >= min(limit, stop):
                break
            if not cue.lists and words[separator] not in alternatives:
                return separator
            limit = separator + cue.window + 1
        return min(limit, stop)

    def _backward(self, number: int, covered: bool) -> None:
        mark = self.marks[number]
        start, end, cue = mark
        for category in cue.categories:
            # A cue at the end of an entity ("HIV negative") speaks of that entity alone.
            low, high = (
                (end - 1, end) if covered else (self._backward_stop(number, category), start)
            )
            for index in range(bisect_right(self.ends, low), bisect_right(self.ends, high)):
                entity = self.by_end[index]
                if self.starts[entity] < start:
                    self._assign(entity, category, mark, max(start - self.ends[index], 0))

    def _backward_stop(self, number: int, category: str) -> int:
        """The token after which an entity in a cue's backward scope must end."""
        start, _, cue = self.marks[number]
        low = self.tokens.first[start]
        for before in range(number - 1, -1, -1):
            _, previous_end, other = self.marks[before]
            if previous_end <= low:
                break
            same = category in other.categories and other.direction == "backward"
            if previous_end <= start and (category in other.ends or same):
                low = previous_end
        return self._window_start(start, cue, low)

    def _window_start(self, start: int, cue: Cue, low: int) -> int:
        """Where a backward window runs out: at a comma, unless a list leads up to the cue."""
        limit = start - cue.window
        in_list = cue.lists
        words = self.tokens.words
        for number in range(bisect_left(self.separators, start) - 1, -1, -1):
            separator = self.separators[number]
            # The item after the separator may be some words long itself.
            if separator < max(limit - ITEM, low):
                break
            if words[separator] in self.rules.conjunctions:
                in_list = True
            elif not in_list:
                return max(limit - 1, separator, low)
            limit = separator
        return max(limit - 1, low)


def _contradict(category: str, other: Cue) -> bool:
    """Whether a later cue speaks against a scope: "no fracture, possible sprain"."""
    return (category == "negated" and "uncertain" in other.categories) or (
        category == "uncertain" and "negated" in other.categories
    )
