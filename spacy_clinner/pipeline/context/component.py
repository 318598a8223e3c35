from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from spacy.attrs import IDX, IS_SPACE, LENGTH, LOWER, ORTH, SENT_START
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_clinner import schemes
from spacy_clinner.annotation import attributes
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.context.assertion import COMBINE, Findings, combine
from spacy_clinner.pipeline.context.assertion import attributes as assertion_attributes
from spacy_clinner.pipeline.context.defaults import Head, SectionDefaults
from spacy_clinner.pipeline.context.lexicon import Lexicon, load_lexicon
from spacy_clinner.pipeline.context.rules import ContextRules, Found
from spacy_clinner.pipeline.context.tokens import SPACE, Entities, Tokens, white_space
from spacy_clinner.pipeline.phrases import PhraseTokenizer
from spacy_clinner.pipeline.sentences import sentence_starts
from spacy_clinner.pipeline.settings import StoredSettings
from spacy_clinner.pipeline.token_kinds import TokenKinds

SPAN_KEYS = ["ents", "clinical", "ncbi", "bc5cdr", "maccrobat", "umls"]
# What a linked modifier makes of an entity; the words of SUBJECT, TEMPORAL and CONDITION decide.
LINKED = {"NEGATION": "negated", "UNCERTAIN": "uncertain"}


# Where each token starts and ends in the text.
Offsets = tuple[list[int], list[int]]
NOTHING_FOUND = Findings()  # shared; nobody changes it


