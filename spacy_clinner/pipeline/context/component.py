from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from spacy.attrs import IDX, IS_SPACE, LENGTH, LOWER, ORTH, SENT_START
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_clinner.annotation import extensions, said, store
from spacy_clinner.annotation.spans import ALL, SpanKey, select, span_key
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.context.assertion import COMBINE, NOTHING_SAID, Findings, combine
from spacy_clinner.pipeline.context.assertion import attributes as assertion_attributes
from spacy_clinner.pipeline.context.defaults import SectionDefaults, section_heads
from spacy_clinner.pipeline.context.lexicon import load_lexicon
from spacy_clinner.pipeline.context.rules import ContextRules
from spacy_clinner.pipeline.context.scopes import Found
from spacy_clinner.pipeline.context.scorer import score_assertion
from spacy_clinner.pipeline.context.tokens import (
    SPACE,
    Entities,
    Mark,
    Offsets,
    Tokens,
    white_space,
)
from spacy_clinner.pipeline.layer_roles import linked_labels, modifier_groups
from spacy_clinner.pipeline.phrases import PhraseTokenizer, collector_paused
from spacy_clinner.pipeline.sentences import sentence_starts
from spacy_clinner.pipeline.settings import RuleComponent, Setting, check_names
from spacy_clinner.pipeline.threads import one_at_a_time
from spacy_clinner.pipeline.token_kinds import TokenKinds

# What a linked modifier makes of an entity; the words of SUBJECT, TEMPORAL and CONDITION decide.
LINKED = {"NEGATION": "negated", "UNCERTAIN": "uncertain"}
MISSPELLED = 5  # letters at least of a word that may be a cue with a typing error


NOTHING_FOUND = Findings()  # shared; nobody changes it


