from collections.abc import Callable
from typing import Any

import numpy as np
from spacy.attrs import IDX, ORTH, SENT_START, SPACY
from spacy.language import Language
from spacy.tokens import Doc

from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.settings import RuleComponent, Setting
from spacy_clinner.pipeline.token_kinds import (
    ABBREVIATION,
    ANSWER,
    ATTRIBUTE,
    BLANK_LINE,
    BULLET,
    CANDIDATE,
    CAPS,
    CLOSER,
    CLOSING,
    COLON,
    COMMA,
    CONTINUES,
    DIGITS,
    DOSES,
    DOTTED,
    END,
    HEADING,
    INITIAL,
    INLINE_BULLET,
    JOINS,
    LEADER,
    LETTER,
    LETTERED,
    LONG,
    LOWER,
    NEWLINE,
    NUMBER,
    NUMERO,
    OPENING,
    QUALIFIER,
    SEPARATOR,
    SOFT,
    SPACE,
    STARTER,
    TITLE,
    UPPER,
    TokenKinds,
)

WRAPPED_LINES = 50, 140  # characters; a text whose longest lines lie between is hard-wrapped
# Of the lines of a hard-wrapped text so many, two at least, end this near to its width.
WRAPPED_SHARE, NEAR_WIDTH = 0.3, 15


def wrap_width(line_lengths: np.ndarray) -> int:
    """The width at which a text was wrapped, or 0 when its lines end where its author ended them.

    line_lengths (ndarray): Shape (lines,), ints, characters.
    RETURNS (int): Characters.
    """
    shortest, longest = WRAPPED_LINES
    fitting = line_lengths[line_lengths <= longest]
    if len(line_lengths) < 3 or len(fitting) < 0.95 * len(line_lengths):
        return 0
    width = int(fitting.max(initial=0))
    near = int(((fitting >= width - NEAR_WIDTH) & (fitting >= shortest)).sum())
    if near < max(2, WRAPPED_SHARE * len(line_lengths)):
        return 0  # one long line is no margin
    return width


