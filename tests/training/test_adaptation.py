import shutil

import numpy as np
import pytest
from commands import clinner, refused
from tokenizers import BertWordPieceTokenizer
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    BertTokenizerFast,
    DistilBertConfig,
    RobertaConfig,
)

from spacy_clinner.errors import ClinnerError
from spacy_clinner.training.adaptation import BLOCK, Learner, adapt, blocks_of, mask

WORDS = [
    "patient",
    "denies",
    "chest",
    "pain",
    "fever",
    "cough",
    "and",
    "shortness",
    "of",
    "breath",
    "today",
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A tiny encoder whose tokenizer cuts some words in two."""
    folder = tmp_path_factory.mktemp("encoder")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "head", "##ache", "."]
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf8")
    BertWordPieceTokenizer.from_file(str(folder / "vocab.txt")).save(str(folder / "tokenizer.json"))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=BLOCK,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    return [" ".join([*rng.choice(WORDS, 400), "headache", "."]) for _ in range(22)]


def learn(encoder, output, texts, epochs, log=len):
    return adapt(
        str(encoder), output, texts, epochs=epochs, learn_rate=0.01, seed=1, gpu_id=-1, log=log
    )


def weights(folder):
    return AutoModel.from_pretrained(folder).embeddings.word_embeddings.weight.detach().numpy()


def test_the_adapted_encoder_loads_has_learned_and_keeps_its_dropout(encoder, texts, tmp_path):
    adapted = tmp_path / "adapted"
    learn(encoder, adapted, texts, epochs=1)
    assert np.abs(weights(adapted) - weights(encoder)).max() > 0
    assert AutoModel.from_pretrained(adapted).config.hidden_dropout_prob == 0.1
    assert not adapted.with_name("adapted.partial").exists()


def test_a_run_that_was_cut_off_ends_where_an_uncut_one_does(encoder, texts, tmp_path):
    learn(encoder, tmp_path / "uncut", texts, epochs=2)

    cut_off(encoder, tmp_path / "cut", texts, epochs=2)
    lines = []
    learn(encoder, tmp_path / "cut", texts, epochs=2, log=lines.append)
    assert lines[0].startswith("ℹ going on after step")
    np.testing.assert_allclose(weights(tmp_path / "cut"), weights(tmp_path / "uncut"), atol=1e-6)


def cut_off(encoder, output, texts, **options):
    original = Learner.save

    def save_and_stop(learner, path):
        original(learner, path)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            learn(encoder, output, texts, **options)


def test_a_checkpoint_of_another_run_is_refused_and_stays(encoder, texts, tmp_path):
    cut_off(encoder, tmp_path / "cut", texts, epochs=2)
    other = tmp_path / "other"
    learn(encoder, other, texts, epochs=1)
    checkpoint = tmp_path / "cut.partial/checkpoint.pt"
    for what, call in {
        "encoder": lambda: learn(other, tmp_path / "cut", texts, epochs=2),
        "texts": lambda: learn(encoder, tmp_path / "cut", texts[::-1], epochs=2),
        "epochs": lambda: learn(encoder, tmp_path / "cut", texts, epochs=3),
    }.items():
        with pytest.raises(ClinnerError, match=f"a run with other {what}. .*delete"):
            call()
        assert checkpoint.is_file()
    learn(encoder, tmp_path / "cut", texts, epochs=2)


def test_words_are_masked_whole_and_the_ends_of_blocks_never(encoder, texts):
    tokenizer = BertTokenizerFast.from_pretrained(encoder)
    blocks = blocks_of(texts, tokenizer)
    assert blocks.pieces.shape[1] == BLOCK
    rows = np.arange(len(blocks.pieces))
    inputs, chosen = mask(blocks, rows, np.random.default_rng(0))
    pieces = blocks.pieces
    continued = np.argwhere(blocks.continues[:, 1:-1])
    assert len(continued)
    for row, at in continued:
        if pieces[row, at] not in blocks.special:
            assert chosen[row, at + 1] == chosen[row, at]
    assert not chosen[np.isin(pieces, blocks.special)].any()
    assert 0.1 < chosen.mean() < 0.2
    assert (inputs[~chosen] == pieces[~chosen]).all()


def test_too_little_text_is_one_message_that_says_how_much_is_needed(encoder, tmp_path):
    with pytest.raises(ClinnerError, match="a step needs 32"):
        learn(encoder, tmp_path / "adapted", ["chest pain"], epochs=1)


@pytest.mark.parametrize("held", ["thesis", "encoder"])
def test_it_takes_the_place_of_nothing_but_an_encoder_that_it_does_not_read(
    encoder, texts, tmp_path, held
):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.docx").write_text("mine", encoding="utf8")
    if held == "encoder":
        shutil.copytree(encoder, out, dirs_exist_ok=True)
    with pytest.raises(ClinnerError, match=r"is not replaced|choose another folder"):
        learn(out if held == "encoder" else encoder, out, texts, epochs=1)
    assert (out / "thesis.docx").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (RobertaConfig(), ["roberta", "bert"]),
        (DistilBertConfig(), ["distilbert", "bert"]),
        (BertConfig(max_position_embeddings=64), ["64 pieces", "128"]),
    ],
)
def test_an_encoder_that_cannot_be_adapted_is_refused_before_a_text_is_read(tmp_path, config, says):
    config.save_pretrained(tmp_path / "encoder")
    missing = ("--train", "none.csv", "--exclude", "none.csv")
    done = clinner(tmp_path, "adapt", "encoder", "out", *missing)
    assert refused(done, "encoder:", *says)
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]


def test_passes_over_the_texts_are_at_least_one(tmp_path):
    options = ("--train", "a.csv", "--exclude", "b.csv", "--epochs", "0")
    done = clinner(tmp_path, "adapt", "encoder", "out", *options)
    assert done.returncode == 2
    assert "--epochs" in done.stderr
