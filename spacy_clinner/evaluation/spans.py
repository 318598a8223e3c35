"""Scores of predicted spans against gold: strict, relaxed and per token."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_clinner.annotation import store
from spacy_clinner.annotation.spans import (
    ENTS,
    SpanKey,
    annotated_labels,
    group_of,
    judged,
    span_key,
)
from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.intervals import f_interval, span_counts
from spacy_clinner.pipeline.ner.scorer import score_layers
from spacy_clinner.progress import Progress, quiet

Score = dict[str, Any]


def annotated_layers(examples: Sequence[Example]) -> list[str]:
    """The layers that any reference doc annotates, in order of first appearance."""
    found: dict[str, None] = {}
    for example in examples:
        found.update(dict.fromkeys(example.reference.spans))
    return list(found)


def predict_examples(nlp: Language, corpus: Path, progress: Progress = quiet) -> list[Example]:
    """Run a pipeline over the texts of a corpus.

    nlp (Language): The pipeline.
    corpus (Path): A .spacy file with gold spans.
    progress (Progress): Shows how far it is.
    RETURNS (list[Example]): Predicted and reference docs, in the order of the file. Predicted spans
        that the gold cannot judge, as it does not annotate their label, are left out.
    RAISES (ClinnerError): The corpus cannot be read, or holds no note.
    """
    return predict(nlp, read_gold(nlp, corpus), progress)


def read_gold(nlp: Language, corpus: Path) -> list[Doc]:
    """Read the reference docs of a corpus.

    nlp (Language): The pipeline, whose vocabulary they get.
    corpus (Path): A .spacy file with gold spans.
    RETURNS (list[Doc]): The docs.
    RAISES (ClinnerError): The corpus cannot be read, or holds no note.
    """
    gold = read_docs(corpus, nlp.vocab)
    if not gold:
        raise ClinnerError(f"{corpus}: holds no note.")
    return gold


def predict(nlp: Language, gold: Sequence[Doc], progress: Progress = quiet) -> list[Example]:
    """Run a pipeline over the texts of reference docs.

    nlp (Language): The pipeline.
    gold (Sequence[Doc]): The docs.
    progress (Progress): Shows how far it is.
    RETURNS (list[Example]): Predicted and reference docs.
    RAISES (ClinnerError): A text is too long for the pipeline, or its tokenizer changes it, so that
        offsets do not compare.
    """
    for at, doc in enumerate(gold):
        if len(doc.text) > nlp.max_length:
            raise ClinnerError(
                f"{note_name(doc, at)}: {len(doc.text):,} characters, and the pipeline reads at "
                f"most {nlp.max_length:,}. Leave the note out of the corpus, or cut it."
            )
    predicted = progress(nlp.pipe([doc.text for doc in gold]), "Predicting", len(gold))
    examples = []
    for at, (guess, doc) in enumerate(zip(predicted, gold, strict=True)):
        if guess.text != doc.text:
            raise ClinnerError(
                f"{note_name(doc, at)}: the pipeline's tokenizer changes the text, so its spans "
                f"cannot be compared with gold. Give it one that keeps all blanks, as spaCy's do."
            )
        examples.append(_judged(guess, doc))
    return examples


def note_name(gold: Doc, index: int) -> str:
    """The note's id from conversion, or its place in the corpus.

    gold (Doc): The reference doc.
    index (int): Its place, from 0.
    RETURNS (str): The name.
    """
    return str(gold.user_data.get("note_id", f"note {index + 1}"))


def _judged(predicted: Doc, gold: Doc) -> Example:
    for layer in gold.spans.keys() & predicted.spans.keys():
        if annotated_labels(gold, layer) is not None:
            predicted.spans[layer] = judged(predicted.spans[layer], gold, layer)
    return Example(predicted, gold)


def use_groups_as_layers(examples: Sequence[Example], known: Collection[str] = ()) -> None:
    """Give pipelines that do not name span groups as layers are named (spaCy's `ner`, or a
    `spancat`) groups to be scored by.

    examples (Sequence[Example]): An annotated layer of which no predicted doc has a group of that
        name, or one that holds none of its labels, gets the spans of `doc.ents` and of all groups
        that hold some; but what is in the groups of other annotated layers stays theirs.
    known (Collection[str]): The labels that the pipeline could find: a layer that has some of them
        gets an empty group where nothing was found.
    """
    layers = annotated_layers(examples)
    labels = {layer: labels_of(examples, layer) for layer in layers}
    predicted = predicted_layers(examples)
    named = {
        layer: {span.label_ for e in examples for span in e.predicted.spans.get(layer, ())}
        for layer in predicted
    }
    own = [layer for layer in predicted if not named[layer] or named[layer] & labels[layer]]
    could = set(known).difference(*(labels[layer] for layer in own))
    # Predicted spans of each example, by the name of the group.
    rest = [_without_layers(example.predicted, own) for example in examples]
    found = {(name, s.label_) for groups in rest for name, of in groups.items() for s in of}
    taken: set[tuple[str, str]] = set()
    for layer in layers:
        if layer in own:
            continue
        holding = {name for name, label in found if label in labels[layer]}
        if not holding and (layer in predicted or labels[layer].isdisjoint(could)):
            continue
        # What no layer has is the first one's.
        others = set[str]().union(*(of for name, of in labels.items() if name != layer))
        wanted = {
            (name, label)
            for name, label in found
            if name in holding
            and (label in labels[layer] or (label not in others and (name, label) not in taken))
        }
        taken |= wanted
        for example, groups in zip(examples, rest, strict=True):
            chosen = (s for name, of in groups.items() for s in of if (name, s.label_) in wanted)
            spans = list({span_key(span): span for span in chosen}.values())
            example.predicted.spans[layer] = judged(spans, example.reference, layer)


def _without_layers(doc: Doc, layers: Collection[str]) -> dict[str, list[Span]]:
    """The entities and the spans of all groups, without what is in the groups of these layers."""
    theirs = {span_key(span) for layer in layers for span in doc.spans.get(layer, ())}
    names = (ENTS, *(name for name in doc.spans if name not in layers))
    return {name: [s for s in group_of(doc, name) if span_key(s) not in theirs] for name in names}


def labels_of(examples: Sequence[Example], layer: str) -> set[str]:
    """The labels of a layer that the references annotate.

    examples (Sequence[Example]): Predicted and reference docs.
    layer (str): The layer.
    RETURNS (set[str]): The labels.
    """
    labels = {span.label_ for e in examples for span in group_of(e.reference, layer)}
    return labels.union(*(annotated_labels(e.reference, layer) or () for e in examples))


def known_labels(nlp: Language) -> set[str]:
    """The labels that the components of a pipeline can give.

    nlp (Language): The pipeline.
    RETURNS (set[str]): Those of all components.
    """
    return {str(label) for labels in nlp.pipe_labels.values() for label in labels}


def predicted_layers(examples: Sequence[Example]) -> list[str]:
    """The annotated layers that the pipeline predicts."""
    layers = annotated_layers(examples)
    return [layer for layer in layers if any(layer in e.predicted.spans for e in examples)]


def strict(examples: Sequence[Example], layers: Sequence[str]) -> dict[str, Score]:
    """Micro precision, recall and F1 by exact offsets and label, as `score_layers` gives them.

    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers to score; a doc that does not annotate one is left out.
    RETURNS (dict[str, Score]): By layer, and "all" for the layers together: p, r, f, gold (the
        number of gold spans), interval (of the F1, see `f_interval`) and, for each layer, per_type
        with the first four for each label.
    """
    found = score_layers(examples, layers=layers)
    scores: dict[str, Score] = {}
    for layer in layers:
        gold = Counter(key.label for e in examples for key in _keys(e.reference, layer))
        per_type = found[f"spans_{layer}_per_type"] or {}
        scores[layer] = {
            **{letter: found[f"spans_{layer}_{letter}"] or 0.0 for letter in "prf"},
            "gold": gold.total(),
            "interval": f_interval(span_counts(examples, [layer])),
            "per_type": {label: {**s, "gold": gold[label]} for label, s in per_type.items()},
        }
    scores["all"] = {
        **{letter: found[f"layers_{letter}"] for letter in "prf"},
        "gold": sum(score["gold"] for score in scores.values()),
        "interval": f_interval(span_counts(examples, layers)),
    }
    return scores


def _keys(doc: Doc, layer: str) -> set[SpanKey]:
    return set(map(span_key, group_of(doc, layer)))


def relaxed(examples: Sequence[Example], layers: Sequence[str]) -> dict[str, Score]:
    """Precision, recall and F1 where any overlap with the right label counts, by nervaluate.

    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers to score.
    RETURNS (dict[str, Score]): By layer: p, r, f (nervaluate's "ent_type" strategy, after
        SemEval-2013 task 9.1) and partial_f (its "partial" strategy).
    """
    from nervaluate import Evaluator

    scores = {}
    for layer in layers:
        pairs = [
            (as_inclusive(e.reference, layer), as_inclusive(e.predicted, layer))
            for e in examples
            if layer in e.reference.spans
        ]
        gold, guess = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        tags = sorted({span["label"] for spans in gold + guess for span in spans})
        result = Evaluator(gold, guess, tags=tags, loader="dict").evaluate()["overall"]
        by_type = result["ent_type"]
        scores[layer] = {
            "p": by_type.precision,
            "r": by_type.recall,
            "f": by_type.f1,
            "partial_f": result["partial"].f1,
        }
    return scores


def confidences(
    examples: Sequence[Example], layer: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The confidence of each predicted span of a layer, and whether the span is in the gold.

    examples (Sequence[Example]): Predicted and reference docs.
    layer (str): The layer; docs that do not annotate it are left out.
    RETURNS (tuple[NDArray[float64], NDArray[bool]]): Both of shape (spans,); spans without a
        confidence are left out.
    """
    pairs = []
    for example in examples:
        if layer in example.reference.spans:
            gold = set(map(span_key, example.reference.spans[layer]))
            for span in example.predicted.spans.get(layer, ()):
                confidence = store.values(span).get("confidence")
                if confidence is not None:
                    pairs.append((confidence, span_key(span) in gold))
    return np.array([p[0] for p in pairs], dtype=float), np.array([p[1] for p in pairs], dtype=bool)


