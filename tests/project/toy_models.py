"""A model that has learned a little, in seconds."""

import spacy
from tiny_encoders import biomedbert

from spacy_clinner.corpora.catalog import find_corpus
from spacy_clinner.corpora.docbin import convert
from spacy_clinner.training.run import train


def trained_on_the_sample(folder, root):
    """A pipeline with a tiny encoder, trained on the sample corpus; run in the root of a checkout.

    Returns its folder, `folder/model`.
    """
    biomedbert(folder / "encoder")
    tokenizer = {"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}}
    sample = find_corpus("sample", root / "configs/corpora.toml")
    convert(sample, spacy.blank("en", config=tokenizer), folder / "sample")
    overrides = {
        "paths.train": str(folder / "sample/train.spacy"),
        "paths.dev": str(folder / "sample/dev.spacy"),
        "variables.encoder": str(folder / "encoder"),
        "variables.learn_rate": 0.002,
        "variables.max_steps": 60,
        "variables.warmup_steps": 6,
        "variables.eval_frequency": 60,
    }
    train(root / "configs/clinner.cfg", folder / "out", overrides=overrides)
    return (folder / "out/model-best").rename(folder / "model")
