import pytest
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from spacy_clinner.training.holding_out import fold, hold_out


def coded(label):
    doc = Doc(Vocab(), words=["word"])
    doc.spans["codes"] = [Span(doc, 0, 1, label=label)]
    return doc


def test_each_note_is_held_out_of_one_fold():
    docs = [coded("PROBLEM") for _ in range(5)]
    halves = [fold(docs, docs, 2, part) for part in (0, 1)]
    assert [half.held_out for half in halves] == [docs[::2], docs[1::2]]
    assert [half.train for half in halves] == [docs[1::2], docs[::2]]


@pytest.mark.parametrize("rare", [5, 0])
def test_a_label_that_one_note_alone_has_is_not_held_out(rare):
    docs = [coded("PROBLEM") for _ in range(40)]
    docs[rare] = coded("DRUG")
    split = hold_out(docs, docs, 5)
    assert docs[rare] in split.train
    assert (len(split.train), len(split.held_out)) == (32, 8)
    usual = [docs[at] for at in range(0, 40, 5) if at != rare]
    assert [doc for doc in split.held_out if doc in usual] == usual


def test_where_each_note_has_a_label_of_its_own_some_are_held_out_all_the_same():
    docs = [coded(f"C{at}") for at in range(40)]
    assert len(hold_out(docs, docs, 5).held_out) == 8


def test_notes_without_anything_are_not_all_that_is_held_out():
    docs = [coded(f"C{at}") for at in range(38)] + [Doc(Vocab(), words=["word"]) for _ in range(2)]
    held = hold_out(docs, docs, 5).held_out
    assert len(held) == 8
    assert sum("codes" in doc.spans for doc in held) == 6