def as_inclusive(doc: Doc, layer: str) -> list[dict[str, Any]]:
    """The spans of a layer as nervaluate takes them.

    doc (Doc): The document.
    layer (str): The span group.
    RETURNS (list[dict[str, Any]]): "label", "start" and "end", the last character: with spaCy's
        end, spans that touch would overlap.
    """
    group = doc.spans.get(layer, ())
    return [{"label": s.label_, "start": s.start_char, "end": s.end_char - 1} for s in group]


def tokens(examples: Sequence[Example], layers: Sequence[str]) -> dict[str, Score]:
    """Token-level scores, as the published MedMentions models report them.

    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers to score. Each reference token has one label, or none.
    RETURNS (dict[str, Score]): By layer: `macro_f` and `mcc` (see `matthews`).
    """
    scores = {}
    for layer in layers:
        scored = [e for e in examples if layer in e.reference.spans]
        gold = [label for e in scored for label in _token_labels(e, e.reference, layer)]
        guess = [label for e in scored for label in _token_labels(e, e.predicted, layer)]
        scores[layer] = {"macro_f": macro_f(gold, guess), "mcc": matthews(gold, guess)}
    return scores


def macro_f(gold: Sequence[str], guess: Sequence[str]) -> float:
    """The unweighted mean of the labels' F1.

    gold (Sequence[str]), guess (Sequence[str]): A label, or "", for each token.
    RETURNS (float): 0 to 1, over the labels in gold; 0 where there is none.
    """
    right, wanted, found = _token_counts(gold, guess)
    scores = [2 * right[k] / (wanted[k] + found[k]) for k in wanted if k]
    return sum(scores) / len(scores) if scores else 0.0


