"""Trainings of a moment."""

import pytest
import spacy
from spacy.util import load_config
from tiny_encoders import biomedbert
from toy_corpora import mtsamples

from spacy_clinner.corpora.catalog import find_corpus
from spacy_clinner.corpora.docbin import convert
from spacy_clinner.training.run import train

TOKENIZER = {"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}}


def trained_on_toys(folder, root, length):
    """A folder with a corpus of two layers with relations, and a model trained on it for a number
    of updates."""
    biomedbert(folder / "encoder")
    mtsamples(folder / "assets")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        blank = spacy.blank("en", config=TOKENIZER)
        convert(find_corpus("mtsamples", root / "configs/corpora.toml"), blank, folder)
    overrides = {
        "paths.train": str(folder / "train.spacy"),
        "paths.dev": str(folder / "dev.spacy"),
        "variables.encoder": str(folder / "encoder"),
        "variables.learn_rate": 0.01,
        **length,
    }
    train(root / "configs/clinner.cfg", folder / "out", overrides=overrides)
    return folder


def tiny_config(path, corpus):
    """A pipeline that trains in a moment, with no encoder and nothing to calibrate."""
    nlp = spacy.blank("en")
    nlp.add_pipe("textcat")
    nlp.config.to_disk(path)
    settings = load_config(path)
    settings["paths"] |= {"train": str(corpus), "dev": str(corpus)}
    settings["training"] |= {"max_steps": 2, "eval_frequency": 1}
    settings.to_disk(path)
    return path


def resumable_config(path, corpus):
    settings = load_config(tiny_config(path, corpus))
    settings["variables"] = {"first_step": 0}
    settings["training"] |= {"max_steps": 4, "logger": {"@loggers": "clinner.RecordingLogger.v1"}}
    settings["training"]["optimizer"]["learn_rate"] = {
        "@schedules": "clinner.warmup_cosine.v1",
        "initial_rate": 0.001,
        "warmup_steps": 1,
        "total_steps": 4,
        "first_step": "${variables.first_step}",
    }
    settings.to_disk(path)
    return path


def cut_off(config, output, texts):
    """A training that was cut off after two of its four updates."""
    train(config, output, overrides={"training.max_steps": 2}, gpu_id=-1)
    output.rename(output.with_name(f"{output.name}.partial"))
