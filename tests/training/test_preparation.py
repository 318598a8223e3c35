from pathlib import Path

import pytest
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

from spacy_clinner.corpora.docbin import read_docs
from spacy_clinner.errors import ClinnerError
from spacy_clinner.training.preparation import (
    check_corpora,
    load_settings,
    resolve_encoder,
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


def test_training_without_a_readable_train_and_dev_is_refused(tmp_path, corpus):
    empty = tmp_path / "empty.spacy"
    DocBin().to_disk(empty)
    broken = written(tmp_path / "broken.spacy", b"no corpus")
    for paths in ({}, {"train": str(corpus)}, {"train": str(corpus), "dev": None}):
        with pytest.raises(ClinnerError, match="corpus"):
            check_corpora({"paths": paths})
    for path, says in ((empty, "holds no note"), (broken, "not a .spacy file")):
        with pytest.raises(ClinnerError, match=says):
            check_corpora({"paths": {"train": str(corpus), "dev": str(path)}})


def test_a_file_that_is_no_config_is_not_quoted(tmp_path):
    note = tmp_path / "note.txt"
    note.write_text("Quartermain has fever.\n", encoding="utf8")
    with pytest.raises(ClinnerError, match="not a spaCy config") as caught:
        load_settings(note, {})
    assert "Quartermain" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_option_of_the_config_without_a_value_is_named(root):
    with pytest.raises(ClinnerError, match=r"--paths\.train needs a value"):
        load_settings(root / "configs/clinner.cfg", {"paths.train": True})


@pytest.mark.parametrize("key", ["paths.train", "paths.dev", "training.batcher.get_length"])
def test_an_option_that_has_no_value_of_its_own_needs_one(root, key):
    with pytest.raises(ClinnerError, match=f"--{key} needs a value"):
        load_settings(root / "spacy_clinner/training/learn_on.cfg", {key: True})


def test_a_switch_of_a_section_that_is_handed_on_may_be_named_alone(config):
    key = "components.transformer.model.tokenizer_config.strip_accents"
    assert load_settings(config, {key: True})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("variables.batch_words", 0),
        ("variables.batch_words", -5),
        ("initialize.before_init.evaluations", 0),
        ("initialize.before_init.warmup", 2),
        ("training.dropout", 2.0),
        ("variables.learn_rate", -1),
        ("variables.max_steps", -1),
        ("training.max_steps", -1),
        ("variables.augmentation", 1.5),
        ("training.accumulate_gradient", 0),
        ("variables.epochs", float("nan")),
    ],
)
def test_a_number_that_nothing_can_be_trained_with_is_refused_by_its_name(root, key, value):
    config = root / "configs/clinner.cfg"
    with pytest.raises(ClinnerError, match=rf"--{key} {value}: needs ") as refused:
        validate(config, load_settings(config, {key: value}))
    assert "\n" not in str(refused.value)
