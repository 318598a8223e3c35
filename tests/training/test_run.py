import json
import shutil
from pathlib import Path

import pytest
import spacy
import torch
from spacy.tokens import Doc, DocBin, Span
from spacy.util import load_config
from spacy.vocab import Vocab

from spacy_clinner.architectures import bf16
from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.training.provenance import training_counts
from spacy_clinner.training.run import (
    MIN_STEPS,
    corpus_overrides,
    load_settings,
    move_models,
    resolve_encoder,
    train,
    training_docs,
    use_gpu,
    validate,
)


@pytest.fixture
def config(root) -> Path:
    return root / "configs/clinner.cfg"


@pytest.fixture
def corpus(tmp_path) -> Path:
    doc = Doc(Vocab(), words=["No", "fever", "."])
    doc.spans["clinical"] = [Span(doc, 1, 2, "PROBLEM")]
    path = tmp_path / "corpus.spacy"
    DocBin(docs=[doc], store_user_data=True).to_disk(path)
    return path


def written(path, content):
    path.write_bytes(content)
    return path


def test_an_override_of_a_key_that_the_config_has_is_applied(config):
    settings = load_settings(config, {"variables.max_steps": 3, "training.dropout": 0.2})
    assert settings["training"]["max_steps"] == 3
    assert settings["training"]["dropout"] == 0.2


def test_an_override_of_an_unknown_key_is_refused_with_the_known_ones(config):
    with pytest.raises(ClinnerError, match=r"no nope in \[variables\].*encoder, learn_rate"):
        load_settings(config, {"variables.nope": 3})


@pytest.mark.parametrize("key", ["nope.max_steps", "training.dropout.rate", "nope.nope.nope"])
def test_an_override_in_an_unknown_section_is_refused_with_the_known_ones(config, key):
    with pytest.raises(ClinnerError, match=r"no section \[.*paths, variables"):
        load_settings(config, {key: 3})


@pytest.mark.parametrize(
    "content",
    [b"hello", b"\xff\xfe\x00a", b"[a.b]\nc = 1\n", b"[a]\nb = 1\nb = 2\n", b"[a]\nb = ${x.y}\n"],
    ids=["prose", "binary", "no parent section", "key twice", "unknown variable"],
)
def test_a_file_that_is_no_config_is_refused_in_one_line(tmp_path, content):
    path = written(tmp_path / "x.cfg", content)
    with pytest.raises(ClinnerError) as error:
        load_settings(path, {})
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_config_whose_pipeline_cannot_be_built_is_refused(tmp_path, config):
    with pytest.raises(ClinnerError, match="no_such_factory"):
        validate(config, load_settings(config, {"components.ner.factory": "no_such_factory"}))
    path = written(tmp_path / "x.cfg", b"[paths]\ntrain = null\n")
    with pytest.raises(ClinnerError, match=r"x\.cfg"):
        validate(path, load_settings(path, {}))


def test_both_configs_validate(root):
    for path in sorted((root / "configs").glob("*.cfg")):
        assert validate(path, load_settings(path, {}))["nlp"]["pipeline"]


def test_an_encoder_is_a_folder_with_a_config(tmp_path):
    with pytest.raises(ClinnerError, match="spacy project run encoder"):
        resolve_encoder(str(tmp_path))
    (tmp_path / "config.json").touch()
    assert resolve_encoder(str(tmp_path)) == str(tmp_path)


@pytest.mark.parametrize("name", ["bert-base-none", "none/bert", "assets/none", "./none", "a/b/c"])
def test_an_encoder_that_is_nowhere_is_refused_whatever_its_shape(name):
    with pytest.raises(ClinnerError, match=f"^{name}: no encoder there"):
        resolve_encoder(name)