class ClinicalContext(StoredSettings):
    """Assertion attributes for entities: negated (and by which words), possible, hypothetical,
    conditional, historical, and whose they are.

    Works on any pipeline's entities. Cues come from a lexicon (`lexicon.toml` beside this file)
    and are found in one pass over the tokens. Sentence boundaries and sections are used where
    the document has them; without boundaries the component makes its own.

    Sets `Span._.negated`, `negation_cue`, `assertion`, `uncertain`, `hypothetical`,
    `historical`, `experiencer` and `assertion_evidence`.
    """

    def __init__(
        self,
        nlp: Language,
        name: str = "clinner_context",
        *,
        span_keys: Sequence[str] = SPAN_KEYS,
        combine: str = "rules",
        cues: Mapping[str, Mapping[str, Any]] | None = None,
        disable: Sequence[str] = (),
        sections: Mapping[str, str] | None = None,
    ) -> None:
        """Make the component.

        nlp (Language): The pipeline; its tokenizer cuts the cues.
        name (str): The component's name in the pipeline.
        span_keys (Sequence[str]): Whose spans get attributes: "ents" for `doc.ents`, any other
            name for `doc.spans[name]`. Groups that a document lacks are skipped.
        combine (str): How rules and linked modifiers decide together: "rules", "relations",
            "either" or "relations_first" (see `assertion.combine`).
        cues (Mapping[str, Mapping[str, Any]] | None): More cues, as tables of the lexicon by id.
        disable (Sequence[str]): Ids of cues to leave out.
        sections (Mapping[str, str] | None): More section defaults (title to category).
        RAISES (ClinnerError): A setting that is not right.
        """
        self.name = name
        self.nlp = nlp
        self.span_keys = list(span_keys)
        self.combine = combine
        self.cues = {cue_id: dict(entry) for cue_id, entry in (cues or {}).items()}
        self.disable = list(disable)
        self.sections = dict(sections or {})
        self._rules: ContextRules | None = None
        self._groups: dict[tuple[str, str], str | None] = {}
        self.lexicon = self._load()

    def _load(self) -> Lexicon:
        if self.combine not in COMBINE:
            raise ClinnerError(
                f"{self.name}: combine must be one of {', '.join(COMBINE)}; got {self.combine!r}."
            )
        self._rules = None
        return load_lexicon(self.cues, self.disable, self.sections)

    def add_cue(self, cue_id: str, **entry: Any) -> None:
        """Add a cue, or change one; saved with the component.

        cue_id (str): A new id, or one of the lexicon's: then the given keys replace its own and
            the given patterns come on top of its own.
        entry: The keys of a lexicon table: category, patterns, direction, window, ...
        RAISES (ClinnerError): A key or value that is not right; nothing is changed then.
        """
        cues = {**self.cues, cue_id: {**self.cues.get(cue_id, {}), **entry}}
        load_lexicon(cues, self.disable, self.sections)
        self.cues = cues
        self.lexicon = self._load()

    def __call__(self, doc: Doc) -> Doc:
        """Set the attributes of every span.

        doc (Doc): The document.
        RETURNS (Doc): The same document.
        """
        spans = self._spans(doc)
        if not spans:
            return doc
        tokens, before, offsets = self._tokens(doc)
        places = [(before[span.start], before[span.end]) for span in spans]
        order = sorted(range(len(spans)), key=places.__getitem__)
        groups = [self._semantic_group(spans[index]) for index in order]
        rules, entities = self._compiled(), [places[index] for index in order]
        marks = rules.marks(tokens, entities)
        found = rules(tokens, entities, marks, groups)
        heads = _heads(doc, offsets, entities, self.lexicon.sections)
        sections = self._defaults(tokens, marks, entities, heads)
        related = self.combine != "rules" and "relations" in doc.user_data.get(attributes.STORE, {})
        for index, categories, section in zip(order, found, sections, strict=True):
            span = spans[index]
            findings = _findings(categories, offsets)
            if related:
                findings = combine(findings, self._linked(span), self.combine)
            values = assertion_attributes(findings, section, self.lexicon.sections)
            values["negation_cue"] = (
                None if findings.cue is None else [*findings.cue, "NEGATION", ""]
            )
            attributes.set_values(span, **values)
        return doc

    def _spans(self, doc: Doc) -> list[Span]:
        spans: dict[tuple[int, int, int, int], Span] = {}
        for key in self.span_keys:
            group = doc.ents if key == "ents" else doc.spans.get(key, ())
            for span in group:
                spans[span.start, span.end, span.label, span.id] = span
        return list(spans.values())

    def _compiled(self) -> ContextRules:
        # Compiled late: the tokenizer may be replaced or loaded after the component is made.
        if self._rules is None:
            cut = PhraseTokenizer(self.nlp)
            self._rules = ContextRules(self.lexicon.cues, cut)
            self._defaults = SectionDefaults(self.lexicon.sections, cut)
            self._kinds = TokenKinds(self.nlp.vocab.strings)
        return self._rules

    def _tokens(self, doc: Doc) -> tuple[Tokens, list[int], Offsets]:
        """The tokens without white space, each token's number among them, and where in the text
        each of them starts and ends."""
        self._compiled()
        if doc.has_annotation("SENT_START"):
            rows = doc.to_array([LOWER, IS_SPACE, IDX, LENGTH, ORTH, SENT_START])
            starts = rows[:, 5] == 1
        else:
            rows = doc.to_array([LOWER, IS_SPACE, IDX, LENGTH, ORTH])
            starts = sentence_starts(doc, self._kinds)
        keep = rows[:, 1] == 0
        sentence = np.cumsum(starts)[keep]
        count = len(sentence)
        firsts = np.flatnonzero(np.diff(sentence, prepend=-1))
        lengths = np.diff(firsts, append=count)
        offsets = rows[keep, 2:4].astype(np.int64)
        offsets[:, 1] += offsets[:, 0]
        tokens = Tokens(
            rows[keep, 0].tolist(),
            np.repeat(firsts, lengths).tolist(),
            np.repeat(firsts + lengths, lengths).tolist(),
            *white_space(offsets, keep, rows[:, 4], self._kinds),
        )
        before = np.concatenate(([0], np.cumsum(keep))).tolist()
        return tokens, before, (offsets[:, 0].tolist(), offsets[:, 1].tolist())

    def _semantic_group(self, span: Span) -> str | None:
        key = (span.label_, span.id_)
        if key not in self._groups:
            self._groups[key] = schemes.semantic_group(span.label_, span.id_ or None)
        return self._groups[key]

    def _linked(self, span: Span) -> Findings | None:
        """What an entity's linked modifiers say; None when its label has no legal pairs."""
        if not any(span.label_ in schemes.load(name).pairs for name in schemes.names()):
            return None
        findings = Findings()
        for label, modifier, _ in attributes.get_modifiers(span):
            category = LINKED.get(label) or self._worded(label, modifier)
            if category is None:
                continue
            findings.evidence.setdefault(category, f"modifier:{label}")
            if category == "negated" and findings.cue is None:
                findings.cue = modifier.start_char, modifier.end_char
        return findings

    def _worded(self, label: str, modifier: Span) -> str | None:
        """The category that a modifier's own words give: "father" or "donor", "if" or "on"."""
        allowed, otherwise = {
            "SUBJECT": (("family", "other"), "other"),
            "TEMPORAL": (("historical",), None),
            "CONDITION": (("conditional", "hypothetical"), "hypothetical"),
        }.get(label, ((), None))
        if not allowed:
            return None
        words = [token.lower for token in modifier if not token.is_space]
        count = len(words)
        whole = Tokens(words, [0] * count, [count] * count, [SPACE] * count, [])
        for _, _, cue in self._compiled().marks(whole):
            for category in allowed:
                if category in cue.categories:
                    return category
        return otherwise

    def _settings(self) -> dict[str, Any]:
        return {
            "span_keys": self.span_keys,
            "combine": self.combine,
            "cues": self.cues,
            "disable": self.disable,
            "sections": self.sections,
        }

    def _set(self, settings: dict[str, Any]) -> None:
        for key in self._settings():
            if key in settings:
                setattr(self, key, settings[key])
        self.lexicon = self._load()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_rules": None, "_defaults": None, "_kinds": None}


