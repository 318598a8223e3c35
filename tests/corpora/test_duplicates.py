from itertools import chain

import pytest

from spacy_clinner.corpora.catalog import find_corpus, read_splits
from spacy_clinner.corpora.duplicates import drop_duplicates, scored_texts, text_key
from spacy_clinner.corpora.note import Note


def test_a_text_that_occurs_twice_is_kept_once_and_stays_in_what_is_scored():
    losses = []
    notes = [
        ("train", Note("a", "No  fever .\n")),
        ("train", Note("b", "Cough")),
        ("train", Note("c", "cough ")),
        ("test", Note("d", "no fever.")),
    ]
    assert [n.id for _, n in drop_duplicates(notes, losses)] == ["b", "d"]
    assert [(loss.note, loss.text, loss.reason) for loss in losses] == [
        ("a", "d", "duplicate note: left out of train, same text as one in test"),
        ("c", "b", "duplicate note: left out of train, same text as one in train"),
    ]


@pytest.mark.parametrize(
    ("left", "right"),
    [("Troponin <0.1", "Troponin > 0.1"), ("INR 1.5", "INR 15"), ("K+ is 4", "K is 4")],
)
def test_texts_that_differ_in_punctuation_are_different_notes(left, right):
    losses = []
    notes = [("train", Note("a", left)), ("test", Note("b", right))]
    assert [n.id for _, n in drop_duplicates(notes, losses)] == ["a", "b"]
    assert losses == []


def test_a_copy_with_spaces_around_its_punctuation_is_the_same_note():
    losses = []
    notes = [
        ("train", Note("a", "Fever , 38.5 ( oral ) .")),
        ("test", Note("b", "Fever, 38.5 (oral).")),
    ]
    assert [n.id for _, n in drop_duplicates(notes, losses)] == ["b"]


def test_a_text_that_is_labelled_for_one_label_and_for_another_is_kept_twice():
    losses = []
    texts = [("train", ("A",)), ("train", ("B",)), ("train", ("A",)), ("test", None)]
    notes = [(split, Note(str(n), "Fever.", labels=of)) for n, (split, of) in enumerate(texts)]
    assert [n.id for _, n in drop_duplicates(notes[:3], losses)] == ["0", "1"]
    assert [(loss.note, loss.text) for loss in losses] == [("2", "0")]
    assert [n.id for _, n in drop_duplicates(notes, losses)] == ["3"]


def test_what_one_corpus_of_a_mixture_scores_no_other_trains_on():
    one = [("train", Note("a", "Fever.")), ("dev", Note("b", "Cough.")), ("test", Note("c", "CT."))]
    two = [("train", Note("x", "cough ."))]
    two += [("dev", Note("y", "CT ."))]
    two += [("train", Note("z", "Fever.")), ("test", Note("w", "Cough."))]
    losses = []
    scored = scored_texts(one + two)
    assert [n.id for _, n in drop_duplicates(two, losses, scored)] == ["z", "w"]
    assert [n.id for _, n in drop_duplicates(one, losses, scored)] == ["a", "c"]
    assert [(loss.note, loss.reason) for loss in losses] == [
        ("x", "duplicate note: left out of train, same text as one in test"),
        ("y", "duplicate note: left out of dev, same text as one in test of another corpus"),
        ("b", "duplicate note: left out of dev, same text as one in test of another corpus"),
    ]


@pytest.mark.corpora
def test_abstracts_that_bc5cdr_and_ncbi_score_are_not_learned_from_biored(
    root, assets, tmp_path, monkeypatch
):
    (tmp_path / "assets").symlink_to(assets)
    monkeypatch.chdir(tmp_path)
    catalog = root / "configs/corpora.toml"
    names = ("ncbi-train-dev", "bc5cdr-train-dev", "biored")
    corpora = [list(read_splits(find_corpus(name, catalog))) for name in names]
    scored = scored_texts(chain.from_iterable(corpora))
    losses = []
    kept = list(drop_duplicates(corpora[-1], losses, scored))
    assert len(kept) == 510
    assert {loss.reason.split(" of ")[-1] for loss in losses} == {"another corpus"}
    # And nothing of the tests is in what is left.
    tests = {text_key(note) for corpus in corpora for split, note in corpus if split != "train"}
    assert tests.isdisjoint(text_key(note) for _, note in kept)
