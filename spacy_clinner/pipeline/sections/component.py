from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from spacy.attrs import IS_PUNCT, IS_SPACE, IS_TITLE, IS_UPPER, LENGTH, LIKE_NUM, LOWER, ORTH
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_clinner.annotation import extensions, said, store
from spacy_clinner.annotation.spans import ALL, select
from spacy_clinner.pipeline.phrases import PhraseTokenizer, collector_paused
from spacy_clinner.pipeline.sections.headers import HeaderRules, Shapes, read_headers
from spacy_clinner.pipeline.settings import RuleComponent, Setting, check_names
from spacy_clinner.pipeline.threads import one_at_a_time
from spacy_clinner.pipeline.token_kinds import BLANK_LINE, NEWLINE, TokenKinds


class ClinicalSections(RuleComponent):
    """Sections by their headers: `HPI:`, `PAST MEDICAL HISTORY`, `**Plan**`, `SUBJECTIVE:,`.

    Headers are normalised to the titles of `lexicon.toml` beside this file; a header in capitals
    that it does not know opens a section called "other". Sets `Doc._.sections` and
    `Span._.section`.
    """

    factory = "clinner_sections"
    nlp: Language
    span_keys = Setting[list[str]]()
    headers = Setting[dict[str, list[str]]]()

    def __init__(
        self,
        nlp: Language,
        name: str = "clinner_sections",
        *,
        span_keys: Sequence[str] = (ALL,),
        headers: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Make the component.

        nlp (Language): The pipeline; its tokenizer cuts the headers.
        name (str): The component's name in the pipeline.
        span_keys (Sequence[str]): Whose spans get `._.section`: "ents" for `doc.ents`, any other
            name for `doc.spans[name]`, "*" for all. Groups that a document lacks are skipped.
        headers (Mapping[str, Sequence[str]] | None): More headers by title; titles may be new.
        RAISES (ClinnerError): A header pattern that is not right.
        """
        given = {title: list(patterns) for title, patterns in (headers or {}).items()}
        super().__init__(nlp, name, {"span_keys": list(span_keys), "headers": given})

    def use(self, settings: dict[str, Any]) -> None:
        """Read the headers; see `Configured.use`."""
        check_names(self.name, settings, "span_keys")
        self._headings = read_headers(settings["headers"])
        self._rules: HeaderRules | None = None

    @one_at_a_time
    def _compiled(self) -> HeaderRules:
        # Compiled late: the tokenizer may be replaced or loaded after the component is made.
        if self._rules is None:
            cut = PhraseTokenizer(self.nlp)
            with collector_paused():
                self._rules = HeaderRules(self._headings, cut)
            self._kinds = TokenKinds(self.nlp.vocab.strings)
        return self._rules

    def __call__(self, doc: Doc) -> Doc:
        """Find the sections and write them to the document and its spans.

        doc (Doc): The document.
        RETURNS (Doc): The same document.
        """
        self.refresh()
        sections = self._sections(doc) if len(doc) else []
        said.set_sections(doc, sections)
        titles = [title for title, _, _ in sections]
        starts = np.array([span.start for _, _, span in sections], dtype=np.int64)
        found = []
        for span in select(doc, self.settings["span_keys"]):
            index = int(np.searchsorted(starts, span.start, side="right")) - 1
            found.append((span, {"section": titles[index] if index >= 0 else None}))
        store.write(doc, found)
        return doc

    def _sections(self, doc: Doc) -> list[tuple[str | None, Span | None, Span]]:
        rules = self._compiled()
        rows = doc.to_array([LOWER, IS_UPPER, IS_TITLE, IS_PUNCT, LENGTH, IS_SPACE, ORTH, LIKE_NUM])
        keep = rows[:, 5] == 0
        positions = np.flatnonzero(keep).tolist()
        if not positions:
            return [(None, None, doc[0 : len(doc)])]
        kinds = np.zeros(len(doc), dtype=np.int64)
        kinds[~keep] = [self._kinds[orth] for orth in rows[~keep, 6].tolist()]
        lines = np.cumsum(kinds & NEWLINE != 0)[keep]
        paragraph = np.cumsum(kinds & BLANK_LINE != 0)[keep].tolist()
        starts = np.concatenate(([True], lines[1:] != lines[:-1])).tolist()
        lower, upper, title, punct, length = rows[keep, :5].T.tolist()
        number = rows[keep, 7].tolist()
        headers = rules(Shapes(lower, upper, title, punct, length, starts, number, paragraph))
        sections: list[tuple[str | None, Span | None, Span]] = []
        begins = [positions[header.start] for header in headers]
        if not begins or begins[0] > 0:
            sections.append((None, None, doc[0 : begins[0] if begins else len(doc)]))
        ends = [*begins[1:], len(doc)][: len(begins)]
        for header, begin, end in zip(headers, begins, ends, strict=True):
            head = doc[begin : positions[header.end - 1] + 1]
            sections.append((header.title, head, doc[begin:end]))
        return sections

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_rules": None, "_kinds": None}


@Language.factory(
    "clinner_sections",
    assigns=["doc._.sections", "span._.section"],
    default_config={"span_keys": [ALL], "headers": {}, "prefix": ""},
)
def create_sections(
    nlp: Language, name: str, span_keys: list[str], headers: dict[str, list[str]], prefix: str
) -> Callable[[Doc], Doc]:
    """Make the `clinner_sections` component; `ClinicalSections` explains the settings, and
    `extensions.register` the prefix."""
    extensions.register(extensions.SECTIONS, prefix)
    return ClinicalSections(nlp, name, span_keys=span_keys, headers=headers)
