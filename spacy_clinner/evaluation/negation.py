"""Gold negation of corpora, and what a pipeline says about the same spans."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from spacy_clinner.annotation.said import assertion
from spacy_clinner.annotation.spans import span_key
from spacy_clinner.corpora.note import Note
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.context.assertion import COMBINE
from spacy_clinner.pipeline.context.component import ClinicalContext
from spacy_clinner.pipeline.relations.scorer import links
from spacy_clinner.schemes import load

GROUP = "gold"
# What MTSamples links negations to.
LABEL, LAYER = "PROBLEM", "clinical"


class Mention(NamedTuple):
    """A gold span: offsets in characters, its label, and whether the corpus calls it negated."""

    start: int
    end: int
    label: str
    negated: bool


class Judged(NamedTuple):
    """A mention with its text, what the pipeline says, and why."""

    text: str
    mention: Mention
    predicted: bool
    evidence: tuple[str, ...]


def linked_negation(note: Note) -> list[Mention]:
    """The problems of a note; negated where a relation links them to a NEGATION modifier.

    note (Note): A note of MTSamples.
    RETURNS (list[Mention]): In reading order.
    """
    written = {**load("modifiers").written, **load(LAYER).written}
    labels = {span.id: written.get(span.label, span.label) for span in note.spans}
    negations = {span_id for span_id, name in labels.items() if name == "NEGATION"}
    negated = {
        here
        for link in note.relations
        for here, there in ((link.head, link.tail), (link.tail, link.head))
        if there in negations
    }
    mentions = {
        Mention(span.start, span.end, LABEL, span.id in negated)
        for span in note.spans
        if labels[span.id] == LABEL
    }
    return sorted(mentions)


def polarity_negation(note: Note) -> list[Mention]:
    """Event mentions; negated where the attribute POLARITY is set (its one value is NEG).

    note (Note): A note of MACCROBAT.
    RETURNS (list[Mention]): In reading order.
    """
    targets = {a.target for a in note.attributes if a.label == "POLARITY" and a.value == "NEG"}
    spans = {span.id: span for span in note.spans}
    mentions = {
        Mention(span.start, span.end, event.label, event.id in targets or span.id in targets)
        for event in note.events
        if (span := spans.get(event.trigger)) is not None
    }
    return sorted(mentions)


def read_negex(path: Path) -> Iterator[tuple[str, list[Mention]]]:
    """Read the NegEx test set: a concept, a sentence with the concept in capitals, a verdict.

    The concept is lower-cased in its sentence, since capitals would give it away; a concept that
    its sentence does not hold is left out.

    path (Path): A TSV file with the columns concept, sentence and negation.
    YIELDS (tuple[str, list[Mention]]): The sentence and its one mention.
    RAISES (ClinnerError): The file is missing or lacks a column.
    """
    if not path.is_file():
        raise ClinnerError(f"{path}: no such file. Fetch the NegEx set first.")
    with path.open(encoding="utf8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if not {"concept", "sentence", "negation"} <= set(rows.fieldnames or ()):
            raise ClinnerError(f"{path}: needs the columns concept, sentence and negation.")
        for row in rows:
            concept, sentence = row["concept"], row["sentence"]
            found = re.search(rf"(?<!\w){re.escape(concept.upper())}(?![\w'])", sentence)
            start = found.start() if found else sentence.upper().find(concept.upper())
            if start < 0:
                continue
            end = start + len(concept)
            text = sentence[:start] + concept.lower() + sentence[end:]
            yield text, [Mention(start, end, "PROBLEM", row["negation"] == "Negated")]


def judge(
    nlp: Language, notes: Iterable[tuple[str, Sequence[Mention]]], layer: str
) -> Iterator[Judged]:
    """Put gold mentions before a pipeline and take its verdict on each.

    nlp (Language): A pipeline whose `clinner_context` reads the span group "gold".
    notes (Iterable[tuple[str, Sequence[Mention]]]): Texts with their mentions.
    layer (str): The mentions' layer.
    YIELDS (Judged): One per mention, in order.
    """
    for text, mentions in notes:
        doc = nlp.make_doc(text)
        spans = [
            doc.char_span(m.start, m.end, m.label, alignment_mode="expand", span_id=layer)
            for m in mentions
        ]
        doc.spans[GROUP] = [span for span in spans if span is not None]
        doc.set_ents([])
        for _, component in nlp.pipeline:
            doc = component(doc)
        for mention, span in zip(mentions, spans, strict=True):
            if span is not None:
                said = assertion(span)
                yield Judged(text, mention, said.negated is True, said.evidence)


def without_annotation(reference: Doc, layer: str) -> Doc:
    """A copy of a gold document that keeps its tokens and spans, and no relation or attribute.

    reference (Doc): The gold document.
    layer (str): The layer for `doc.ents`.
    RETURNS (Doc): The copy.
    """
    doc = Doc(
        reference.vocab,
        words=[token.text for token in reference],
        spaces=[bool(token.whitespace_) for token in reference],
    )
    for name, group in reference.spans.items():
        doc.spans[name] = [
            Span(doc, span.start, span.end, span.label, span_id=span.id) for span in group
        ]
    doc.set_ents(filter_spans(doc.spans.get(layer, ())))
    return doc


def judge_with_relations(nlp: Language, references: Sequence[Doc]) -> dict[str, list[Judged]]:
    """Take a pipeline's verdict on gold problems, by each way to combine rules and relations.

    The pipeline gets the gold spans of every layer, entities and modifiers, and links them itself.

    nlp (Language): A pipeline with `clinner_relations` and `clinner_context`.
    references (Sequence[Doc]): Gold documents with spans and relations; a relation to a NEGATION
        negates a problem.
    RETURNS (dict[str, list[Judged]]): By the value of `combine`.
    RAISES (ClinnerError): The pipeline lacks one of the two components.
    """
    names = {nlp.get_pipe_meta(name).factory: name for name in nlp.pipe_names}
    if not {"clinner_relations", "clinner_context"} <= names.keys():
        raise ClinnerError(
            "the pipeline needs clinner_relations and clinner_context; "
            f"it has {', '.join(nlp.pipe_names)}."
        )
    # The spans are given, so whatever finds spans stays out; the context runs once per `combine`.
    left_out = [
        names[factory] for factory in ("clinner_ner", "clinner_context") if factory in names
    ]
    given = [without_annotation(reference, LAYER) for reference in references]
    with nlp.select_pipes(disable=left_out):
        docs = list(nlp.pipe(given, batch_size=8))
    context = cast(ClinicalContext, nlp.get_pipe(names["clinner_context"]))
    chosen = context.combine
    judged: dict[str, list[Judged]] = {}
    for context.combine in COMBINE:
        judged[context.combine] = [
            verdict
            for doc, reference in zip(docs, references, strict=True)
            for verdict in _verdicts(context(doc), reference)
        ]
    context.combine = chosen
    return judged


def _verdicts(doc: Doc, reference: Doc) -> Iterator[Judged]:
    negated = {link.head for link in links(reference) if link.tail.label == "NEGATION"}
    for span in doc.spans.get(LAYER, ()):
        if span.label_ == LABEL:
            mention = Mention(span.start_char, span.end_char, LABEL, span_key(span) in negated)
            said = assertion(span)
            yield Judged(doc.text, mention, said.negated is True, said.evidence)
