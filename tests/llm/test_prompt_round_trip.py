"""Gold annotation of whole corpora, rendered in a format, given back with noise, and read."""

import random
from dataclasses import replace
from itertools import islice

import pytest
from noise import with_noise

from spacy_clinner.corpora.alignment import Aligner
from spacy_clinner.corpora.catalog import find_corpus, read_splits
from spacy_clinner.corpora.duplicates import drop_duplicates
from spacy_clinner.llm.labels import KnownLabels
from spacy_clinner.llm.passages import Cutter
from spacy_clinner.llm.placement import place
from spacy_clinner.llm.prompts import FORMATS

WHOLE = 1_000_000


def passages(root, nlp, monkeypatch, name, notes):
    """The notes of a corpus, each as one passage."""
    monkeypatch.chdir(root)
    corpus = find_corpus(name, root / "configs/corpora.toml")
    aligner = Aligner(nlp, corpus.schemes, corpus.view)
    cutter = Cutter(WHOLE)
    for _, note in islice(drop_duplicates(read_splits(corpus), []), notes):
        for cut in cutter.cut(aligner.align(note)[0], corpus.schemes):
            yield corpus.schemes, cut.passage


def shares(given, prompt, noise, seed=1):
    """Which part of the gold spans is given back exactly."""
    rng = random.Random(seed)
    right = gold = 0
    for layers, passage in given:
        answer = prompt.parse(prompt.render(passage))
        labels = KnownLabels(layers)
        said = (replace(one, label=labels.find(one.label)[1]) for one in answer.said)
        answer = replace(answer, said=tuple(said))
        found = place(passage.text, with_noise(answer, rng, noise) if noise else answer)
        wanted = {one.place for one in passage.mentions}
        right += len(wanted & {one.place for one in found.mentions})
        gold += len(wanted)
    assert gold > 100
    return right / gold


def holds(root, nlp, monkeypatch, name, notes, prompt):
    given = list(passages(root, nlp, monkeypatch, name, notes))
    assert shares(given, prompt, 0) == 1
    assert shares(given, prompt, 0.05) >= 0.99


@pytest.mark.parametrize("prompt", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("name", ["sample", "notes"])
def test_our_own_notes_come_back(root, nlp, monkeypatch, name, prompt):
    holds(root, nlp, monkeypatch, name, 8, prompt)


@pytest.mark.corpora
@pytest.mark.parametrize("prompt", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("name", ["mtsamples", "maccrobat", "ncbi", "bc5cdr"])
def test_public_corpora_come_back(root, nlp, monkeypatch, name, prompt):
    holds(root, nlp, monkeypatch, name, 8 if name in ("mtsamples", "maccrobat") else 40, prompt)


@pytest.mark.long
@pytest.mark.corpora
@pytest.mark.parametrize("prompt", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("name", ["sample", "notes", "mtsamples", "maccrobat", "ncbi", "bc5cdr"])
def test_every_note_of_the_corpora_comes_back(root, nlp, monkeypatch, name, prompt):
    holds(root, nlp, monkeypatch, name, None, prompt)
