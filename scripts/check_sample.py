"""Validate the sample corpus that this project wrote itself."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner import schemes
from spacy_clinner.cli import run
from spacy_clinner.corpora.catalog import SPLITS, Corpus, find_corpus, read_splits
from spacy_clinner.corpora.note import Note
from spacy_clinner.errors import ClinnerError

WORDS = range(100, 301)
MIN_NOTES = 80


def main(
    corpus: Annotated[str, typer.Argument(help="Name in the catalog")] = "sample",
    catalog: Annotated[Path, typer.Option(help="The catalog")] = Path("configs/corpora.toml"),
) -> None:
    """Stop with a list of what is wrong in CORPUS; print what it holds when nothing is."""
    entry = find_corpus(corpus, catalog)
    notes = list(read_splits(entry))
    faults = [f"{note.source}: {fault}" for _, note in notes for fault in faults_of(note, entry)]
    faults += faults_between(notes, entry)
    if faults:
        raise ClinnerError(f"{corpus}: {len(faults)} faults\n" + "\n".join(faults[:50]))
    spans = sum(len(note.spans) for _, note in notes)
    relations = sum(len(note.relations) for _, note in notes)
    typer.echo(
        f"✔ {corpus}: {len(notes)} notes, {spans:,} spans, {relations:,} relations, no fault"
    )


def faults_of(note: Note, corpus: Corpus) -> list[str]:
    """What is wrong inside one note."""
    faults = [problem.reason for problem in note.problems]
    words = len(note.text.split())
    if words not in WORDS:
        faults.append(f"{words} words; {WORDS.start} to {WORDS.stop - 1} are wanted")
    by_layer: dict[str, list[tuple[int, int, str]]] = {}
    labels: dict[str, str] = {}
    for span in note.spans:
        scheme = next((s for s in corpus.schemes if span.label in s.labels), None)
        if scheme is None:
            faults.append(f"{span.id}: label {span.label} is in no layer")
            continue
        labels[span.id] = span.label
        covered = note.text[span.start : span.end]
        if covered != span.surface or covered != covered.strip() or "\n" in covered:
            faults.append(f"{span.id}: offsets {span.start}-{span.end} do not cover its words")
        by_layer.setdefault(scheme.layer, []).append((span.start, span.end, span.id))
    for layer, places in by_layer.items():
        places.sort()
        for (_, end, left), (start, _, right) in pairwise(places):
            if start < end:
                faults.append(f"{left} and {right} overlap in the {layer} layer")
    legal = {(e, m) for s in corpus.schemes for e, mods in s.pairs.items() for m in mods}
    for relation in note.relations:
        pair = (labels.get(relation.head), labels.get(relation.tail))
        if pair not in legal:
            faults.append(f"{relation.id}: {pair[0]} may not have a {pair[1]}")
    linked = {relation.tail for relation in note.relations}
    modifiers = schemes.load("modifiers").labels
    for span_id, label in labels.items():
        if label in modifiers and span_id not in linked:
            faults.append(f"{span_id}: the {label} is linked to nothing")
    return faults


def faults_between(notes: list[tuple[str, Note]], corpus: Corpus) -> list[str]:
    """What is wrong in the corpus as a whole."""
    faults = []
    if len(notes) < MIN_NOTES:
        faults.append(f"{len(notes)} notes; at least {MIN_NOTES} are wanted")
    for what, values in (
        ("id", [note.id for _, note in notes]),
        ("text", [" ".join(note.text.lower().split()) for _, note in notes]),
    ):
        twice = [value[:40] for value, count in Counter(values).items() if count > 1]
        faults += [f"two notes have the same {what}: {value}" for value in twice]
    for split in SPLITS:
        used = {span.label for where, note in notes if where == split for span in note.spans}
        for scheme in corpus.schemes:
            faults += [
                f"{split}: no {label} anywhere" for label in scheme.labels if label not in used
            ]
    return faults


if __name__ == "__main__":
    run(main)