class ClinicalContext(RuleComponent):
    """Assertion attributes for entities: negated (and by which words), possible, hypothetical,
    conditional, historical, and whose they are.

    Works on any pipeline's entities. Cues come from a lexicon (`lexicon.toml` beside this file)
    and are found in one pass over the tokens. Sentence boundaries and sections are used where
    the document has them; without boundaries the component makes its own.

    Sets `Span._.negated`, `negation_cue`, `assertion`, `uncertain`, `hypothetical`,
    `historical`, `experiencer` and `assertion_evidence`.
    """

    factory = "clinner_context"
    nlp: Language
    span_keys = Setting[list[str]]()
    combine = Setting[str]()
    cues = Setting[dict[str, dict[str, Any]]]()
    disable = Setting[list[str]]()
    sections = Setting[dict[str, str]]()

    def __init__(
        self,
        nlp: Language,
        name: str = "clinner_context",
        *,
        span_keys: Sequence[str] = (ALL,),
        combine: str = "rules",
        cues: Mapping[str, Mapping[str, Any]] | None = None,
        disable: Sequence[str] = (),
        sections: Mapping[str, str] | None = None,
        scorer: Callable[..., dict[str, Any]] | None = score_assertion,
    ) -> None:
        """Make the component.

        nlp (Language): The pipeline; its tokenizer cuts the cues.
        name (str): The component's name in the pipeline.
        span_keys (Sequence[str]): Whose spans get attributes: "ents" for `doc.ents`, any other
            name for `doc.spans[name]`, "*" for all but layers of modifiers. Groups that a
            document lacks are skipped.
        combine (str): How rules and linked modifiers decide together: "rules", "relations",
            "either" or "relations_first" (see `assertion.combine`).
        cues (Mapping[str, Mapping[str, Any]] | None): More cues, as tables of the lexicon by id.
        disable (Sequence[str]): Ids of cues to leave out.
        sections (Mapping[str, str] | None): More section defaults (title to category).
        scorer (Callable | None): The scoring method.
        RAISES (ClinnerError): A setting that is not right.
        """
        self.scorer = scorer
        settings = {
            "span_keys": list(span_keys),
            "combine": combine,
            "cues": {cue_id: dict(entry) for cue_id, entry in (cues or {}).items()},
            "disable": list(disable),
            "sections": dict(sections or {}),
        }
        super().__init__(nlp, name, settings)

    def use(self, settings: dict[str, Any]) -> None:
        """Read the lexicon; see `Configured.use`."""
        combine = settings["combine"]
        if combine not in COMBINE:
            raise ClinnerError(
                f"{self.name}: combine must be one of {', '.join(COMBINE)}; got {combine!r}."
            )
        check_names(self.name, settings, "span_keys", "disable")
        lexicon = load_lexicon(settings["cues"], settings["disable"], settings["sections"])
        # Rules take a while to compile, and go by the lexicon alone.
        if lexicon != self.__dict__.get("lexicon"):
            self.lexicon = lexicon
            # What is switched off is no misspelling.
            every = load_lexicon(settings["cues"], (), settings["sections"]).cues.values()
            self._words = {word for cue in every for text in cue.phrases for word in text.split()}
            self._rules: ContextRules | None = None

    def add_cue(self, cue_id: str, **entry: Any) -> None:
        """Add a cue, or change one; saved with the config of the pipeline.

        cue_id (str): A new id, or one of the lexicon's: then the given keys replace its own and
            the given patterns come on top of its own.
        entry: The keys of a lexicon table: category, patterns, direction, window, ...
        RAISES (ClinnerError): A key or value that is not right; nothing is changed then.
        """
        self.cues = {**self.cues, cue_id: {**self.cues.get(cue_id, {}), **entry}}

    def __call__(self, doc: Doc) -> Doc:
        """Set the attributes of every span.

        doc (Doc): The document.
        RETURNS (Doc): The same document.
        """
        self.refresh()
        spans = self._spans(doc)
        if not spans:
            return doc
        tokens, before, offsets = self._tokens(doc)
        starts = before[[span.start for span in spans]].tolist()
        ends = before[[span.end for span in spans]].tolist()
        # A span of one layer says nothing of another's: "4 mg prn" of a dose hides no "prn pain".
        layers: dict[int, list[tuple[int, int, int]]] = {}
        judged = []
        for index, span in enumerate(spans):
            if starts[index] < ends[index]:
                layers.setdefault(span.id, []).append((starts[index], ends[index], index))
            else:  # white space
                judged.append((span, {**NOTHING_SAID, "assertion_evidence": []}))
        phrases = self._compiled().marks.find(tokens)
        unread = self._unread(doc) if self.settings["combine"] == "rules" else {}
        for layer in layers.values():
            layer.sort()
            of_layer = [spans[index] for _, _, index in layer]
            entities = [(start, end) for start, end, _ in layer]
            judged += self._judged(doc, of_layer, tokens, entities, phrases, offsets, unread)
        store.write(doc, judged)
        return doc

    def _judged(
        self,
        doc: Doc,
        spans: Sequence[Span],
        tokens: Tokens,
        entities: Entities,
        phrases: Sequence[Mark],
        offsets: Offsets,
        unread: Mapping[SpanKey, Findings],
    ) -> list[tuple[Span, dict[str, Any]]]:
        """The spans of one layer with their attributes."""
        rules = self._compiled()
        marks = rules.marks(tokens, entities, phrases)
        known: dict[int, tuple[str, str]] = {}

        def kinds(entity: int) -> tuple[str, str]:
            # A label of a layer has one group, so that one entity of each is asked.
            span = spans[entity]
            if span.label not in known:
                known[span.label] = said.get_semantic_group(span) or "", span.label_
            return known[span.label]

        found = rules(tokens, entities, marks, kinds)
        heads = section_heads(doc, offsets, entities, self.lexicon.sections)
        sections = self._defaults(tokens, marks, entities, heads, kinds)
        how = self.settings["combine"]
        related = how != "rules" and said.has_relations(doc)
        judged = []
        for span, categories, section in zip(spans, found, sections, strict=True):
            if not (categories or related or section or unread):
                judged.append((span, {**NOTHING_SAID, "assertion_evidence": []}))
                continue
            findings = _findings(categories, offsets)
            if related:
                findings = combine(findings, self._linked(span), how)
            elif unread:
                findings = combine(findings, unread.get(span_key(span)), how)
            values = assertion_attributes(findings, section, self.lexicon.sections)
            values["negation_cue"] = _cue(findings, span)
            judged.append((span, values))
        return judged

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Score by the scorer, over the spans that are judged.

        examples (Iterable[Example]): The examples.
        RETURNS (dict[str, Any]): The scores; see `score_assertion`.
        """
        if self.scorer is None:
            return {}
        keys = {"span_keys": self.settings["span_keys"], "without": modifier_groups(self.nlp)}
        return self.scorer(examples, **{**keys, **kwargs})

    def _spans(self, doc: Doc) -> list[Span]:
        keys = self.settings["span_keys"]
        without = modifier_groups(self.nlp).difference(keys)
        # Where modifiers fill `doc.ents`, too, they are none that something is asserted of.
        return [span for span in select(doc, keys, without=without) if span.id_ not in without]

    @one_at_a_time
    def _compiled(self) -> ContextRules:
        # Compiled late: the tokenizer may be replaced or loaded after the component is made.
        if self._rules is None:
            cut = PhraseTokenizer(self.nlp)
            with collector_paused():
                self._rules = ContextRules(self.lexicon, cut)
            self._defaults = SectionDefaults(self.lexicon.sections, cut)
            self._kinds = TokenKinds(self.nlp.vocab.strings)
        return self._rules

    def _tokens(self, doc: Doc) -> tuple[Tokens, np.ndarray, Offsets]:
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
        firsts = np.flatnonzero(np.concatenate(([True], sentence[1:] != sentence[:-1])))[:count]
        lasts = np.concatenate((firsts[1:], [count]))[: len(firsts)]
        lengths = lasts - firsts
        offsets = rows[keep, 2:4].astype(np.int64)
        offsets[:, 1] += offsets[:, 0]
        tokens = Tokens(
            rows[keep, 0].tolist(),
            np.repeat(firsts, lengths).tolist(),
            np.repeat(lasts, lengths).tolist(),
            *white_space(offsets, keep, rows[:, 4], self._kinds),
            offsets[:, 0],
            cache(lambda: str(doc.text)),
        )
        before = np.concatenate(([0], np.cumsum(keep)))
        return tokens, before, (offsets[:, 0], offsets[:, 1])

    def _unread(self, doc: Doc) -> dict[SpanKey, Findings]:
        """By entity, a linked negation none of whose words any cue has: "deneis fever".

        Short ones and figures are something else that a model mistook: "POC Hgb".
        """
        return {
            span_key(entity): Findings(
                {"negated": f"modifier:{modifier.label_}"},
                (modifier.start_char, modifier.end_char),
            )
            for entity, modifier, _ in said.get_relations(doc)
            if LINKED.get(modifier.label_) == "negated"
            and len(modifier.text) >= MISSPELLED
            and all(word.is_alpha and word.lower_ not in self._words for word in modifier)
        }

    def _linked(self, span: Span) -> Findings | None:
        """What an entity's linked modifiers say; None when its label has no legal pairs."""
        if span.label_ not in linked_labels(self.nlp):
            return None
        findings = Findings()
        for label, modifier, _ in said.get_modifiers(span):
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
        at, text = np.arange(count), modifier.text
        whole = Tokens(words, [0] * count, [count] * count, [SPACE] * count, [], at, lambda: text)
        for _, _, cue in self._compiled().marks(whole):
            for category in allowed:
                if category in cue.categories:
                    return category
        return otherwise

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
    return Findings(evidence, (int(offsets[0][start]), int(offsets[1][end - 1])))


