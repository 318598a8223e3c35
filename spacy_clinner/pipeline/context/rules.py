from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

from spacy_clinner.pipeline.context.lexicon import Cue
from spacy_clinner.pipeline.context.marks import CueFinder
from spacy_clinner.pipeline.context.tokens import (
    COMMAS,
    LINE,
    Entities,
    Mark,
    Tokens,
    word_set,
)
from spacy_clinner.pipeline.phrases import PhraseTokenizer

CONJUNCTIONS = ("and", "or", "nor", "/", "&", "and/or", "plus")
ALTERNATIVES = ("or", "nor", "/", "and/or")
COLONS = (":", "：")
# A colon after one of these only introduces the list that the cue speaks about.
INTRODUCES = (
    "following", "symptoms", "symptom", "signs", "sx", "including", "include", "includes", "of",
    "for", "to", "with", "any", "are", "is", "complaints", "conditions", "follows", "below", "none",
    "these", "if", "problems", "drugs", "medications", "findings",
)  # fmt: skip
# What is said of a finding itself, so that a scope does not take it in: "no rash, edema noted".
AFFIRMS = (
    "noted", "present", "normal", "intact", "stable", "improving", "improved", "persists",
    "persistent", "continues", "continued", "remains", "positive", "worse", "worsening", "worsened",
    "better", "1+", "2+", "3+", "4+", "+1", "+2", "+3", "clear", "soft", "wnl", "ctab", "unchanged",
    "resolving", "increasing", "increased", "decreased", "mild", "moderate", "severe", "started",
    "ongoing", "reported", "productive", "controlled", "seen", "elevated", "again",
)  # fmt: skip
# What starts a statement of its own after a comma: "no fever, CXR clear", "no SI, mood low".
SUBJECTS = (
    "cxr", "xr", "kub", "ct", "cta", "mri", "us", "ultrasound", "ekg", "ecg", "echo", "ua", "labs",
    "wbc", "hgb", "mood", "affect", "insight", "judgment", "speech", "lungs", "pulses", "neuro",
    "gait", "pupils", "fundus", "lochia", "vitals", "vs", "bp", "hr", "temp", "wt", "exam",
    "imaging", "pt", "patient", "heent", "cv", "resp", "msk", "psych", "still", "also", "now",
    "currently", "here", "states",
)  # fmt: skip
FOR = ("for",)
# What is not taken or done for a disease leaves the disease: "not taking metformin for diabetes".
TAKING = (
    "taking", "take", "takes", "taken", "using", "use", "uses", "used", "on", "receiving",
    "received", "receive", "given", "give", "started", "tried", "wearing", "seeing", "seen", "need",
    "needs", "needed", "prescribed", "requiring", "required", "require", "stopped", "discontinued",
    "off", "refused", "refuses", "declined", "declines", "held", "deferred", "undergo", "undergone",
    "want", "wants", "recommend", "tolerate",
)  # fmt: skip
ITEM = 6  # tokens that one item of a list may have
BLOCK_LINE = 12  # tokens that a line of a list under "Denies:" may have
# Words that may stand between two negations that cancel each other.
DOUBLE_REACH = 5
LINKS = (
    "that", "there", "is", "are", "was", "were", "being", "having", "has", "have", "had", "he",
    "she", "they", "say", "state", "of", "be", "been", "any", "the", "to", "a", "an",
)  # fmt: skip

Found = dict[str, Mark]
Group = Callable[[int], str | None]


