import json
import shutil

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.util import load_config
from spacy.vocab import Vocab

from spacy_clinner.architectures import bf16
from spacy_clinner.errors import ClinnerError
from spacy_clinner.training.provenance import training_counts
from spacy_clinner.training.run import length_overrides, move_models, train


def written(path, content):
    path.write_bytes(content)
    return path


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
        train(config, output, overrides={}, gpu_id=-1)
        assert sorted(path.name for path in output.iterdir()) == ["model-best", "model-last"]
    assert [path.name for path in output.parent.iterdir()] == ["out"]
    assert spacy.load(output / "model-best").pipe_names == ["textcat"]


def test_a_training_that_fails_leaves_the_older_model_as_it_was(tmp_path, texts):
    config, output = tiny_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    model(output, "model-best", "old")
    unfit = {"training.optimizer.@optimizers": "none"}
    with pytest.raises((SystemExit, ValueError)):
        train(config, output, overrides=unfit, gpu_id=-1)
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
    train(config, output, overrides={"training.max_steps": 2}, gpu_id=-1)
    output.rename(output.with_name(f"{output.name}.partial"))


def test_a_training_that_was_cut_off_goes_on_from_its_last_checkpoint(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    cut_off(config, output, texts)
    best = tmp_path / "out.partial/model-best"
    weights = (best / "textcat/model").read_bytes()
    meta = json.loads((best / "meta.json").read_text())
    meta["performance"]["cats_score"] = 2.0
    (best / "meta.json").write_text(json.dumps(meta))
    train(config, output, overrides={}, gpu_id=-1, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "texts.spacy", "x.cfg"]
    last = load_config(output / "model-last/config.cfg")
    assert (last["variables"]["first_step"], last["training"]["max_steps"]) == (2, 2)
    assert training_counts(output / "model-last")["step"] == 4
    # No later checkpoint scores higher, so the best one is that of before.
    assert (output / "model-best/textcat/model").read_bytes() == weights


def test_what_cannot_be_resumed_is_refused(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    with pytest.raises(ClinnerError, match=r"out\.partial: no checkpoint"):
        train(config, output, overrides={}, gpu_id=-1, resume=True)
    cut_off(config, output, texts)
    other = tiny_config(tmp_path / "y.cfg", texts)
    with pytest.raises(ClinnerError, match="first_step"):
        train(other, output, overrides={}, gpu_id=-1, resume=True)
    with pytest.raises(ClinnerError, match="all 2 updates are done"):
        train(config, output, overrides={"training.max_steps": 2}, gpu_id=-1, resume=True)


def test_a_checkpoint_is_not_lost_to_a_training_that_begins_anew(tmp_path, texts):
    config, output = resumable_config(tmp_path / "x.cfg", texts), tmp_path / "out"
    for folder in ("out.partial", "out.earlier"):
        cut_off(config, output, texts)
        (tmp_path / "out.partial").rename(tmp_path / folder)
        with pytest.raises(ClinnerError, match=rf"{folder}: holds the checkpoint.*--resume"):
            train(config, output, overrides={}, gpu_id=-1)
        assert (tmp_path / folder / "model-last/meta.json").is_file()
        shutil.rmtree(tmp_path / folder)


def test_epochs_for_a_config_without_such_variables_are_refused():
    variables = {"max_steps": 9, "warmup_steps": 1, "eval_frequency": 1}
    with pytest.raises(ClinnerError, match=r"lack epochs.*--epochs 0"):
        length_overrides({"variables": variables}, 1)
    assert length_overrides({"variables": variables}, 0) == {}
    assert length_overrides({"variables": {"epochs": 3} | variables}, 5) == {
        "variables.epochs": 5,
        "variables.max_steps": 0,
        "variables.warmup_steps": 0,
        "variables.eval_frequency": 0,
    }


def test_no_model_keeps_a_word_of_the_texts_whatever_the_config(tmp_path, texts):
    train(tiny_config(tmp_path / "x.cfg", texts), tmp_path / "out", overrides={})
    for name in ("model-best", "model-last"):
        strings = json.loads((tmp_path / "out" / name / "vocab/strings.json").read_text())
        assert "fever" not in strings


def test_an_output_that_is_a_file_is_refused_before_training(tmp_path, texts):
    output = written(tmp_path / "out", b"mine")
    with pytest.raises(ClinnerError, match="out: a file"):
        train(tmp_path / "x.cfg", output, overrides={}, gpu_id=-1)
    assert output.read_bytes() == b"mine"


def test_training_computes_in_what_onednn_may_use(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert bf16.wanted("auto") is False
