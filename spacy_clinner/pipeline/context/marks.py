"""Where cues stand in a text: every phrase of the lexicon, and which of them are meant."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spacy_clinner.pipeline.context.lexicon import Cue
from spacy_clinner.pipeline.phrases import PhraseTokenizer, PhraseTrie, longest
from spacy_clinner.pipeline.token_kinds import BLANK_LINE, NEWLINE, TokenKinds

COMMAS = (",", "،", "、")
# What may follow a cue that stands alone: "Fever: no."
STOPS = (".", ",", ";", ")", "]", "!", "?", "(", "[", "|", "..", "*", "•")
# After a question mark a new sentence starts, and yet "? no" is one answer.
QUESTION = ("?",)
# What stands between the name of a finding and the answer in a form.
BETWEEN = (":", "=", "-", "–", "—", "|")
SLASHES = ("/", "(", "[", ":", *COMMAS, ";")
BARE = ("-", "–", "−", "+")
# A cue that looks both ways looks back where one of these follows: "stopped in 2020".
PREPOSITIONS = (
    "in", "on", "by", "for", "due", "because", "after", "at", "from", "with", "to", "since", "when",
    "last", "yesterday", "today", "during", "given", "and", "but", "as", "until", "this", "pending",
    "ago", "secondary", "prior", "before", "on", "so", "then", "who", "which", "now", "per", "if",
)  # fmt: skip
NEAR = 12  # tokens, at least those of the longest pseudo cue
AHEAD = 4  # tokens up to an entity that a cue which looks both ways looks ahead to
# White space before a token, from `Tokens.gaps`.
NONE, SPACE, WIDE, LINE, BLANK = range(5)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the rules see of a document: its tokens without white space.

    words (list[int]): The hash of each token's lower form.
    first (list[int]): Per token, the first token of its sentence.
    last (list[int]): Per token, one past the last token of its sentence.
    gaps (list[int]): Per token, the white space before it: none, a space, more than a space or
        a tab, a line end, an empty line (`NONE` to `BLANK`).
    """

    words: list[int]
    first: list[int]
    last: list[int]
    gaps: list[int]


def white_space(
    offsets: np.ndarray, keep: np.ndarray, orths: np.ndarray, kinds: TokenKinds
) -> list[int]:
    """The white space before each token, for `Tokens.gaps`.

    offsets (ndarray): Shape (tokens without white space, 2): start and end in characters.
    keep (ndarray): Shape (tokens,), bool: not white space.
    orths (ndarray): Shape (tokens,): their `ORTH`.
    kinds (TokenKinds): A cache over the vocabulary.
    RETURNS (list[int]): `NONE` to `BLANK`.
    """
    if not len(offsets):
        return []
    before = np.concatenate(([offsets[0, 0]], offsets[:-1, 1]))
    gaps: list[int] = (offsets[:, 0] > before).astype(np.int64).tolist()
    following = np.cumsum(keep)
    for token in np.flatnonzero(~keep).tolist():
        after = int(following[token])
        if after < len(gaps):
            kind = kinds[int(orths[token])]
            gap = BLANK if kind & BLANK_LINE else LINE if kind & NEWLINE else WIDE
            gaps[after] = max(gaps[after], gap)
    return gaps


Mark = tuple[int, int, Cue]
Entities = Sequence[tuple[int, int]]


def word_set(cut: PhraseTokenizer, words: Sequence[str]) -> frozenset[int]:
    """The hashes of words that are one token each."""
    return frozenset(way[0] for word in words for way in cut(word) if len(way) == 1)