def _no_group(_: int) -> None:
    return None


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
        self.marks = CueFinder(cues, cut)
        self.commas = word_set(cut, COMMAS)
        self.conjunctions = word_set(cut, CONJUNCTIONS)
        self.alternatives = word_set(cut, ALTERNATIVES)
        self.separators = self.commas | self.conjunctions
        self.colons = word_set(cut, COLONS)
        self.opening = word_set(cut, ("(",))
        self.closing = word_set(cut, (")",))
        self.points = self.separators | self.colons | self.opening | self.closing
        self.introduces = word_set(cut, INTRODUCES) | self.commas | self.conjunctions
        numbers = word_set(cut, [str(number) for number in range(100)])
        self.introduces |= numbers
        self.affirms = word_set(cut, AFFIRMS) | numbers
        self.purpose = word_set(cut, FOR)
        self.subjects = word_set(cut, SUBJECTS)
        self.taking = word_set(cut, TAKING)
        self.links = word_set(cut, LINKS)

    def __call__(
        self,
        tokens: Tokens,
        entities: Entities,
        marks: Sequence[Mark],
        group: Group = _no_group,
    ) -> list[Found]:
        """Find what the cues say about entities.

        tokens (Tokens): The text.
        entities (Sequence[tuple[int, int]]): First token and one past the last, sorted.
        marks (Sequence[tuple[int, int, Cue]]): The text's cues, as `self.marks` finds them.
        group (Callable[[int], str | None]): The UMLS semantic group of an entity by its number,
            where known; asked for only where a cue says nothing about some.
        RETURNS (list[dict[str, tuple[int, int, Cue]]]): Per entity, by category, the nearest cue.
        """
        return _Scopes(self, tokens, marks, entities, group).run()


