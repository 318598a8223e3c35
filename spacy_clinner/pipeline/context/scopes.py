"""One pass over the cues of a text: how far each reaches, and which entities it speaks about."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from spacy_clinner.pipeline.context.doubles import cancelled_negations
from spacy_clinner.pipeline.context.items import ITEM, TEST, Items
from spacy_clinner.pipeline.context.lexicon import DEFAULT_WINDOW, Cue
from spacy_clinner.pipeline.context.orders import Orders
from spacy_clinner.pipeline.context.scope_words import ScopeWords
from spacy_clinner.pipeline.context.tokens import LINE, Entities, Kinds, Mark, Tokens

BESIDE = 2  # tokens from a cue to its entity before a colon: "no acute distress: resting"
CONDITION = 15  # tokens between an "if" and a negation that belongs to it
SHORT = 6  # tokens; a cue of so small a window speaks of what stands beside it
PEOPLE = ("family", "other")

Found = dict[str, Mark]


class Scopes:
    """One pass over one text."""

    def __init__(
        self,
        said: ScopeWords,
        tokens: Tokens,
        marks: Sequence[Mark],
        entities: Entities,
        kinds: Kinds,
    ) -> None:
        self.items = Items(said, tokens, entities, kinds)
        self.orders = Orders(self.items, marks)
        self.said = said
        self.tokens = tokens
        self.marks = marks
        self.entities = entities
        self.starts = [start for start, _ in entities]
        # The furthest end among an entity and all before it: is a token inside any of them?
        self.reach = list(accumulate((end for _, end in entities), max))
        self.by_end = sorted(range(len(entities)), key=lambda entity: entities[entity][1])
        self.ends = [entities[entity][1] for entity in self.by_end]
        words, colons, points = tokens.words, said.colons, self.items.points
        brackets = said.opening | said.closing
        self.brackets = [
            index for index in points if words[index] in brackets and not self._numbers_item(index)
        ]
        self.separators = self.items.separators
        # A colon that names what follows: a scope ends before the word that it stands after.
        self.colons = [
            index
            for index in points
            if index and words[index] in colons and words[index - 1] not in said.introduces
        ]
        self.conditions = [start for start, _, cue in marks if cue.condition]
        self.found: list[Found] = [{} for _ in entities]
        self.distances: list[dict[str, int]] = [{} for _ in entities]

    def run(self) -> list[Found]:
        cancelled = cancelled_negations(self.tokens, self.marks, self.starts, self.said)
        for number, (start, end, cue) in enumerate(self.marks):
            if cue.role != "cue" or number in cancelled:
                continue
            if cue.direction == "inside":
                self._inside(start, end, number)
                continue
            if cue.place == "column":
                for entity in self.orders.of_row(number):
                    self._say(entity, number)
                continue
            before = bisect_left(self.starts, start)
            covered = before > 0 and self.reach[before - 1] >= end
            if cue.direction == "either":
                row = self.orders.of_row_or_line(number)
                if row is not None:
                    self._say(row, number)
                elif self.orders.looks_ahead(number):
                    self._forward(number)
                elif not self.orders.gives_bound(number):
                    self._backward(number, covered)
                continue
            if cue.direction == "both" and not self._stands_between(number):
                continue
            if cue.direction == "backward" and not (covered or cue.place):
                row = self.orders.of_row_or_line(number)
                if row is not None and row == before - 1:
                    self._say(row, number)  # "Pneumonia | 3/1 | resolved"
                    continue
            if cue.direction != "backward" and not covered:
                self._forward(number)
            if cue.direction != "forward":
                self._backward(number, covered)
        return self.found

    def _stands_between(self, number: int) -> bool:
        """Whether words such as "vs" may join two findings: none does that begins a sentence or
        stands right before a test ("VS: T 98.6")."""
        start, end, cue = self.marks[number]
        if cue.place or cue.box:
            return True
        entity = bisect_left(self.starts, end)
        behind = entity < len(self.starts) and self.starts[entity] == end
        if behind and not self.items.concerns(cue, entity):
            return False
        return start > self.tokens.first[start]

    def _say(self, entity: int, number: int) -> None:
        for category in self.marks[number][2].categories:
            self._assign(entity, category, self.marks[number], 0)

    def _assign(self, entity: int, category: str, mark: Mark, distance: int) -> None:
        if not self.items.concerns(mark[2], entity):
            return
        if mark[2].swaps and not self.items.replaced(entity, mark):
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
        head = self.orders.list_head(number)
        if head is not None:
            end, cue = head, replace(cue, window=DEFAULT_WINDOW, lists=True)
        begin = bisect_left(self.starts, start)
        sentence = self.orders.block_end(start, end)
        if head is not None and sentence <= head and self.tokens.gaps[head] < LINE:
            sentence = self.tokens.last[head]  # "HELD MEDS: lisinopril"
        if "negated" in cue.categories and self._on_condition(number):
            cue = replace(cue, lists=False)
        if begin == len(self.starts) or self.starts[begin] >= sentence:
            return
        listed = head is not None or sentence > self.tokens.last[start]
        for category in cue.categories:
            stop = self._forward_stop(number, end, cue, category, sentence)
            previous: int | None = None
            entity = begin
            while entity < len(self.starts) and self.starts[entity] < stop:
                first, last = self.entities[entity]
                narrow = previous is None and cue.window <= SHORT
                if (
                    narrow
                    and category in PEOPLE
                    and not self.said.commas.isdisjoint(self.tokens.words[end:first])
                ):
                    break  # "dad took his temp, fever 102"
                if category == "negated" and first > end:
                    if narrow and self.items.beside(end, entity):
                        break  # "so I quit it, ondansetron works", "not eating and vomiting"
                    if previous is None and cue.object and self.items.has_object(end, first):
                        break  # "no insurance, cellulitis"
                    if self.items.stands_by_itself(entity, start, end, listed):
                        break
                    if previous is not None and self.items.leaves_list(previous, entity, listed):
                        break
                if first >= end or (cue.within and last > end) or first > start:
                    self._assign(entity, category, mark, max(first - end, 0))
                    previous = entity
                entity += 1

    def _on_condition(self, number: int) -> bool:
        """Whether a negation belongs to a condition: "call if not drinking, fever, rash"."""
        start = self.marks[number][0]
        before = bisect_left(self.conditions, start) - 1
        if before < 0:
            return False
        begin = self.conditions[before]
        if begin < max(self.tokens.first[start], start - CONDITION):
            return False
        return self.said.commas.isdisjoint(self.tokens.words[begin:start])

    def _forward_stop(self, number: int, end: int, cue: Cue, category: str, stop: int) -> int:
        """One past the last token at which an entity in a cue's forward scope may start.

        end (int): One past the cue, or where its list starts.
        stop (int): Where its sentence ends.
        """
        pauses: list[tuple[int, int]] = []
        block = stop > self.tokens.last[end - 1]  # its colon introduces what the cue speaks of
        for following in range(number + 1, len(self.marks)):
            next_start, next_end, other = self.marks[following]
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
            if ends and not nearer and category == "negated" and other.pauses:
                pauses.append((next_start, next_end))
            elif ends or nearer or contradicted:
                stop = next_start + (ends and self._begins_with(end, next_start, next_end))
        for pause, over in pauses:
            if pause < stop and not self.items.goes_on(pause, over, stop):
                stop = pause + self._begins_with(end, pause, over)
        bracket = bisect_left(self.brackets, end)
        if category == "negated" and bracket < len(self.brackets):
            # "(not taking aspirin), asthma": a scope ends with the brackets it stands in.
            bracket = self.brackets[bracket]
            if bracket < stop and self.tokens.words[bracket] in self.said.closing:
                stop = bracket
        colon = bisect_right(self.colons, end)
        if not block and colon < len(self.colons) and self.colons[colon] < stop:
            colon = self.colons[colon]
            beside = not cue.place and self._right_behind(end, colon)
            stop = colon if beside else colon - 1
        return stop if block else self._window_end(end, cue, stop)

    def _begins_with(self, end: int, start: int, over: int) -> bool:
        """Whether words that end a scope begin with what the cue speaks of: "no steroids for"."""
        entity = bisect_left(self.starts, start)
        if over == start + 1 or entity == len(self.starts) or self.starts[entity] != start:
            return False
        first = entity == 0 or self.starts[entity - 1] < end
        return first or self.tokens.words[start - 1] in self.said.alternatives

    def _right_behind(self, end: int, colon: int) -> bool:
        """Whether the entity before a colon is the cue's own: "w/o contrast: no bleed", "no acute
        distress: resting", "no rash or fever: well"; but "no fever, cough: productive"."""
        entity = bisect_left(self.starts, colon) - 1
        if entity < 0 or self.starts[entity] < end or self.entities[entity][1] != colon:
            return False
        between = self.tokens.words[end : self.starts[entity]]
        if between and between[-1] in self.said.alternatives:
            return True
        alone = entity == 0 or self.entities[entity - 1][1] <= end
        plain = len(between) <= BESIDE and self.said.points.isdisjoint(between)
        return alone and plain and (not between or self.items.family(entity) != TEST)

    def _numbers_item(self, bracket: int) -> bool:
        """Whether a closing bracket belongs to the number of a line: "1) ibuprofen"."""
        if not bracket or self.tokens.words[bracket] not in self.said.closing:
            return False
        return bracket == 1 or self.tokens.gaps[bracket - 1] >= LINE

    def _in_brackets(self, end: int, token: int) -> bool:
        """Whether a token stands in brackets that open after a cue's end."""
        low, high = bisect_left(self.brackets, end), bisect_left(self.brackets, token)
        return low < high and self.tokens.words[self.brackets[high - 1]] in self.said.opening

    def _window_end(self, end: int, cue: Cue, stop: int) -> int:
        """Where a forward window runs out; each separator of a list opens it anew."""
        limit = end + cue.window + 1
        words, alternatives = self.tokens.words, self.said.alternatives
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
            nearest = passed = None
            within = range(bisect_right(self.ends, low), bisect_right(self.ends, high))
            for index in reversed(within):
                entity = self.by_end[index]
                if self.starts[entity] >= start:
                    continue
                if not self.items.concerns(cue, entity):
                    passed = self.starts[entity]
                    continue
                if self._apart(entity, nearest, passed, cue):
                    break
                self._assign(entity, category, mark, max(start - self.ends[index], 0))
                first = self.starts[entity]
                nearest = first if nearest is None else min(nearest, first)

    def _apart(self, entity: int, nearest: int | None, passed: int | None, cue: Cue) -> bool:
        """Whether a backward cue does not reach an entity over the ones behind it.

        "Cr 79 D-dimer not sent": words and no list stand between; "Hgb 13.8, type and cross not
        sent": it has its own result; "haze, VBG 7.30, ethanol neg": the cue answers another one.

        nearest (int | None): Where the entities start that the cue has reached.
        passed (int | None): Where one starts behind it that the cue says nothing about.
        """
        words, end = self.tokens.words, self.entities[entity][1]
        if passed is not None and end < passed:
            return cue.place == "sign" or not self.said.commas.isdisjoint(words[end:passed])
        if nearest is None or end >= nearest:
            return False
        if self.items.family(entity) == TEST and words[end] not in self.said.separators:
            return True
        return self.said.separators.isdisjoint(words[end:nearest])

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
        if not cue.window and not cue.lists:
            return max(limit - 1, low)  # it speaks of what it touches: "cough, husband"
        in_list = cue.lists and cue.direction != "either"
        words = self.tokens.words
        for number in range(bisect_left(self.separators, start) - 1, -1, -1):
            separator = self.separators[number]
            if separator == start - 1 and words[separator] in self.said.commas:
                continue  # "flu shot, declined"
            # The item after the separator may be some words long itself.
            if separator < max(limit - ITEM, low):
                break
            if words[separator] in self.said.conjunctions:
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