def matthews(gold: Sequence[str], guess: Sequence[str]) -> float:
    """Matthews correlation over all classes, "no label" included (R_K of Gorodkin, 2004).

    gold (Sequence[str]), guess (Sequence[str]): A label, or "", for each token.
    RETURNS (float): -1 to 1; 0 where gold or guess is of one class only.
    """
    right, wanted, found = _token_counts(gold, guess)
    n = len(gold)
    both = right.total() * n - sum(wanted[k] * found[k] for k in wanted)
    each = [n * n - sum(count * count for count in side.values()) for side in (wanted, found)]
    return both / math.sqrt(each[0] * each[1]) if all(each) else 0.0


def _token_counts(
    gold: Sequence[str], guess: Sequence[str]
) -> tuple[Counter[str], Counter[str], Counter[str]]:
    right = Counter(g for g, p in zip(gold, guess, strict=True) if g == p)
    return right, Counter(gold), Counter(guess)


def _token_labels(example: Example, doc: Doc, layer: str) -> list[str]:
    labels = [""] * len(example.reference)
    spans = list(doc.spans.get(layer, ()))
    if doc is example.predicted:
        spans = example.get_aligned_spans_x2y(spans, allow_overlap=True)
    for span in spans:
        labels[span.start : span.end] = [span.label_] * len(span)
    return labels
