"""Where cues stand in a text: every phrase of the lexicon, and which of them are meant."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from operator import itemgetter

from spacy_clinner.pipeline.context.columns import Columns
from spacy_clinner.pipeline.context.lexicon import Cue
from spacy_clinner.pipeline.context.signs import Signs
from spacy_clinner.pipeline.context.tokens import (
    COMMAS,
    LINE,
    NONE,
    STOPS,
    WIDE,
    Entities,
    Mark,
    Tokens,
    word_set,
)
from spacy_clinner.pipeline.phrases import PhraseTokenizer, PhraseTrie, longest

# After a question mark a new sentence starts, and yet "? no" is one answer.
QUESTION = ("?",)
# A bullet starts a sentence, but not where it is a ticked box.
DOTS = ("●", "■")
# What stands between the name of a finding and the answer in a form.
BETWEEN = (":", "=", "?", "-", "–", "—")
# A cue that looks both ways looks back where one of these follows: "stopped in 2020".
PREPOSITIONS = (
    "in", "on", "by", "for", "due", "because", "after", "at", "from", "with", "to", "since", "when",
    "last", "yesterday", "today", "during", "given", "and", "but", "as", "until", "this", "pending",
    "ago", "secondary", "prior", "before", "on", "so", "then", "who", "which", "now", "per", "if",
    "changed", "switched", "replaced",
)  # fmt: skip
NEAR = 12  # tokens, at least those of the longest pseudo cue
HEAD = 8  # tokens up to the colon before a list
AHEAD = 4  # tokens up to an entity that a cue which looks both ways looks ahead to


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
        self.signs = Signs(cues, cut)
        self.columns = Columns(cut)
        self.commas = word_set(cut, COMMAS)
        self.stops = word_set(cut, STOPS)
        self.question = word_set(cut, QUESTION)
        self.colon = word_set(cut, (":",))
        self.dots = word_set(cut, DOTS)
        self.slash = word_set(cut, ("/",))
        self.between = word_set(cut, BETWEEN)
        self.glued = word_set(cut, ("nt",))
        self.prepositions = word_set(cut, PREPOSITIONS)

    def find(self, tokens: Tokens) -> list[Mark]:
        """Every phrase of the lexicon in a text, by start, then by end."""
        return self.trie.find(tokens.words)

    def __call__(
        self, tokens: Tokens, entities: Entities = (), phrases: Sequence[Mark] | None = None
    ) -> list[Mark]:
        """The cues in a text, in order; only terminators may overlap others.

        tokens (Tokens): The text.
        entities (Sequence[tuple[int, int]]): First token and one past the last, sorted. A pseudo
            cue that runs into an entity is none: "no change in" says nothing about vision, but
            "no [change in vision]" is a negated entity.
        phrases (Sequence[tuple[int, int, Cue]] | None): What `find` gives for the text, if known.
        RETURNS (list[tuple[int, int, Cue]]): First token, one past the last token, cue.
        """
        starts = [start for start, _ in entities]
        ends = {end for _, end in entities}
        cues: list[Mark] = []
        terminators: list[Mark] = []
        hiding: list[Mark] = []
        signs: list[Mark] = []
        if phrases is None:
            phrases = self.find(tokens)
        ticked, rows = self.columns(tokens, phrases)
        for mark in phrases:
            start, end, cue = mark
            if end > tokens.last[start] and not self._goes_over(tokens, start):
                continue
            if cue.place and (cue.place == "column" or cue.among == "table" or start in rows):
                continue
            if cue.place == "sign":
                signs.append(mark)
            elif cue.capitals and not _in_capitals(tokens, start):
                continue
            elif cue.role == "terminator":
                terminators.append(mark)
            elif cue.role == "pseudo":
                if self._hides(tokens, mark, entities, starts):
                    (hiding if cue.hides else cues).append(mark)
            elif self._may_stand(tokens, mark, entities, starts, ends):
                cues.append(mark)
        cues = self._longest(tokens, _shown(cues, hiding), starts, ends)
        if signs:
            cues = self._signed(tokens, cues, _shown(signs, hiding), starts, ends)
        # Terminators may overlap cues and each other: "he denies" starts a clause, and "denies" is
        # a cue; "who" ends more scopes than "who presented".
        return sorted(cues + terminators + ticked, key=itemgetter(0, 1))

    def _goes_over(self, tokens: Tokens, start: int) -> bool:
        """Whether a phrase may hold a sentence's end: "? no", "○ yes ● no"."""
        return tokens.words[start] in self.question or tokens.words[tokens.last[start]] in self.dots

    def _hides(self, tokens: Tokens, mark: Mark, entities: Entities, starts: Sequence[int]) -> bool:
        """Whether a pseudo cue is none of an entity's words, and stands alone where it must."""
        start, end, cue = mark
        entity = bisect_left(starts, start + 1)
        if entity < len(starts) and starts[entity] < end:
            return False
        return not cue.alone or self._stands_alone(tokens, start, end, entities, starts)

    def _signed(
        self,
        tokens: Tokens,
        cues: Sequence[Mark],
        signs: Sequence[Mark],
        starts: Sequence[int],
        ends: set[int],
    ) -> list[Mark]:
        """The cues, and of the signs those that are some."""
        # "[ ] yes [x] no" is one answer, no two boxes.
        within = {token: end - start for start, end, _ in cues for token in range(start, end)}
        signs = [mark for mark in longest(signs) if within.get(mark[0], 0) <= mark[1] - mark[0]]
        signs = self.signs(tokens, signs, starts, ends)
        taken = {token for start, end, _ in signs for token in range(start, end)}
        return [mark for mark in cues if taken.isdisjoint(range(mark[0], mark[1]))] + signs

    def _longest(
        self, tokens: Tokens, cues: Sequence[Mark], starts: Sequence[int], ends: set[int]
    ) -> list[Mark]:
        """The cues that look the right way, the longest where they overlap."""
        kept, touching = self._directed(tokens, cues, starts, ends)
        # "avoid" says one thing of what is given, and another of what may happen.
        touching += [mark for mark in kept if mark[2].only]
        kept = longest(kept)
        spans = {mark[:2]: mark for mark in kept}
        return kept + [mark for mark in touching if spans.get(mark[:2], mark) is not mark]

    def _asks(self, tokens: Tokens, start: int, end: int) -> bool:
        """Whether a question mark belongs to the word behind it alone."""
        words, gaps = tokens.words, tokens.gaps
        if end > start + 1 or words[start] not in self.question or gaps[start] == NONE:
            return False
        return end < len(words) and gaps[end] == NONE and words[end] not in self.stops

    def _may_stand(
        self,
        tokens: Tokens,
        mark: Mark,
        entities: Entities,
        starts: Sequence[int],
        ends: set[int],
    ) -> bool:
        """Whether a cue stands where it may: alone, say, or in an answer's place."""
        start, end, cue = mark
        if tokens.words[start] in self.glued and tokens.gaps[start] != NONE:
            return False  # "didnt" ends in "nt"; "soft, NT" does not
        if cue.direction == "backward" and self._asks(tokens, start, end):
            return False  # "fever ?source" asks for the source
        if cue.alone and not self._stands_alone(tokens, start, end, entities, starts):
            return False
        if cue.place != "answer":
            return True
        if not start or tokens.first[start] == start or _among(starts, start):
            return False
        return tokens.gaps[start] == WIDE or start in ends

    def _stands_alone(
        self, tokens: Tokens, start: int, end: int, entities: Entities, starts: Sequence[int]
    ) -> bool:
        words = tokens.words
        if end == tokens.last[end - 1] or words[end] in self.stops or tokens.gaps[end] == WIDE:
            return True
        if words[end] in self.slash and end + 1 < len(words) and _among(starts, end + 1):
            return True
        # "Fever=No Cough=Yes", "Fever yes / no Cough yes / no": a field alike follows.
        entity = bisect_left(starts, end)
        if entity == len(starts) or starts[entity] != end:
            return False
        if words[start] not in self.between and self.slash.isdisjoint(words[start:end]):
            return False
        after = entities[entity][1]
        same = after < len(words) and words[after] == words[start]
        return same and max(tokens.gaps[end], tokens.gaps[after]) < LINE

    def _directed(
        self, tokens: Tokens, cues: Sequence[Mark], starts: Sequence[int], ends: set[int]
    ) -> tuple[list[Mark], list[Mark]]:
        """Drop cues that look the wrong way.

        Of "is negative" and "negative for" the one that looks ahead holds, of "allergies:" and
        ": none" the answer; a phrase that may look either way looks ahead where an entity follows
        it, and back where none does.

        RETURNS (tuple[list[Mark], list[Mark]]): What is left; and marks that look back beside one
            of the same words that looks ahead: "PE? pneumonia" says so of both.
        """
        kept: list[Mark] = []
        touching: list[Mark] = []
        both: set[tuple[int, int]] = set()
        count = len(cues)
        for number, mark in enumerate(cues):
            start, end, cue = mark
            following = number + 1
            dropped = False
            while following < count and cues[following][0] < end:
                begin, stop, other = cues[following]
                following += 1
                if begin == start and stop == end:
                    if {other.direction, cue.direction} == {"forward", "backward"}:
                        both.add((start, end))
                elif begin > start and stop > end and other.direction != cue.direction:
                    ahead = cue.direction == "backward" and other.direction == "forward"
                    answer = cue.direction == "forward" and other.alone
                    if answer or (ahead and cue.categories & other.categories):
                        dropped = True
            if dropped:
                continue
            if (start, end) in both and cue.role == "cue":
                said = tokens.gaps[start] < LINE and (start in ends or start - 1 in ends)
                ahead = self._looks_ahead(tokens, end, starts, said)
                if cue.direction == "backward" and said and not cue.window:
                    (touching if ahead else kept).append(mark)
                    continue
                if (cue.direction == "forward") != ahead:
                    continue
            kept.append(mark)
        return kept, touching

    def _looks_ahead(
        self, tokens: Tokens, end: int, starts: Sequence[int], follows_entity: bool
    ) -> bool:
        if end == tokens.last[end - 1] or tokens.gaps[end] == WIDE:
            return False
        word = tokens.words[end]
        if follows_entity and (word in self.between or tokens.gaps[end] >= LINE):
            return False  # "aspirin not given - vomiting"
        if word in self.stops:
            return False
        if word in self.prepositions:
            # "medications discontinued during this visit: lisinopril"
            behind = tokens.words[end : min(end + HEAD, tokens.last[end - 1])]
            return not (follows_entity or self.colon.isdisjoint(behind))
        entity = bisect_left(starts, end)
        near = entity < len(starts) and starts[entity] < min(end + AHEAD, tokens.last[end - 1])
        if (
            near
            and follows_entity
            and not self.commas.isdisjoint(tokens.words[end : starts[entity]])
        ):
            return False  # "infusion stopped 1122, saline started"
        return near or not follows_entity


def _in_capitals(tokens: Tokens, token: int) -> bool:
    """Whether a word is written in capitals, and its sentence is not."""
    text, at = tokens.text(), [*tokens.at.tolist(), None]
    sentence = text[at[tokens.first[token]] : at[tokens.last[token]]]
    word = text[at[token] : at[token + 1]]
    return word.isupper() and any(letter.islower() for letter in sentence)


def _among(starts: Sequence[int], token: int) -> bool:
    place = bisect_left(starts, token)
    return place < len(starts) and starts[place] == token


def _shown(marks: Sequence[Mark], hiding: Sequence[Mark]) -> Sequence[Mark]:
    """The marks that no pseudo cue hides."""
    if not hiding:
        return marks
    under = {token for start, end, _ in hiding for token in range(start, end)}
    return [
        mark
        for mark in marks
        if (mark[0] not in under and mark[1] - 1 not in under) or not _hidden(mark, hiding)
    ]


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
