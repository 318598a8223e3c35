"""Encoders of random weights, in the classes and the files in which the published ones come."""

import io
import string
from functools import cache
from pathlib import Path

import srsly

LIMIT = 512
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": LIMIT,
    "hidden_dropout_prob": 0.0,
}
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SAMPLE = Path(__file__).parents[2] / "corpus/sample/train"


@cache
def sample_lines():
    """What the vocabularies are made of: this project's own notes."""
    texts = (path.read_text(encoding="utf8") for path in sorted(SAMPLE.glob("*.txt")))
    return [line for text in texts for line in text.splitlines() if line.strip()]


def wordpieces(cased):
    words = {word for line in sample_lines() for word in line.split() if word.isalpha()}
    known = words if cased else {word.lower() for word in words}
    letters = string.ascii_letters if cased else string.ascii_lowercase
    characters = [*letters, *string.digits, *string.punctuation]
    parts = (f"##{character}" for character in characters)
    return list(dict.fromkeys([*SPECIAL, *characters, *parts, *sorted(known)]))


def save(model, folder):
    import torch

    torch.manual_seed(0)
    model().save_pretrained(folder)
    return folder


def biomedbert(folder):
    """BERT, with `vocab.txt` and a tokenizer config that lower-cases."""
    from transformers import BertConfig, BertModel

    pieces = wordpieces(cased=False)
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf8")
    srsly.write_json(folder / "tokenizer_config.json", {"do_lower_case": True})
    config = BertConfig(vocab_size=len(pieces), **SIZES)
    return save(lambda: BertModel(config), folder)


def gatortrons(folder, cased=True):
    """MegatronBERT, with a cased `vocab.txt` and no tokenizer config at all."""
    from transformers import MegatronBertConfig, MegatronBertModel

    pieces = wordpieces(cased)
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf8")
    config = MegatronBertConfig(vocab_size=len(pieces), **SIZES)
    return save(lambda: MegatronBertModel(config), folder)


@cache
def sentencepiece_model():
    """A unigram model with the normalisation and the first ids of DeBERTa-v3's."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sample_lines()), model_writer=written, model_type="unigram",
        vocab_size=400, normalization_rule_name="nmt_nfkc", num_threads=1, minloglevel=2,
        pad_id=0, bos_id=1, eos_id=2, unk_id=3,
        pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]",
    )  # fmt: skip
    return written.getvalue()


def deberta(folder):
    """DeBERTa-v3, with `spm.model`, no `tokenizer.json` and no limit of its own."""
    from transformers import DebertaV2Config, DebertaV2Model

    folder.mkdir(parents=True)
    (folder / "spm.model").write_bytes(sentencepiece_model())
    srsly.write_json(
        folder / "tokenizer_config.json", {"do_lower_case": False, "vocab_type": "spm"}
    )
    config = DebertaV2Config(
        vocab_size=401, relative_attention=True, position_buckets=32, norm_rel_ebd="layer_norm",
        pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0,
        share_att_key=True, **SIZES,
    )  # fmt: skip
    return save(lambda: DebertaV2Model(config), folder)


ENCODERS = {"biomedbert": biomedbert, "gatortrons": gatortrons, "deberta": deberta}
