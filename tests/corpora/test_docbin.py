import pytest
import spacy
import srsly
from spacy.tokens import DocBin

from spacy_clinner.corpora.alignment import LINK_TWICE, RELATION, Loss
from spacy_clinner.corpora.catalog import Corpus, find_corpus
from spacy_clinner.corpora.docbin import Conversion, convert
from spacy_clinner.corpora.formats import reformat
from spacy_clinner.schemes import load

# At most this share of gold spans may be lost or moved, in percent.
CEILINGS = {
    "mtsamples": 0.1,
    "maccrobat": 0.5,
    "ncbi": 0.2,
    "bc5cdr": 0.2,
    "multicardioner": 0.2,
    "multiclinner": 0.0,
    "chia": 0.5,
    "lct": 0.6,
    "biored": 0.1,
    "drugprot": 0.2,
}
SPANS = {
    "mtsamples": 16_588,
    "maccrobat": 25_189,
    "ncbi": 6_881,
    "bc5cdr": 28_785,
    "multicardioner": 5_147,
    "multiclinner": 24_185,
    "chia": 44_399,
    "lct": 56_011,
    "biored": 17_423,
    "drugprot": 11_848,
}
# Of criteria, "type 1 or 2 diabetes" is two spans in pieces.
APART = dict.fromkeys(("maccrobat", "chia"), ("discontinuous", "dropped: overlaps"))


@pytest.fixture
def sample(nlp, root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    corpus = find_corpus("sample", root / "configs/corpora.toml")
    return convert(corpus, nlp, tmp_path), tmp_path


def test_the_sample_converts_without_any_loss(sample):
    done, _ = sample
    assert done.losses == []
    assert sum(done.notes.values()) == 90


def test_docs_come_back_with_groups_entities_relations_and_their_note_id(sample):
    _, folder = sample
    docs = list(DocBin().from_disk(folder / "dev.spacy").get_docs(spacy.blank("en").vocab))
    assert len(docs) == 12
    for doc in docs:
        assert list(doc.spans) == ["clinical", "modifiers"]
        assert [*doc.ents] == [*doc.spans["clinical"]]
        assert doc._.relations
        assert doc.user_data["note_id"]
    assert any(ent._.negated for doc in docs for ent in doc.ents)


def test_the_report_is_written_beside_the_corpus(sample):
    done, folder = sample
    assert list(srsly.read_jsonl(folder / "losses.jsonl")) == []
    assert srsly.read_json(folder / "conversion.json") == done.as_json()


def test_the_report_counts_the_notes_that_annotate_each_layer(sample):
    done, _ = sample
    for split, notes in done.notes.items():
        assert done.as_json()["annotated"][split] == {"clinical": notes, "modifiers": notes}


def test_converting_twice_gives_the_same_bytes(sample, nlp, root, tmp_path_factory):
    _, folder = sample
    again = tmp_path_factory.mktemp("again")
    convert(find_corpus("sample", root / "configs/corpora.toml"), nlp, again)
    for name in ("train.spacy", "dev.spacy", "test.spacy"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_a_strict_conversion_with_a_loss_writes_the_losses_only(nlp, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.txt").write_text("No fever today.\n", encoding="utf8")
    (raw / "a.ann").write_text("T1\tPROBLEM 3 7\tfeve\n", encoding="utf8")
    corpus = Corpus("mine", "brat", (load("clinical"),), {"train": (raw,), "dev": (), "test": ()})
    done = convert(corpus, nlp, tmp_path / "out", strict=True)
    assert len(done.losses) == 1
    assert (tmp_path / "out/losses.jsonl").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["losses.jsonl"]


@pytest.mark.corpora
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.long if n == "multiclinner" else ()) for n in CEILINGS],
)
def test_losses_on_the_real_corpora_stay_under_their_ceilings(
    name, nlp, root, assets, tmp_path, monkeypatch
):
    (tmp_path / "assets").symlink_to(assets)
    monkeypatch.chdir(tmp_path)
    done = convert(find_corpus(name, root / "configs/corpora.toml"), nlp, tmp_path / name)
    assert done.gold_spans == SPANS[name]
    counted = [
        loss
        for loss in done.losses
        if loss.start is not None and not loss.reason.startswith(APART.get(name, ("apart",)))
    ]
    assert 100 * len(counted) / done.gold_spans <= CEILINGS[name]


@pytest.mark.parametrize("format", ["brat", "jsonl"])
def test_a_note_without_a_text_is_a_loss_and_goes_through_every_format(nlp, tmp_path, format):
    label = [[0, 5, "PROBLEM"]]
    srsly.write_jsonl(
        tmp_path / "a.jsonl",
        [{"id": "1", "text": "", "label": []}, {"id": "2", "text": "Fever.", "label": label}],
    )
    target = tmp_path / ("again" if format == "brat" else "again.jsonl")
    reformat(tmp_path / "a.jsonl", target, "jsonl", format)
    (tmp_path / "mine.toml").write_text(
        f"[mine]\nformat = '{format}'\nlayers = ['clinical']\ntrain = ['{target}']\n"
    )
    done = convert(find_corpus("mine", tmp_path / "mine.toml"), nlp, tmp_path / "out")
    assert done.notes == {"train": 1}
    assert done.losses_by_reason() == {"note left out: no annotation for the text": 1}


def test_links_that_were_lost_or_stated_twice_are_not_called_illegal():
    losses = [Loss("a", "a.ann", None, "x", None, None, "", why) for why in (RELATION, LINK_TWICE)]
    done = Conversion(gold_relations=4, losses=losses)
    done.relations["train"] = 1
    assert done.illegal_relations() == 1
