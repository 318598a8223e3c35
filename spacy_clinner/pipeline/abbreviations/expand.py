"""Writing short forms out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spacy_clinner.pipeline.abbreviations.definitions import Definition, Extent
from spacy_clinner.pipeline.abbreviations.short_forms import DOTTED, Inventory, plural

CHUNK = re.compile(r"""[^\s()\[\],;:"'*!?]+""")
PART = re.compile(r"[^/+&-]+")
# Characters on each side that tell whether a line is all in capitals.
AROUND = 100


@dataclass(frozen=True)
class Expander:
    """Writes out the short forms of a note.

    text (str): The note.
    definitions (Sequence[Definition]): What it defines, in its order.
    inventory (Inventory): What is known besides.
    """

    text: str
    definitions: Sequence[Definition]
    inventory: Inventory

    def expand(self, start: int, end: int) -> str | None:
        """Write out what stands between two offsets.

        start (int), end (int): In characters.
        RETURNS (str | None): The text with every short form written out, and a short form beside
            its definition left out; None where there is none.
        """
        pieces, at = [], start
        for (begin, stop), long in self._replaced(start, end):
            pieces += [self.text[at:begin], long]
            at = stop
        return "".join([*pieces, self.text[at:end]]) if pieces else None

    def _replaced(self, start: int, end: int) -> Iterator[tuple[Extent, str]]:
        for definition in self.definitions:
            if start <= definition.start and definition.end <= end:
                yield from self.words_between(start, definition.start)
                yield (definition.start, definition.end), definition.long
                start = definition.end
        yield from self.words_between(start, end)

    def words_between(self, start: int, end: int) -> Iterator[tuple[Extent, str]]:
        """The short forms between two offsets that are no definitions: where each stands, and what
        it stands for.

        start (int), end (int): In characters.
        YIELDS (tuple[Extent, str]): In the order of the text.
        """
        for chunk in CHUNK.finditer(self.text, start, end):
            begin, stop = chunk.span()
            if not DOTTED.fullmatch(chunk[0]):
                stop = begin + len(chunk[0].rstrip("."))
            long = self._long_form(begin, stop)
            if long is not None:
                yield (begin, stop), long
                continue
            for part in PART.finditer(self.text, begin, stop):
                # "HIV-positive", "n/v", but not "pick-up".
                if "-" not in chunk[0] or any(map(str.isupper, part[0])):
                    long = self._long_form(*part.span())
                    if long is not None:
                        yield part.span(), long

    def _long_form(self, start: int, end: int) -> str | None:
        word = self.text[start:end]
        defined = self._defined(word, start)
        if defined is not None:
            return defined
        if self.inventory.is_word_too(word) and not self._has_small_letters(start, end):
            return None
        forms = self.inventory.long_forms(word)
        return forms[0] if len(forms) == 1 else None

    def _defined(self, word: str, at: int) -> str | None:
        found = None
        for definition in self.definitions:
            if word not in (definition.short, f"{definition.short}s"):
                continue
            if found is None or definition.start <= at:
                found = definition.long if word == definition.short else plural(definition.long)
        return found

    def _has_small_letters(self, start: int, end: int) -> bool:
        before = self.text[max(0, start - AROUND) : start].rpartition("\n")[2]
        after = self.text[end : end + AROUND].partition("\n")[0]
        return any(map(str.islower, before + after))
