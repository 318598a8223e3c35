"""Label texts with one or several models, for a student to learn from."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, DocBin, SpanGroup

from spacy_clinner.annotation import store
from spacy_clinner.corpora.unlabelled import read_texts
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.progress import Progress, quiet

# F1 is highest when spans are kept from about half the F1 that is reached (Lipton et al., 2014).
SURE = 0.4
# What a teacher that states no confidence, such as a language model, counts for: alone it is
# enough, beside another it takes that one's half.
UNSTATED = 0.5

Key = tuple[int, int, str]


@dataclass
class Agreement:
    """How far a teacher agrees with what is kept of all of them, in a layer.

    notes (int): Notes that it read; those that it failed on are none.
    found (int): Spans that it found in these. kept (int): How many of them are kept.
    elected (int): Spans that are kept in these notes, whoever found them.
    """

    notes: int = 0
    found: int = 0
    kept: int = 0
    elected: int = 0


@dataclass(frozen=True)
class Labelled:
    """What was labelled.

    docs (list[Doc]): The kept documents. notes (int): How many were labelled.
    agreement (dict[tuple[str, str], Agreement]): By teacher and layer, over all labelled notes.
    """

    docs: list[Doc]
    notes: int
    agreement: dict[tuple[str, str], Agreement]


@dataclass
class _Vote:
    """What the teachers find in a text: by layer the sum of their confidence for each span, and by
    teacher and layer that it has what it found."""

    text: str
    sums: dict[str, Counter[Key]] = field(default_factory=dict)
    found: dict[tuple[str, str], set[Key]] = field(default_factory=dict)
    # A teacher that is named twice has two votes.
    votes: Counter[str] = field(default_factory=Counter)

    def voters(self, layer: str) -> int:
        return self.votes[layer]


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
) -> Labelled:
    """Label texts with the spans of which the teachers are sure, and keep the surest notes.

    A span's confidence is the mean over the teachers that have its layer in that note, 0 for those
    that do not find it (self-training, Yarowsky 1995, with an ensemble), and a half for those that
    find it and state no confidence, such as `clinner_llm`.

    texts (Sequence[Path]): Files as `read_texts` takes them.
    out (Path): The .spacy file to write.
    teachers (Sequence[Path]): Trained pipelines.
    layers (Sequence[str]): The layers to label.
    exclude (Sequence[Path]): Files whose texts, and near copies of them, are left out.
    notes (int), keep (float): How many texts to label, chosen by chance, and which part to keep.
    seed (int): Decides which are chosen.
    progress (Progress): Shows how far it is.
    RETURNS (Labelled): The kept documents, and how far each teacher agrees with what is kept.
    RAISES (ClinnerError): A number makes no sense, a file cannot be read, no text is left, or no
        teacher has a layer.
    """
    if notes < 1:
        raise ClinnerError(f"--notes {notes}: needs 1 or more.")
    if not 0 < keep <= 1:
        raise ClinnerError(f"--keep {keep}: needs a number above 0, up to 1.")
    found = read_texts(texts, exclude)
    if not found:
        raise ClinnerError(f"{out}: no text is left to label after --exclude.")
    random.Random(seed).shuffle(found)
    votes, nlp = vote(found[:notes], teachers, layers, progress)
    # Of a note that no teacher could read nothing is known.
    read = [one for one in votes if all(map(one.voters, layers))]
    labelled = [
        elect(nlp.make_doc(one.text), {name: (one.sums[name], one.voters(name)) for name in layers})
        for one in read
    ]
    agreement = agreements(read, [doc for doc, _ in labelled])
    labelled.sort(key=lambda pair: -pair[1])
    kept = [doc for doc, _ in labelled[: max(1, round(keep * len(labelled)))]]
    with written_whole(out, private=True) as path:
        DocBin(docs=kept, store_user_data=True).to_disk(path)
    return Labelled(kept, len(labelled), agreement)


def vote(
    texts: Sequence[str], teachers: Sequence[Path], layers: Sequence[str], progress: Progress
) -> tuple[list[_Vote], Language]:
    """What the teachers find in each text, and the last of them, which cuts the tokens."""
    votes = [_Vote(text) for text in texts]
    for path in teachers:
        nlp = load_pipeline(path)
        docs = progress(nlp.pipe(texts), str(path), len(texts))
        for doc, vote_ in zip(docs, votes, strict=True):
            for name in set(layers) & set(doc.spans):
                found = confidences(doc, name)
                vote_.found[str(path), name] = set(found)
                vote_.votes[name] += 1
                vote_.sums.setdefault(name, Counter()).update(found)
    voted = {name for vote_ in votes for _, name in vote_.found}
    if absent := ", ".join(name for name in layers if name not in voted):
        raise ClinnerError(f"no teacher has the layers {absent}. Leave them out, or add a teacher.")
    return votes, nlp


def agreements(votes: Sequence[_Vote], docs: Sequence[Doc]) -> dict[tuple[str, str], Agreement]:
    """How far each teacher agrees with what is kept of all of them, by teacher and layer."""
    agreement: dict[tuple[str, str], Agreement] = {}
    for vote_, doc in zip(votes, docs, strict=True):
        for (teacher, layer), found in vote_.found.items():
            elected = {(s.start_char, s.end_char, s.label_) for s in doc.spans[layer]}
            count = agreement.setdefault((teacher, layer), Agreement())
            count.notes += 1
            count.found += len(found)
            count.kept += len(found & elected)
            count.elected += len(elected)
    return agreement


def confidences(doc: Doc, layer: str) -> dict[Key, float]:
    """By characters: the teachers may cut tokens differently."""
    stated = {
        (span.start_char, span.end_char, span.label_): store.values(span).get("confidence")
        for span in doc.spans[layer]
    }
    return {key: UNSTATED if value is None else value for key, value in stated.items()}


def elect(doc: Doc, layers: dict[str, tuple[Counter[Key], int]]) -> tuple[Doc, float]:
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