class _Boundaries:
    """The boundary rules over one document's token kinds. Every index is a token's."""

    def __init__(self, rows: np.ndarray, kinds: list[int]) -> None:
        self.kinds = kinds
        self.count = len(kinds)
        self.spaced: list[int] = rows[:, 1].tolist()  # 1: white space follows
        self.offsets = rows[:, 2]
        self.starts: list[int] = []
        self.line_lengths: dict[int, int] = {}
        self.width = 0

    def find(self) -> list[int]:
        """RETURNS (list[int]): The tokens that start a sentence, not always in order."""
        kinds = np.array(self.kinds, dtype=np.int64)
        candidates = np.flatnonzero(kinds & CANDIDATE)
        self._measure_lines(candidates[(kinds[candidates] & NEWLINE) != 0])
        for index in candidates.tolist():
            kind = self.kinds[index]
            if kind & NEWLINE:
                self._line_end(index, kind)
            elif kind & (END | DOTTED):
                self._full_stop(index, kind)
            elif kind & INLINE_BULLET:
                self.starts.append(index)
            elif kind & COLON:
                self._heading_in_line(index)
            else:
                self._number_with_bracket(index)
        return self.starts

    def _measure_lines(self, newlines: np.ndarray) -> None:
        ends = self.offsets[newlines].astype(np.int64)
        begins = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
        lengths = ends - begins
        self.line_lengths = dict(zip(newlines.tolist(), lengths.tolist(), strict=True))
        self.width = wrap_width(lengths)

    def _next_word(self, index: int) -> int:
        index += 1
        while index < self.count and self.kinds[index] & SPACE:
            index += 1
        return index

    def _starts_item(self, index: int) -> bool:
        """Whether a line's first token is a bullet, a list number or a heading in capitals.

        So is a letter in "a." or "A)", but not in "C. difficile".
        """
        kind = self.kinds[index]
        if kind & BULLET or (kind & NUMBER and kind & DOTTED):
            return True
        following = self.kinds[index + 1] if index + 1 < self.count else 0
        numbered = END | CLOSING if kind & (NUMBER | LOWER) else CLOSING
        if kind & (NUMBER | LETTER) and following & numbered:
            return True
        end = index
        while end < self.count and end < index + 8 and self.kinds[end] & CAPS:
            end += 1
        return end > index and end < self.count and bool(self.kinds[end] & COLON)

    def _line_end(self, index: int, kind: int) -> None:
        after = self._next_word(index)
        if after == self.count:
            return
        before = index - 1
        while before >= 0 and self.kinds[before] & SPACE:
            before -= 1
        last = self.kinds[before] if before >= 0 else END
        lower = bool(self.kinds[after] & LOWER)
        ended = kind & BLANK_LINE or last & (END | COLON) or self._starts_item(after)
        if ended or (last & ANSWER and self._answers(before, lower, index)):
            goes_on = False
        elif last & (CONTINUES | TITLE) or self.kinds[after] & LEADER or (last & SOFT and lower):
            goes_on = True
        else:
            length = self.line_lengths[index]
            word = int(self.offsets[min(after + 1, self.count - 1)] - self.offsets[after])
            wrapped = self.width > 0 and length + word >= self.width
            goes_on = wrapped or (lower and (length >= WRAPPED_LINES[0] or last & COMMA != 0))
            goes_on = goes_on and not (last & DOTTED and not last & TITLE and not lower)
        if not goes_on:
            self.starts.append(after)

    def _answers(self, word: int, lower: bool, newline: int) -> bool:
        """Whether a line's last word answers what the line asks: "Smoker: No", "fever  no"."""
        if not word:
            return False
        before = self.kinds[word - 1]
        if before & (SEPARATOR | NEWLINE):
            return bool(before & SEPARATOR)
        if before & SPACE or not lower:
            return True
        short = self.line_lengths[newline] < WRAPPED_LINES[0]
        return (
            short and not before & (CONTINUES | COMMA | SOFT | END) and not self.kinds[word] & SOFT
        )

    def _begins_segment(self, index: int) -> bool:
        """Whether a token is the first of its line, sentence or list item."""
        if self._begins_line(index):
            return True
        before = index - 1
        while self.kinds[before] & SPACE:
            before -= 1
        return bool(self.kinds[before] & (END | COLON | DOTTED))

    def _begins_line(self, index: int) -> bool:
        """Whether a token is the first of its line."""
        before = index - 1
        while before >= 0 and self.kinds[before] & SPACE:
            if self.kinds[before] & NEWLINE:
                return True
            before -= 1
        return before < 0

    def _full_stop(self, index: int, kind: int) -> None:
        end = index + 1
        while end < self.count and self.kinds[end] & CLOSING and not self.spaced[end - 1]:
            end += 1
        after = end if end < self.count and not self.kinds[end] & SPACE else self._next_word(end)
        if end >= self.count or after >= self.count:
            return
        following = self.kinds[after]
        apart = bool(self.spaced[end - 1] or self.kinds[end] & SPACE)
        if not apart and not (following & UPPER and following & (STARTER | LONG)):
            return
        if kind & SEPARATOR and following & (LOWER | UPPER):
            between = index > 0 and self.spaced[index - 1] and following & (LOWER | CAPS)
            if between or self._begins_segment(index):
                return  # "PE ? pneumonia", "? sepsis"
        if kind & DOTTED or (index and not self.spaced[index - 1]):
            word = index if kind & DOTTED else index - 1
            if not self._word_may_end(word, following):
                return
        self.starts.append(after)

    def _word_may_end(self, word: int, following: int) -> bool:
        """Whether a full stop right after (or in) a token may end a sentence."""
        kind = self.kinds[word]
        if kind & TITLE or (kind & NUMERO and not following & (UPPER | LOWER)):
            return False
        if kind & NUMBER and self._begins_segment(word):
            return False
        if kind & LETTER and self._begins_line(word):
            return False  # "a. no fever"
        if kind & INITIAL:
            if following & UPPER and self._is_no_initial(word):
                return True
            before = self.kinds[word - 1] if word else 0
            stopped = self.kinds[word - 2] if word > 1 and before & END else 0
            after_title = (before | stopped) & TITLE
            return bool(following & UPPER) if after_title else bool(following & STARTER)
        if kind & ATTRIBUTE and following & (UPPER | LOWER):
            capitals = following & CAPS and not following & STARTER
            if following & LOWER or capitals or self._begins_segment(word):
                return False
        if kind & (ABBREVIATION | DOTTED):
            if following & (UPPER | BULLET):
                return True
            return self._clause_ends(word, following)
        return True

    def _is_no_initial(self, word: int) -> bool:
        """Whether a single capital letter is no person's: "C/C/E", "hep C", "98.6 F".

        "Smith & J. Jones" and a list's "2 T. Dolo" are no such letters.
        """
        before = self.kinds[word - 1] if word else 0
        if before & JOINS:
            return word > 1 and bool(self.kinds[word - 2] & CAPS)
        if before & DIGITS:
            return bool(self.kinds[word] & LETTER) and not self._begins_line(word - 1)
        return bool(before & LETTERED)

    def _clause_ends(self, word: int, following: int) -> bool:
        """Whether a full stop behind an abbreviation ends a clause before a small letter.

        "for 2 wks. cough persists" and "no m/r/g. edema" do; "81 mg. daily" goes on.
        """
        kind = self.kinds[word]
        if not kind & CLOSER or not following & LOWER:
            return False
        if following & (DOSES | ABBREVIATION | DOTTED | CONTINUES | LEADER):
            return False
        return not self._begins_segment(word)

    def _number_with_bracket(self, index: int) -> None:
        """`2)` inside a line starts an item, unless it closes a bracket."""
        number = index - 1
        if number < 1 or not self.kinds[number] & NUMBER or not self.spaced[number - 1]:
            return
        for before in range(number - 1, max(-1, number - 20), -1):
            if self.kinds[before] & OPENING:
                return
            if self.kinds[before] & (CLOSING | NEWLINE):
                break
        self.starts.append(number)

    def _heading_in_line(self, colon: int) -> None:
        """`... no edema NEUROLOGIC: ...`: capitals before a colon, after words that are not."""
        first = colon
        words = long = 0
        qualified = (
            colon > 1 and self.kinds[colon - 2] & QUALIFIER and self.kinds[colon - 2] & UPPER
        )
        heading = self.kinds[colon - 1] if colon > 1 and not qualified else 0
        if heading & HEADING and heading & UPPER:
            if self.kinds[colon - 2] & (LOWER | UPPER | NUMBER | CLOSING | COMMA):
                self.starts.append(colon - 1)
            return
        while first > 0 and colon - first < 8 and self.kinds[first - 1] & (CAPS | BULLET):
            first -= 1
            words += bool(self.kinds[first] & CAPS)
            long += bool(self.kinds[first] & LONG)
        if first and first < colon and (words > 1 or long) and self.kinds[first] & CAPS:
            before = self.kinds[first - 1]
            if before & (LOWER | UPPER | NUMBER | CLOSING) and not before & (CAPS | CONTINUES):
                self.starts.append(first)


