"""The entities of a text as items of its lists: which of them share one, and where one ends."""

from bisect import bisect_left

from spacy_clinner.pipeline.context.lexicon import Cue
from spacy_clinner.pipeline.context.scope_words import ScopeWords
from spacy_clinner.pipeline.context.tokens import LINE, NONE, Entities, Kinds, Mark, Tokens

ITEM = 6  # tokens that one item of a list may have
SWAP = 5  # tokens from a drug or "changed to" to the one that takes its place
REST = 15  # tokens from words that interrupt a list to its "or"
LIST = 25  # tokens from a list's first comma to its "or"
# What is found, what is given or done, and what is done to find out do not share a list.
FINDING, GIVEN, TEST = range(1, 4)
FAMILIES = {"Disorders": FINDING, "Procedures": GIVEN, "Chemicals & Drugs": GIVEN}


class Items:
    """Questions about one text."""

    def __init__(self, said: ScopeWords, tokens: Tokens, entities: Entities, kinds: Kinds) -> None:
        self.said, self.tokens, self.entities, self.kinds = said, tokens, entities, kinds
        self.starts = [start for start, _ in entities]
        words = tokens.words
        self.points = [at for at, word in enumerate(words) if word in said.points]
        self.separators = [at for at in self.points if words[at] in said.separators]
        self.ors = [at for at in self.separators if words[at] in said.ors]

    def family(self, entity: int) -> int:
        group, label = self.kinds(entity)
        return TEST if label == "TEST" else FAMILIES.get(group, 0)

    def concerns(self, cue: Cue, entity: int) -> bool:
        """Whether a cue speaks of entities of this kind."""
        if not (cue.skips or cue.only):
            return True
        kinds = self.kinds(entity)
        return cue.skips.isdisjoint(kinds) and not (cue.only and cue.only.isdisjoint(kinds))

    def replaced(self, entity: int, mark: Mark) -> bool:
        """Whether another entity of the kind takes an entity's place: "A changed to B"."""
        words, (first, last) = self.tokens.words, self.entities[entity]
        behind = max(last, mark[1])
        other = bisect_left(self.starts, behind)
        if other == len(self.starts) or self.starts[other] > behind + SWAP:
            return False
        start, end = self.entities[other]
        between = words[last:start]
        return (
            not self.said.swaps.isdisjoint(between)
            and self.said.pauses.isdisjoint(between)
            # "metformin switched to bedtime with insulin"
            and (behind == last or self.said.company.isdisjoint(words[behind:start]))
            and self.concerns(mark[2], other)
            and words[first:last] != words[start:end]
            # "antibiotics changed to cefepime" are still antibiotics.
            and self.said.listed.isdisjoint(words[first:last])
        )

    def beside(self, end: int, entity: int) -> bool:
        """Whether a cue of a small window has other words behind it, and an entity beside them."""
        words, said, first = self.tokens.words, self.said, self.starts[entity]
        if not said.commas.isdisjoint(words[end:first]):
            return True
        # "do not rechallenge with iron": a drug is what is done.
        return self.family(entity) != GIVEN and not said.beside.isdisjoint(words[end + 1 : first])

    def has_object(self, end: int, first: int) -> bool:
        """Whether words that are no entity are all that a cue speaks of: "no insurance, fever".

        A list that goes on to an "or" has them as its first item: "no travel, fever or rash".
        """
        words, commas = self.tokens.words, self.said.commas
        comma = next((token for token in range(end, first) if words[token] in commas), end)
        if comma == end:
            return False
        last = min(self.tokens.last[end - 1], comma + LIST)
        return self.said.alternatives.isdisjoint(words[comma:last])

    def leaves_list(self, previous: int, entity: int, listed: bool) -> bool:
        """Whether an entity behind one that is negated starts a statement of its own.

        "no cough, BP 118/74" and "no BM 4 d - senna given": of another kind; "no pain ha 4/10",
        "no cords, 1+ edema": with a number of its own; "no drool, uvula midline, tonsils 3+": after
        another subject; "hold warfarin, continue aspirin": after another verb; "no fever, Tm 99,
        cough": after another finding.
        In a list under its heading (`listed`) a drug's number is its dose.
        """
        words, said = self.tokens.words, self.said
        before, (first, last) = self.entities[previous][1], self.entities[entity]
        if first < before:
            return False
        between = words[before:first]
        if between and between[-1] in said.alternatives:
            return False
        if not said.turns.isdisjoint(between) or words[first] in said.grades:
            return True
        family, other = self.family(previous), self.family(entity)
        if family == GIVEN and not said.company.isdisjoint(between):
            return True  # "no NSAIDs with CKD"
        if family and other and family != other:
            item = len(between) == 1 and between[0] in said.commas and TEST not in (family, other)
            ended = last >= self.tokens.last[last - 1] or words[last] in said.item_ends
            return not (item and ended)  # "no surgery, GI bleed, fever"
        if family != GIVEN and not listed and self.parted(before, first):
            return True
        if said.separators.isdisjoint(between):
            if listed and other == GIVEN:
                return not said.stated.isdisjoint(between)
            number = last < self.tokens.last[last - 1] and words[last] in said.numbers
            return number or not said.affirms.isdisjoint(between)
        if family != GIVEN and self.interrupted(before, first):
            return True
        after = zip(between, between[1:], [*between[2:], words[first]], strict=False)
        return any(
            word in said.commas and following in said.subjects and third not in said.separators
            for word, following, third in after
        )

    def interrupted(self, end: int, first: int) -> bool:
        """Whether an item of a list, between two commas, tells what is there: a number, "nl".

        A list that goes on to an "or" takes it along: "no fever, weight 70 kg, or chills".
        """
        words, said = self.tokens.words, self.said
        commas = [token for token in range(end, first) if words[token] in said.commas]
        if len(commas) < 2:
            return False
        inside = range(commas[0] + 1, commas[-1])
        tells = not said.tells.isdisjoint(words[commas[0] : commas[-1]])
        if not tells and not any(self.tokens.is_number(token) for token in inside):
            return False
        return said.ors.isdisjoint(words[commas[0] : min(self.tokens.last[end - 1], end + LIST)])

    def parted(self, end: int, first: int) -> bool:
        """Whether a dash with blanks around it parts two entities: "no fever - cough persists".

        In "fever - chills - rigors" it is what the list is written with.
        """
        words, gaps = self.tokens.words, self.tokens.gaps
        for token in range(end, first):
            if words[token] in self.said.dashes:
                apart = gaps[token + 1] != NONE and NONE < gaps[token] < LINE
                return apart and not self.single(token)
        return False

    def stands_by_itself(self, entity: int, start: int, end: int, listed: bool) -> bool:
        """Whether an entity after a forward negation has a predicate or purpose of its own.

        "no rash, edema noted": noted; "no surgery for hernia": the hernia is there.
        """
        words = self.tokens.words
        first, last = self.entities[entity]
        before = words[first - 1]
        dosed = listed and self.family(entity) == GIVEN
        if before in self.said.purpose:
            after_entity = entity > 0 and self.entities[entity - 1][1] == first - 1
            if after_entity or not self.said.taking.isdisjoint(words[start:end]):
                return True
        if before in self.said.commas:
            return self.affirmed(last, dosed)
        for token in range(first - 1, max(end, first - ITEM), -1):
            if words[token] in self.said.alternatives:
                return False
            if words[token] in self.said.commas:
                return words[token + 1] in self.said.subjects or self.affirmed(last, dosed)
        return False

    def affirmed(self, end: int, dosed: bool) -> bool:
        """Whether what follows an entity says that it is there: "noted", "2+".

        dosed (bool): A number is a dose, and says nothing.
        """
        words, last = self.tokens.words, self.tokens.last[end - 1]
        if end >= last:
            return False
        return words[end] in (self.said.stated if dosed else self.said.affirms)

    def goes_on(self, pause: int, end: int, stop: int) -> bool:
        """Whether a list goes on behind words that would end it: "on exam, edema, or rash"."""
        words, limit = self.tokens.words, min(stop, end + REST)
        if end == pause + 1 and self.single(pause):
            return True
        number = bisect_left(self.ors, end)
        if number == len(self.ors) or self.ors[number] >= limit:
            return False
        word = self.ors[number]
        entity = bisect_left(self.starts, word)
        if entity == len(self.starts) or self.starts[entity] > min(stop - 1, word + ITEM):
            return False
        return self.said.commas.isdisjoint(words[word : self.starts[entity]])

    def single(self, sign: int) -> bool:
        """Whether a sign stands in a list of single entities: "fever; chills; cough"."""
        words, entity = self.tokens.words, bisect_left(self.starts, sign)
        if not entity or entity == len(self.starts) or self.starts[entity] != sign + 1:
            return False
        (first, before), after = self.entities[entity - 1], self.entities[entity][1]
        if before != sign:
            return False
        if first and words[first - 1] == words[sign]:
            return after >= self.tokens.last[sign] or words[after] in self.said.item_ends
        following = entity + 1
        if following == len(self.starts) or self.starts[following] != after + 1:
            return False
        return words[after] == words[sign] and self.family(following) == self.family(entity)
