"""The words that say where a cue's scope goes on and where it ends."""

from collections.abc import Mapping, Sequence

from spacy_clinner.pipeline.context.tokens import COMMAS, word_set
from spacy_clinner.pipeline.phrases import PhraseTokenizer

CONJUNCTIONS = ("and", "or", "nor", "/", "&", "and/or", "plus")
ALTERNATIVES = ("or", "nor", "/", "and/or")
COLONS = (":", "：")
# Between a drug and the one that takes its place.
SWAPS = ("to", "with", "by")
COMPANY = ("with", "w", "w/")
# A verb that is negated has these before what is there: "cannot walk from back pain".
BESIDE = ("with", "w/", "from", "and")
GRADES = ("1+", "2+", "3+", "4+", "+1", "+2", "+3", "trace")
ITEM_ENDS = (",", ".", ";", ")", "or", "and", "nor", "/")
FOR = ("for",)
DASHES = ("-", "–", "—", "--")
# A drug's status stands between these at its line's end: "- STOP", "(HOLD)", "-> held (HR 50)".
BEFORE_STATUS = ("-", "–", "—", "--", "->", "→", "(", "[", "*", ":", ".", "|")
BEHIND_STATUS = (")", "]", "*", ":", ".", "(", "|", ";")
HOLDING = ("hold", "holds", "holding")
UNTIL = ("until", "til", "till")
COMPARES = ("<", ">", "≤", "≥", "less", "greater", "below", "above", "under", "over")


class ScopeWords:
    """Sets of words, as hashes of the tokens that a pipeline's tokenizer makes of them."""

    def __init__(self, words: Mapping[str, Sequence[str]], cut: PhraseTokenizer) -> None:
        """Look them up.

        words (Mapping[str, Sequence[str]]): The lexicon's words by what they do.
        cut (PhraseTokenizer): Cuts phrases into tokens.
        """
        self.commas = word_set(cut, COMMAS)
        self.pauses = word_set(cut, (*COMMAS, ";", "."))
        self.conjunctions = word_set(cut, CONJUNCTIONS)
        self.alternatives = word_set(cut, ALTERNATIVES)
        self.ors = self.alternatives - word_set(cut, ("/",))
        self.separators = self.commas | self.conjunctions
        self.colons = word_set(cut, COLONS)
        self.opening = word_set(cut, ("(",))
        self.closing = word_set(cut, (")",))
        self.points = self.separators | self.colons | self.opening | self.closing
        self.introduces = word_set(cut, words["introduces"]) | self.commas | self.conjunctions
        self.numbers = word_set(cut, [str(number) for number in range(100)])
        self.introduces |= self.numbers
        self.stated = word_set(cut, words["states"])
        self.affirms = self.stated | self.numbers
        self.tells = self.stated | word_set(cut, words["normal"])
        self.dashes = word_set(cut, DASHES)
        self.breaks = self.colons | word_set(cut, words["breaks"])
        self.swaps = word_set(cut, SWAPS)
        self.listed = word_set(cut, words["lists"])
        self.turns = word_set(cut, words["turns"])
        self.bars = word_set(cut, ("|",))
        self.company = word_set(cut, COMPANY)
        self.beside = self.commas | word_set(cut, BESIDE)
        self.grades = word_set(cut, GRADES) | self.numbers
        self.item_ends = word_set(cut, ITEM_ENDS)
        self.purpose = word_set(cut, FOR)
        self.holding = word_set(cut, HOLDING)
        self.before_status = word_set(cut, BEFORE_STATUS)
        self.behind_status = word_set(cut, BEHIND_STATUS)
        self.until = word_set(cut, UNTIL)
        self.compares = word_set(cut, COMPARES)
        self.effects = word_set(cut, words["effects"])
        self.subjects = word_set(cut, words["subjects"])
        self.taking = word_set(cut, words["taking"])
        self.links = word_set(cut, words["links"])