class _Scopes:
    """One pass over one text."""

    def __init__(
        self,
        rules: ContextRules,
        tokens: Tokens,
        marks: Sequence[Mark],
        entities: Entities,
        group: Group,
    ) -> None:
        self.group = group
        self.rules = rules
        self.tokens = tokens
        self.marks = marks
        self.entities = entities
        self.starts = [start for start, _ in entities]
        # The furthest end among an entity and all before it: is a token inside any of them?
        self.reach = list(accumulate((end for _, end in entities), max))
        self.by_end = sorted(range(len(entities)), key=lambda entity: entities[entity][1])
        self.ends = [entities[entity][1] for entity in self.by_end]
        words, colons = tokens.words, rules.colons
        points = [index for index, word in enumerate(words) if word in rules.points]
        brackets = rules.opening | rules.closing
        self.brackets = [index for index in points if words[index] in brackets]
        self.separators = [index for index in points if words[index] in rules.separators]
        # A colon that names what follows: a scope ends before the word that it stands after.
        self.colons = [
            index
            for index in points
            if index and words[index] in colons and words[index - 1] not in rules.introduces
        ]
        self.found: list[Found] = [{} for _ in entities]
        self.distances: list[dict[str, int]] = [{} for _ in entities]

    def run(self) -> list[Found]:
        cancelled = self._cancelled()
        for number, (start, end, cue) in enumerate(self.marks):
            if cue.role != "cue" or number in cancelled:
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

    def _cancelled(self) -> set[int]:
        """Negations that cancel each other: "no lack of", "never a day without"."""
        cancelled: set[int] = set()
        previous: int | None = None
        for number, (start, _, cue) in enumerate(self.marks):
            if "negated" not in cue.categories or cue.direction != "forward":
                continue
            if cue.doubles and previous is not None and previous not in cancelled:
                end, other = self.marks[previous][1:]
                near = end <= start <= end + DOUBLE_REACH and not other.place
                if near and self._cancel(end, start, cue.doubles == "links"):
                    cancelled |= {previous, number}
            previous = number
        return cancelled

    def _cancel(self, end: int, start: int, links: bool) -> bool:
        """Whether nothing stands between two negations that would keep them apart."""
        if self.tokens.first[start] != self.tokens.first[end - 1]:
            return False
        between = self.tokens.words[end:start]
        if links and any(word not in self.rules.links for word in between):
            return False
        if not (self.rules.separators | self.rules.colons).isdisjoint(between):
            return False
        return bisect_left(self.starts, end) == bisect_left(self.starts, start)

    def _assign(self, entity: int, category: str, mark: Mark, distance: int) -> None:
        skips = mark[2].skips
        if skips and self.group(entity) in skips:
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
        begin = bisect_left(self.starts, start)
        sentence = self._block_end(start, end)
        if begin == len(self.starts) or self.starts[begin] >= sentence:
            return
        for category in cue.categories:
            stop = self._forward_stop(number, category, sentence)
            entity = begin
            while entity < len(self.starts) and self.starts[entity] < stop:
                first, last = self.entities[entity]
                apart = category == "negated" and first > end
                if apart and self._stands_by_itself(entity, start, end):
                    break
                if first >= end or (cue.within and last > end) or first > start:
                    self._assign(entity, category, mark, max(first - end, 0))
                entity += 1

    def _stands_by_itself(self, entity: int, start: int, end: int) -> bool:
        """Whether an entity after a forward negation has a predicate or purpose of its own.

        "no rash, edema noted": noted; "no surgery for hernia": the hernia is there.
        """
        words = self.tokens.words
        first, last = self.entities[entity]
        before = words[first - 1]
        if before in self.rules.purpose:
            after_entity = entity > 0 and self.entities[entity - 1][1] == first - 1
            if after_entity or not self.rules.taking.isdisjoint(words[start:end]):
                return True
        if before in self.rules.commas:
            return self._affirmed(last)
        for token in range(first - 1, max(end, first - ITEM), -1):
            if words[token] in self.rules.alternatives:
                return False
            if words[token] in self.rules.commas:
                return words[token + 1] in self.rules.subjects or self._affirmed(last)
        return False

    def _affirmed(self, end: int) -> bool:
        """Whether what follows an entity says that it is there: "noted", "2+"."""
        words, last = self.tokens.words, self.tokens.last[end - 1]
        if end >= last:
            return False
        return words[end] in self.rules.affirms

    def _forward_stop(self, number: int, category: str, stop: int) -> int:
        """One past the last token at which an entity in a cue's forward scope may start.

        `stop`: where its sentence ends.
        """
        _, end, cue = self.marks[number]
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
                and not self._in_brackets(end, next_start)
            )
            contradicted = next_start > end and _contradict(category, other)
            ends = category in other.ends and not (other.apart and next_start == end)
            if ends or nearer or contradicted:
                stop = next_start
        bracket = bisect_left(self.brackets, end)
        if category == "negated" and bracket < len(self.brackets):
            # "(not taking aspirin), asthma": a scope ends with the brackets it stands in.
            bracket = self.brackets[bracket]
            if bracket < stop and self.tokens.words[bracket] in self.rules.closing:
                stop = bracket
        colon = bisect_right(self.colons, end)
        if colon < len(self.colons) and self.colons[colon] < stop:
            stop = min(stop, self.colons[colon] - 1)
        return self._window_end(end, cue, stop)

    def _in_brackets(self, end: int, token: int) -> bool:
        """Whether a token stands in brackets that open after a cue's end."""
        low, high = bisect_left(self.brackets, end), bisect_left(self.brackets, token)
        return low < high and self.tokens.words[self.brackets[high - 1]] in self.rules.opening

    def _block_end(self, start: int, end: int) -> int:
        """Where a cue's sentence ends, or the list under it: "Denies:", then a finding a line."""
        words, gaps, count = self.tokens.words, self.tokens.gaps, len(self.tokens.words)
        stop = self.tokens.last[start]
        colon = end if end < count and words[end] in self.rules.colons else end - 1
        token = colon + 1
        if token < stop or token >= count or words[colon] not in self.rules.colons:
            return stop
        while token < count and gaps[token] == LINE:
            line = token
            token += 1
            while token < count and gaps[token] < LINE:
                token += 1
            long = token - line > BLOCK_LINE
            if long or not self.rules.colons.isdisjoint(words[line:token]):
                return line
            stop = token
        return stop

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
        if covered and "hypothetical" in cue.categories:
            return  # a "flu vaccine" is given, whatever it prevents
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