class CueFinder:
    """Finds the cues of a text in one pass, and settles which of them hold where they overlap."""

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
        self.turned = {
            (cue.id, way): replace(cue, direction=way)
            for cue in cues.values()
            if cue.place == "sign"
            for way in ("forward", "backward")
        }
        self.commas = word_set(cut, COMMAS)
        self.stops = word_set(cut, STOPS)
        self.question = word_set(cut, QUESTION)
        self.between = word_set(cut, BETWEEN)
        self.slashes = word_set(cut, SLASHES)
        self.bare = word_set(cut, BARE)
        self.plus = word_set(cut, ("+",))
        self.glued = word_set(cut, ("nt",))
        self.prepositions = word_set(cut, PREPOSITIONS)

    def __call__(self, tokens: Tokens, entities: Entities = ()) -> list[Mark]:
        """The cues in a text, in order; only terminators may overlap others.

        tokens (Tokens): The text.
        entities (Sequence[tuple[int, int]]): First token and one past the last, sorted. A pseudo
            cue that runs into an entity is none: "no change in" says nothing about vision, but
            "no [change in vision]" is a negated entity.
        RETURNS (list[tuple[int, int, Cue]]): First token, one past the last token, cue.
        """
        starts = [start for start, _ in entities]
        ends = {end for _, end in entities}
        cues: list[Mark] = []
        terminators: list[Mark] = []
        hiding: list[Mark] = []
        signs: list[Mark] = []
        for mark in self.trie.find(tokens.words):
            start, end, cue = mark
            if end > tokens.last[start] and tokens.words[start] not in self.question:
                continue
            if tokens.words[start] in self.glued and tokens.gaps[start] != NONE:
                continue  # "didnt" ends in "nt"; "soft, NT" does not
            if cue.place == "sign":
                signs.append(mark)
            elif cue.role == "terminator":
                terminators.append(mark)
            elif cue.role == "pseudo":
                entity = bisect_left(starts, start + 1)
                if entity == len(starts) or starts[entity] >= end:
                    (hiding if cue.hides else cues).append(mark)
            elif self._may_stand(tokens, mark, entities, starts, ends):
                cues.append(mark)
        if hiding:
            cues = [mark for mark in cues if not _hidden(mark, hiding)]
        directed = self._directed(tokens, cues, starts, ends)
        cues = longest(directed)
        spans = {mark[:2] for mark in cues}
        cues += [mark for mark in directed if mark[:2] in spans and mark not in cues]
        if signs:
            # "[ ] yes [x] no" is one answer, no two boxes.
            longer = {
                token for start, end, _ in cues if end - start > 3 for token in range(start, end)
            }
            signs = [mark for mark in signs if mark[0] not in longer]
            signs = self._signs(tokens, signs, starts, ends)
            taken = {token for start, end, _ in signs for token in range(start, end)}
            cues = [mark for mark in cues if taken.isdisjoint(range(mark[0], mark[1]))]
            cues += [mark for mark in signs if mark[2].role == "cue"]
            terminators += [mark for mark in signs if mark[2].role == "terminator"]
        # Terminators may overlap cues and each other: "he denies" starts a clause, and "denies" is
        # a cue; "who" ends more scopes than "who presented".
        return sorted(cues + terminators, key=lambda mark: mark[:2])

    def _may_stand(
        self,
        tokens: Tokens,
        mark: Mark,
        entities: Entities,
        starts: Sequence[int],
        ends: set[int],
    ) -> bool:
        """Whether a cue that must stand alone, or fill an answer's place, does."""
        start, end, cue = mark
        if cue.alone and not self._stands_alone(tokens, start, end, entities, starts):
            return False
        if cue.place != "answer":
            return True
        if not start or tokens.first[start] == start:
            return False
        return tokens.gaps[start] == WIDE or start in ends

    def _stands_alone(
        self, tokens: Tokens, start: int, end: int, entities: Entities, starts: Sequence[int]
    ) -> bool:
        words = tokens.words
        if end == tokens.last[end - 1] or words[end] in self.stops or tokens.gaps[end] >= WIDE:
            return True
        # "Fever=No Cough=Yes": the next field follows, cut like this one.
        entity = bisect_left(starts, end)
        if words[start] not in self.between or entity == len(starts) or starts[entity] != end:
            return False
        after = entities[entity][1]
        return after < tokens.last[end] and words[after] == words[start]

    def _directed(
        self, tokens: Tokens, cues: Sequence[Mark], starts: Sequence[int], ends: set[int]
    ) -> Sequence[Mark]:
        """Drop cues that look the wrong way.

        Of "is negative" and "negative for" the one that looks ahead holds; a phrase that may look
        either way looks ahead where an entity follows it, and back where none does.
        """
        ways: dict[tuple[int, int], set[str]] = {}
        for start, end, cue in cues:
            ways.setdefault((start, end), set()).add(cue.direction)
        both = {span for span, found in ways.items() if {"forward", "backward"} <= found}
        forward = [(start, end, cue) for start, end, cue in cues if cue.direction == "forward"]
        if not forward:
            return cues
        begins = [start for start, _, _ in forward]
        clipped = {
            (start, end)
            for start, end, cue in cues
            if cue.direction == "backward" and end - start > 1
            for _, stop, other in forward[bisect_right(begins, start) : bisect_left(begins, end)]
            if end < stop and cue.categories & other.categories
        }
        # ... and "allergies: none" is an answer, no list of allergies.
        answers = [mark for mark in cues if mark[2].alone and mark[2].direction == "backward"]
        begins = [start for start, _, _ in answers]
        answered = {
            (start, end)
            for start, end, cue in forward
            if end - start > 1
            for _, stop, _ in answers[bisect_right(begins, start) : bisect_left(begins, end)]
            if end < stop
        }
        kept: list[Mark] = []
        for mark in cues:
            start, end, cue = mark
            if (start, end) in (clipped if cue.direction == "backward" else answered):
                continue
            if (start, end) in both and cue.role == "cue":
                said = any(token in ends for token in range(start - 1, start + 1))
                ahead = "forward" if self._looks_ahead(tokens, end, starts, said) else "backward"
                # "PE? pneumonia": a mark that touches its finding says so of both.
                touches = cue.direction == "backward" and said and not cue.window
                if cue.direction != ahead and not touches:
                    continue
            kept.append(mark)
        return kept

    def _looks_ahead(
        self, tokens: Tokens, end: int, starts: Sequence[int], follows_entity: bool
    ) -> bool:
        if end == tokens.last[end - 1] or tokens.gaps[end] >= WIDE:
            return False
        word = tokens.words[end]
        if word in self.stops or word in self.prepositions:
            return False
        entity = bisect_left(starts, end)
        near = entity < len(starts) and starts[entity] < min(end + AHEAD, tokens.last[end - 1])
        return near or not follows_entity

    def _signs(
        self, tokens: Tokens, signs: Sequence[Mark], starts: Sequence[int], ends: set[int]
    ) -> list[Mark]:
        """Signs and boxes, each turned to the finding it speaks of.

        Within a line all stand before their findings, or all after: the first one shows it.
        """
        begins = set(starts)
        lines: dict[int, list[Mark]] = {}
        signs = longest(signs)
        breaks = [index for index, gap in enumerate(tokens.gaps) if gap >= LINE]
        for mark in signs:
            line = bisect_left(breaks, mark[0] + 1)
            lines.setdefault(line, []).append(mark)
        kept: list[Mark] = []
        for marks in lines.values():
            marks = [mark for mark in marks if self._is_sign(tokens, mark, marks, begins, ends)]
            after = bool(marks) and marks[0][0] in ends
            for number, (start, end, cue) in enumerate(marks):
                following = marks[number + 1][0] if number + 1 < len(marks) else tokens.last[start]
                entity = bisect_left(starts, end)
                alone = entity == len(starts) or starts[entity] >= following
                way = "backward" if start in ends and (after or alone) else "forward"
                turned = cue if cue.role == "terminator" else self.turned[cue.id, way]
                kept.append((start, end, turned))
        return kept

    def _is_sign(
        self,
        tokens: Tokens,
        mark: Mark,
        line: Sequence[Mark],
        begins: set[int],
        ends: set[int],
    ) -> bool:
        """Whether a hyphen or a plus is a sign, and no dash, bullet, range or "and"."""
        start, end, _ = mark
        words, gaps = tokens.words, tokens.gaps
        if end - start > 1 or words[start] not in self.bare:
            return True
        opens = not start or gaps[start] >= LINE
        glued = end < len(words) and gaps[end] == NONE
        separated = opens or words[start - 1] in self.slashes
        others = any(other is not mark and self._shows(tokens, other) for other in line)
        if end in begins:
            if glued and not opens and (gaps[start] != NONE or separated):
                return True
            if separated and (others or (words[start] in self.plus and not opens)):
                return True
        if start not in ends:
            return False
        closes = end == tokens.last[start] or words[end] in self.stops or gaps[end] >= WIDE
        if gaps[start] == NONE and closes:
            return True
        return others and (closes or (end in begins and not glued))

    def _shows(self, tokens: Tokens, mark: Mark) -> bool:
        """Whether a sign shows that its line has signs: "(-)", "+x", ", -x", "x+"."""
        start, end, _ = mark
        if end - start > 1 or tokens.words[start] not in self.bare:
            return True
        opens = not start or tokens.gaps[start] >= LINE
        if opens:
            return tokens.words[start] in self.plus
        if tokens.words[start - 1] in self.slashes:
            return True
        glued = end < len(tokens.words) and tokens.gaps[end] == NONE
        return glued != (tokens.gaps[start] == NONE)


def _hidden(mark: Mark, hiding: Sequence[Mark]) -> bool:
    start, end, cue = mark
    # Pseudo cues are a few words long, so only those that start near by may hide it.
    near = bisect_left(hiding, start - NEAR, key=lambda other: other[0])
    for begin, stop, other in hiding[near:]:
        if begin >= end:
            return False
        if start < stop and end - start <= stop - begin and cue.categories <= other.hides:
            return bool(cue.categories)
    return False
