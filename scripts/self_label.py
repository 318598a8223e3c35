"""Label texts with one or several models, for a student to learn from."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import track
from spacy.tokens import Doc, DocBin, SpanGroup

from spacy_clinner.cli import run
from spacy_clinner.corpora.unlabelled import read_texts
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole
from spacy_clinner.pipeline.loading import load_pipeline
from spacy_clinner.training.run import use_gpu

# F1 is highest when spans are kept from about half the F1 that is reached (Lipton et al., 2014).
SURE = 0.4


def main(
    texts: Annotated[list[Path], typer.Argument(help=".csv, .csv.xz or .spacy files")],
    out: Annotated[Path, typer.Option(help="The .spacy file to write")],
    teacher: Annotated[list[Path], typer.Option(help="A trained pipeline")],
    layer: Annotated[list[str], typer.Option(help="A layer to label")],
    exclude: Annotated[list[Path], typer.Option(help="Files whose texts are left out")],
    notes: Annotated[int, typer.Option(help="How many texts to label, chosen by chance")] = 1000,
    keep: Annotated[float, typer.Option(help="Which part of them to keep")] = 0.8,
    seed: Annotated[int, typer.Option()] = 1,
    gpu_id: Annotated[int, typer.Option(help="-1 for the CPU")] = -1,
) -> None:
    """Label TEXTS with the spans of which the teachers are sure, and keep the surest notes.

    A span's confidence is the mean over the teachers that have its layer, 0 for those that do not
    find it (self-training, Yarowsky 1995, with an ensemble).
    """
    found = read_texts(texts, exclude)
    if not found:
        raise ClinnerError(f"{out}: no text is left to label after --exclude.")
    random.Random(seed).shuffle(found)
    use_gpu(gpu_id)
    labelled = label(found[:notes], teacher, layer)
    labelled.sort(key=lambda pair: -pair[1])
    kept = [doc for doc, _ in labelled[: max(1, round(keep * len(labelled)))]]
    with written_whole(out) as path:
        DocBin(docs=kept, store_user_data=True).to_disk(path)
    typer.echo(f"✔ {out}: {len(kept)} of {len(labelled)} notes, {sum(map(len, kept)):,} tokens")


def label(
    texts: Sequence[str], teachers: Sequence[Path], layers: Sequence[str]
) -> list[tuple[Doc, float]]:
    """The texts as documents with the sure spans, and the mean of their confidence."""
    votes: list[dict[str, Counter[tuple[int, int, str]]]] = [{} for _ in texts]
    voters: Counter[str] = Counter()
    for path in teachers:
        nlp = load_pipeline(path)
        docs = track(nlp.pipe(texts), f"{path}", total=len(texts), transient=True)
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


if __name__ == "__main__":
    run(main)
