"""Validate the corpora that this project wrote itself, by `corpus/ANNOTATION.md`."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from spacy_clinner import schemes
from spacy_clinner.cli import run
from spacy_clinner.corpora.catalog import SPLITS, Corpus, find_corpus, read_splits
from spacy_clinner.corpora.note import Note
from spacy_clinner.errors import ClinnerError

# By corpus: the words of a note, and what it holds at least.
SIZES = {
    "sample": {"words": range(100, 301), "notes": 80, "all words": 15_000},
    "notes": {"words": range(15, 701), "notes": 600, "all words": 120_000},
}
ARTICLE = re.compile(r"(?i)(?:the|a|an|his|her|their|my|your|our)\s")
LIST_MARK = re.compile(r"(?:[-*•–]|\d+[.)]|\[[ xX]?\])\s")
# What a line break may not lead to inside a span.
NEXT_THING = re.compile(r"\n\s*\n|\n\s*(?:[-*•–]|\d+[.)])\s")
# Runs of this many words that two splits share are no accident.
SHARED = 15


def main(
    corpus: Annotated[str, typer.Argument(help="sample or notes")] = "sample",
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
    words = sum(len(note.text.split()) for _, note in notes)
    typer.echo(
        f"✔ {corpus}: {len(notes)} notes, {words:,} words, {spans:,} spans, "
        f"{relations:,} relations, no fault"
    )


def size_of(corpus: Corpus) -> dict[str, Any]:
    """What a corpus of this name has to hold."""
    return SIZES.get(corpus.name, SIZES["sample"])


def faults_of(note: Note, corpus: Corpus) -> list[str]:
    """What is wrong inside one note."""
    faults = [problem.reason for problem in note.problems]
    words = len(note.text.split())
    wanted = size_of(corpus)["words"]
    if words not in wanted:
        faults.append(f"{words} words; {wanted.start} to {wanted.stop - 1} are wanted")
    by_layer: dict[str, list[tuple[int, int, str]]] = {}
    labels: dict[str, str] = {}
    for span in note.spans:
        scheme = next((s for s in corpus.schemes if span.label in s.labels), None)
        if scheme is None:
            faults.append(f"{span.id}: label {span.label} is in no layer")
            continue
        labels[span.id] = span.label
        covered = note.text[span.start : span.end]
        if covered.replace("\n", " ") != span.surface or covered != covered.strip():
            faults.append(f"{span.id}: offsets {span.start}-{span.end} do not cover its words")
        faults += [f"{span.id}: {fault}" for fault in faults_of_span(covered, scheme.layer)]
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


def faults_of_span(words: str, layer: str) -> list[str]:
    """What the guideline says against the words of a span."""
    faults = []
    if layer == "clinical" and ARTICLE.match(words):
        faults.append("begins with an article or a possessive")
    if layer == "clinical" and LIST_MARK.match(words):
        faults.append("begins with the mark of a list")
    if NEXT_THING.search(words):
        faults.append("goes on over an empty line or into the next item of a list")
    if words.endswith((",", ";", ":")):
        faults.append("ends with punctuation")
    return faults


def faults_between(notes: list[tuple[str, Note]], corpus: Corpus) -> list[str]:
    """What is wrong in the corpus as a whole."""
    faults = []
    size, words = size_of(corpus), sum(len(note.text.split()) for _, note in notes)
    if len(notes) < size["notes"]:
        faults.append(f"{len(notes)} notes; at least {size['notes']} are wanted")
    if words < size["all words"]:
        faults.append(f"{words} words; at least {size['all words']} are wanted")
    for what, values in (
        ("id", [note.id for _, note in notes]),
        ("text", [" ".join(note.text.lower().split()) for _, note in notes]),
    ):
        twice = [value[:40] for value, count in Counter(values).items() if count > 1]
        faults += [f"two notes have the same {what}: {value}" for value in twice]
    faults += shared_text(notes)
    for split in SPLITS:
        used = {span.label for where, note in notes if where == split for span in note.spans}
        for scheme in corpus.schemes:
            faults += [
                f"{split}: no {label} anywhere" for label in scheme.labels if label not in used
            ]
    return faults


def shared_text(notes: list[tuple[str, Note]]) -> list[str]:
    """A fault for each two notes of different splits that share a run of words."""
    first: dict[str, tuple[str, str]] = {}
    pairs: dict[tuple[str, str], None] = {}
    for split, note in notes:
        words = note.text.lower().split()
        for at in range(len(words) - SHARED + 1):
            run = " ".join(words[at : at + SHARED])
            where, name = first.setdefault(run, (split, note.id))
            if where != split and any(c.isalpha() for c in run):
                pairs[name, note.id] = None
    return [f"{one} and {other} stand in two splits and share text" for one, other in pairs]


if __name__ == "__main__":
    run(main)
