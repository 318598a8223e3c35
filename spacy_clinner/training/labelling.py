"""Label texts with one or several models, for a student to learn from."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from spacy.tokens import Doc, DocBin, SpanGroup

from spacy_clinner.corpora.unlabelled import read_texts
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.progress import Progress, quiet

# F1 is highest when spans are kept from about half the F1 that is reached (Lipton et al., 2014).
SURE = 0.4


def label(
    texts: Sequence[Path],
    out: Path,
    teachers: Sequence[Path],
    layers: Sequence[str],
    *,
    exclude: Sequence[Path] = (),
    notes: int = 1000,
    keep: float = 0.8,
    seed: int = 1,
    progress: Progress = quiet,
) -> tuple[list[Doc], int]:
    """Label texts with the spans of which the teachers are sure, and keep the surest notes.

    A span's confidence is the mean over the teachers that have its layer, 0 for those that do not
    find it (self-training, Yarowsky 1995, with an ensemble).

    texts (Sequence[Path]): Files as `read_texts` takes them.
    out (Path): The .spacy file to write.
    teachers (Sequence[Path]): Trained pipelines.
    layers (Sequence[str]): The layers to label.
    exclude (Sequence[Path]): Files whose texts, and near copies of them, are left out.
    notes (int), keep (float): How many texts to label, chosen by chance, and which part to keep.
    seed (int): Decides which are chosen.
    progress (Progress): Shows how far it is.
    RETURNS (tuple[list[Doc], int]): The kept documents, and how many were labelled.
    RAISES (ClinnerError): A file cannot be read, no text is left, or no teacher has a layer.
    """
    found = read_texts(texts, exclude)
    if not found:
        raise ClinnerError(f"{out}: no text is left to label after --exclude.")
    random.Random(seed).shuffle(found)
    labelled = vote(found[:notes], teachers, layers, progress)
    labelled.sort(key=lambda pair: -pair[1])
    kept = [doc for doc, _ in labelled[: max(1, round(keep * len(labelled)))]]
    with written_whole(out, private=True) as path:
        DocBin(docs=kept, store_user_data=True).to_disk(path)
    return kept, len(labelled)


def vote(
    texts: Sequence[str], teachers: Sequence[Path], layers: Sequence[str], progress: Progress
) -> list[tuple[Doc, float]]:
    """The texts as documents with the sure spans, and the mean of their confidence."""
    votes: list[dict[str, Counter[tuple[int, int, str]]]] = [{} for _ in texts]
    voters: Counter[str] = Counter()
    for path in teachers:
        nlp = load_pipeline(path)
        docs = progress(nlp.pipe(texts), str(path), len(texts))
        known = set()
        for doc, counts in zip(docs, votes, strict=True):
            for name in set(layers) & set(doc.spans):
                known.add(name)
                counts.setdefault(name, Counter()).update(confidences(doc, name))
        voters.update(known)
    if absent := ", ".join(name for name in layers if not voters[name]):
        raise ClinnerError(f"no teacher has the layers {absent}. Leave them out, or add a teacher.")
    return [
        elect(nlp.make_doc(text), {name: (counts[name], voters[name]) for name in layers})
        for text, counts in zip(texts, votes, strict=True)
    ]


def confidences(doc: Doc, layer: str) -> dict[tuple[int, int, str], float]:
    """By characters: the teachers may cut tokens differently."""
    return {
        (span.start_char, span.end_char, span.label_): span._.confidence
        for span in doc.spans[layer]
    }


def elect(
    doc: Doc, layers: dict[str, tuple[Counter[tuple[int, int, str]], int]]
) -> tuple[Doc, float]:
    """Give a document the sure spans, of those that overlap the surest; and their mean
    confidence, 0 where there is none."""
    sure: list[float] = []
    for name, (counts, voters) in layers.items():
        free = np.ones(len(doc), dtype=bool)
        spans = []
        for (start, end, label_), total in counts.most_common():
            span = doc.char_span(start, end, label=label_, alignment_mode="expand")
            if total / voters >= SURE and span and free[span.start : span.end].all():
                free[span.start : span.end] = False
                sure.append(total / voters)
                spans.append(span)
        doc.spans[name] = SpanGroup(doc, name=name, spans=sorted(spans))
    return doc, sum(sure) / len(sure) if sure else 0.0