@pytest.mark.parametrize("name", ["bert-base-none", "none/bert"])
def test_an_encoder_in_the_hub_cache_is_found_with_or_without_an_owner(tmp_path, monkeypatch, name):
    folder = tmp_path / f"models--{name.replace('/', '--')}"
    (folder / "snapshots/0123").mkdir(parents=True)
    (folder / "snapshots/0123/config.json").touch()
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text("0123", encoding="utf8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert resolve_encoder(name) == name


def test_the_cpu_is_always_there_and_a_gpu_that_is_not_is_refused():
    use_gpu(-1)
    with pytest.raises(ClinnerError, match=r"gpu_id is 99.*cuda12x"):
        use_gpu(99)


@pytest.mark.parametrize("content", [b"", b"no corpus", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_a_file_that_is_no_corpus_is_refused_with_what_to_do(tmp_path, content):
    path = written(tmp_path / "x.spacy", content)
    with pytest.raises(ClinnerError, match=r"x\.spacy: not a .*spacy project run convert"):
        read_docs(path, Vocab())


def test_a_corpus_that_is_cut_off_missing_or_a_folder_is_refused(tmp_path, corpus):
    half = written(tmp_path / "half.spacy", corpus.read_bytes()[:-9])
    for path in (half, tmp_path / "none.spacy", tmp_path):
        with pytest.raises(ClinnerError, match=path.name):
            read_docs(path, Vocab())


def test_training_docs_are_those_of_train(corpus):
    paths = {"train": str(corpus), "dev": str(corpus)}
    assert [[doc.text for doc in docs] for docs in training_docs({"paths": paths})] == [
        ["No fever . "]
    ]


def test_training_without_a_readable_train_and_dev_is_refused(tmp_path, corpus):
    empty = tmp_path / "empty.spacy"
    DocBin().to_disk(empty)
    broken = written(tmp_path / "broken.spacy", b"no corpus")
    for paths in ({}, {"train": str(corpus)}, {"train": str(corpus), "dev": None}):
        with pytest.raises(ClinnerError, match="corpus"):
            training_docs({"paths": paths})
    for path, says in ((empty, "holds no note"), (broken, "not a .spacy file")):
        with pytest.raises(ClinnerError, match=says):
            training_docs({"paths": {"train": str(corpus), "dev": str(path)}})


def test_epochs_decide_the_length_in_updates_but_never_below_the_least(config, corpus):
    settings, sources = load_settings(config, {}), [read_docs(corpus, Vocab())]
    assert "variables.max_steps" not in corpus_overrides(settings, sources, epochs=0)
    short = corpus_overrides(settings, sources, epochs=1)
    assert short["variables.max_steps"] == 153 >= MIN_STEPS
    long = corpus_overrides(settings, sources * 1000, epochs=100)
    assert long["variables.max_steps"] == 306
    assert long["variables.warmup_steps"] == 30
    assert long["variables.eval_frequency"] == 34
    assert all(found["variables.max_steps"] % found["variables.eval_frequency"] == 0
               for found in (short, long))  # fmt: skip
    assert long["variables.layers"] == ["clinical"]


def test_epochs_for_a_config_without_such_variables_are_refused(corpus):
    docs = read_docs(corpus, Vocab())
    with pytest.raises(ClinnerError, match=r"lack batch_words, max_steps.*--epochs 0"):
        corpus_overrides({"variables": {"warmup_steps": 1, "eval_frequency": 1}}, docs, epochs=1)


def model(folder, name, content):
    (folder / name).mkdir(parents=True)
    (folder / name / "meta.json").write_text(content, encoding="utf8")


def test_a_finished_training_replaces_the_older_models_and_nothing_else(tmp_path):
    partial, output = tmp_path / "out.partial", tmp_path / "out"
    model(output, "model-best", "old")
    model(output, "cpu", "other")
    for name in ("model-best", "model-last"):
        model(partial, name, "new")
    move_models(partial, output)
    found = {path.parent.name: path.read_text() for path in output.glob("*/meta.json")}
    assert found == {"model-best": "new", "model-last": "new", "cpu": "other"}
    assert not partial.exists()


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


@pytest.fixture
def texts(tmp_path):
    doc = Doc(Vocab(), words=["No", "fever", "."])
    doc.cats = {"A": 1.0, "B": 0.0}
    path = tmp_path / "texts.spacy"
    DocBin(docs=[doc]).to_disk(path)
    return path


def test_a_training_that_ends_well_leaves_whole_models_and_no_partial_ones(tmp_path, texts):
    config, output = tiny_config(tmp_path / "x.cfg", texts), tmp_path / "deep/out"
    for _ in range(2):
        train(config, output, dev=texts, overrides={}, gpu_id=-1)
        assert sorted(path.name for path in output.iterdir()) == ["model-best", "model-last"]
    assert [path.name for path in output.parent.iterdir()] == ["out"]
    assert spacy.load(output / "model-best").pipe_names == ["textcat"]


def test_a_training_that_fails_leaves_the_older_model_as_it_was(tmp_path, texts):
    config, output = tiny_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    model(output, "model-best", "old")
    unfit = {"training.optimizer.@optimizers": "none"}
    with pytest.raises((SystemExit, ValueError)):
        train(config, output, dev=texts, overrides=unfit, gpu_id=-1)
    assert (output / "model-best/meta.json").read_text() == "old"
    assert not (output / "model-last").exists()


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
    train(config, output, dev=texts, overrides={"training.max_steps": 2}, gpu_id=-1)
    output.rename(output.with_name(f"{output.name}.partial"))


def test_a_training_that_was_cut_off_goes_on_from_its_last_checkpoint(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    cut_off(config, output, texts)
    best = tmp_path / "out.partial/model-best"
    weights = (best / "textcat/model").read_bytes()
    meta = json.loads((best / "meta.json").read_text())
    meta["performance"]["cats_score"] = 2.0
    (best / "meta.json").write_text(json.dumps(meta))
    train(config, output, dev=texts, overrides={}, gpu_id=-1, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "texts.spacy", "x.cfg"]
    last = load_config(output / "model-last/config.cfg")
    assert (last["variables"]["first_step"], last["training"]["max_steps"]) == (2, 2)
    assert training_counts(output / "model-last")["step"] == 4
    # No later checkpoint scores higher, so the best one is that of before.
    assert (output / "model-best/textcat/model").read_bytes() == weights


def test_a_training_that_begins_anew_keeps_the_checkpoints_of_one_that_was_cut_off(
    tmp_path, texts, caplog
):
    config, output = tiny_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    for number in (1, 2):
        cut_off(config, output, texts)
        (tmp_path / "out.partial/mark").write_text(str(number))
        train(config, output, dev=texts, overrides={}, gpu_id=-1)
        kept = tmp_path / f"out.partial-{number}"
        assert (kept / "model-last/meta.json").is_file()
        assert (kept / "mark").read_text() == str(number)
        assert str(kept) in caplog.text
        assert not (tmp_path / "out.partial").exists()
        shutil.rmtree(output)


def test_what_cannot_be_resumed_is_refused(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    with pytest.raises(ClinnerError, match=r"out\.partial: no checkpoint"):
        train(config, output, dev=texts, overrides={}, gpu_id=-1, resume=True)
    cut_off(config, output, texts)
    other = tiny_config(tmp_path / "y.cfg", texts)
    with pytest.raises(ClinnerError, match="first_step"):
        train(other, output, dev=texts, overrides={}, gpu_id=-1, resume=True)
    with pytest.raises(ClinnerError, match="all 2 updates are done"):
        train(
            config, output, dev=texts, overrides={"training.max_steps": 2}, gpu_id=-1, resume=True
        )


def test_an_output_that_is_a_file_is_refused_before_training(tmp_path, texts):
    output = written(tmp_path / "out", b"mine")
    with pytest.raises(ClinnerError, match="out: a file"):
        train(tmp_path / "x.cfg", output, dev=texts, overrides={}, gpu_id=-1)
    assert output.read_bytes() == b"mine"


def test_a_torch_that_does_not_know_of_bf16_counts_as_a_cpu_without(monkeypatch):
    for check in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, check, raising=False)
    assert bf16._computes_in_bf16() is False