def sentence_starts(doc: Doc, kinds: TokenKinds) -> np.ndarray:
    """Where the rules see sentences start; annotates nothing.

    doc (Doc): The document; only its tokens are read.
    kinds (TokenKinds): A cache over the document's vocabulary.
    RETURNS (ndarray): Shape (tokens,), bool; the first token always starts one.
    """
    starts = np.zeros(len(doc), dtype=bool)
    if len(doc):
        rows = doc.to_array([ORTH, SPACY, IDX])
        token_kinds = [kinds[orth] for orth in rows[:, 0].tolist()]
        starts[_Boundaries(rows, token_kinds).find()] = True
        starts[0] = True
    return starts


class ClinicalSentences(RuleComponent):
    """Sentence boundaries by rules that know how clinical notes are laid out.

    Lines, bulleted and numbered lists, headings, decimals, titles ("Dr."), dosing abbreviations
    ("q.d.") and hard-wrapped text are told apart by the tokens alone; nothing is trained. An
    entity that is already in `doc.ents` is never cut.
    """

    factory = "clinner_sentences"
    overwrite = Setting[bool]()

    def __init__(
        self,
        name: str = "clinner_sentences",
        *,
        overwrite: bool = False,
        nlp: Language | None = None,
    ) -> None:
        """Make the component.

        name (str): Its name in the pipeline.
        overwrite (bool): Replace boundaries that an earlier component set. Documents with a
            dependency parse keep theirs always, since spaCy derives them from the parse.
        nlp (Language | None): The pipeline, whose config has the settings.
        """
        super().__init__(nlp, name, {"overwrite": overwrite})
        self._kinds: TokenKinds | None = None

    def use(self, settings: dict[str, Any]) -> None:
        """Check settings; see `Configured.use`."""
        if not isinstance(settings["overwrite"], bool):
            got = settings["overwrite"]
            raise ClinnerError(f"{self.name}: `overwrite` must be true or false; got {got!r}.")

    def __call__(self, doc: Doc) -> Doc:
        """Set `Token.is_sent_start` for every token.

        doc (Doc): The document.
        RETURNS (Doc): The same document.
        """
        if not len(doc) or doc.has_annotation("DEP"):
            return doc
        if self._kinds is None or self._kinds.strings is not doc.vocab.strings:
            self._kinds = TokenKinds(doc.vocab.strings)
        starts = sentence_starts(doc, self._kinds)
        for ent in doc.ents:
            starts[ent.start + 1 : ent.end] = False
        values = np.where(starts, 1, -1)
        if not self.overwrite:
            existing = doc.to_array([SENT_START]).astype(np.int64)
            values = np.where(existing == 0, values, existing)
        doc.from_array([SENT_START], values.astype(np.int64).view(np.uint64))  # type: ignore[arg-type]
        return doc

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kinds": None}


@Language.factory(
    "clinner_sentences",
    assigns=["token.is_sent_start", "doc.sents"],
    default_config={"overwrite": False},
)
def create_sentences(
    nlp: Language,
    name: str,
    overwrite: bool,
) -> Callable[[Doc], Doc]:
    """Make the `clinner_sentences` component.

    nlp (Language): The pipeline.
    name (str): The component's name.
    overwrite (bool): Replace boundaries that an earlier component set.
    RETURNS (ClinicalSentences): The component.
    """
    return ClinicalSentences(name, overwrite=overwrite, nlp=nlp)