def _findings(found: Found, offsets: Offsets) -> Findings:
    if not found:
        return NOTHING_FOUND
    if "hypothetical" in found and "historical" in found:
        found = dict(found)
        if found["historical"][0] < found["hypothetical"][0]:
            del found["historical"]  # "history: if chest pain recurs"
    evidence = {category: f"rule:{cue.id}" for category, (_, _, cue) in found.items()}
    negation = found.get("negated")
    if negation is None:
        return Findings(evidence)
    start, end, cue = negation
    if "hypothetical" in evidence and "historical" in cue.categories:
        # "until the fever has resolved": it has not.
        evidence = {key: value for key, value in evidence.items() if found[key] is not negation}
        return Findings(evidence)
    doubt = found.get("uncertain")
    if doubt is not None and doubt[1] <= start and cue.direction == "backward":
        # "evaluated for a fracture, which was ruled out": what is said last holds.
        del evidence["uncertain"]
    return Findings(evidence, (offsets[0][start], offsets[1][end - 1]))


def _heads(
    doc: Doc, offsets: Offsets, entities: Entities, defaults: Mapping[str, str]
) -> list[Head | None]:
    """Per entity its section, if that says something by itself; `offsets` is of its tokens."""
    stored = doc.user_data.get(attributes.STORE, {}).get("sections", ())
    if not any(title in defaults for title, _, _ in stored):
        return [None] * len(entities)
    heads: list[Head | None] = []
    begins = []
    for title, header, span in stored:
        begins.append(bisect_left(offsets[0], span[0]))
        end = begins[-1] if header is None else bisect_left(offsets[0], header[1])
        heads.append(Head(title, begins[-1], end) if title in defaults else None)
    numbers = (bisect_right(begins, start) - 1 for start, _ in entities)
    return [heads[number] if number >= 0 else None for number in numbers]


@Language.factory(
    "clinner_context",
    requires=["doc.ents"],
    assigns=[
        "span._.negated",
        "span._.negation_cue",
        "span._.assertion",
        "span._.uncertain",
        "span._.hypothetical",
        "span._.historical",
        "span._.experiencer",
        "span._.assertion_evidence",
    ],
    default_config={
        "span_keys": SPAN_KEYS,
        "combine": "rules",
        "cues": {},
        "disable": [],
        "sections": {},
    },
)
def create_context(
    nlp: Language,
    name: str,
    span_keys: list[str],
    combine: str,
    cues: dict[str, dict[str, Any]],
    disable: list[str],
    sections: dict[str, str],
) -> Callable[[Doc], Doc]:
    """Make the `clinner_context` component; `ClinicalContext` explains the settings."""
    return ClinicalContext(
        nlp,
        name,
        span_keys=span_keys,
        combine=combine,
        cues=cues,
        disable=disable,
        sections=sections,
    )
