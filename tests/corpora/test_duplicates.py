import pytest

from spacy_clinner.corpora.catalog import find_corpus
from spacy_clinner.corpora.docbin import convert
from spacy_clinner.corpora.duplicates import drop_duplicates, scored_texts
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
    nlp, root, assets, tmp_path, monkeypatch
):
    (tmp_path / "assets").symlink_to(assets)
    monkeypatch.chdir(tmp_path)
    catalog = tmp_path / "corpora.toml"
    own = (root / "configs/corpora.toml").read_text(encoding="utf8")
    mixture = 'of = ["ncbi-train-dev", "bc5cdr-train-dev", "biored"]'
    catalog.write_text(f"{own}\n[three]\n{mixture}\n", encoding="utf8")
    done = convert(find_corpus("three", catalog), nlp, tmp_path / "out")
    left_out = [loss for loss in done.losses if "of another corpus" in loss.reason]
    assert len(left_out) == 7
    assert all(loss.source.startswith("assets/biored") for loss in left_out)
    assert done.annotated["train"]["biored"] == 510