def _cue(findings: Findings, span: Span) -> tuple[int, int, str, str] | None:
    """The words that negate a span, as `store.write` takes them."""
    if findings.cue is None:
        return None
    start, end = findings.cue
    return start - span.start_char, end - span.start_char, "NEGATION", ""


@Language.factory(
    "clinner_context",
    # It reads doc.ents or doc.spans, whichever there is; `requires` has no word for "or".
    requires=[],
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
        "span_keys": [ALL],
        "combine": "rules",
        "cues": {},
        "disable": [],
        "sections": {},
        "prefix": "",
        "scorer": {"@scorers": "clinner.assertion_scorer.v1"},
    },
    default_score_weights={
        "negated_f": 0.0,
        "negated_p": None,
        "negated_r": None,
        "negated_end_to_end_f": 0.0,
        "negated_end_to_end_p": None,
        "negated_end_to_end_r": None,
        "assertion_acc": None,
        "assertion_per_type": None,
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
    prefix: str,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Callable[[Doc], Doc]:
    """Make the `clinner_context` component; `ClinicalContext` explains the settings, and
    `extensions.register` the prefix."""
    extensions.register(extensions.CONTEXT, prefix)
    return ClinicalContext(
        nlp,
        name,
        span_keys=span_keys,
        combine=combine,
        cues=cues,
        disable=disable,
        sections=sections,
        scorer=scorer,
    )
