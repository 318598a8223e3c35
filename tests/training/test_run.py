import json
from pathlib import Path

import pytest
import spacy
from spacy.util import load_config, registry
from tiny_trainings import tiny_config

from spacy_clinner.architectures import bf16
from spacy_clinner.errors import ClinnerError
from spacy_clinner.training.run import check_output, checked, length_overrides, move_models, train


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


@pytest.mark.parametrize("name", ["model-best", "model-last"])
def test_the_model_that_a_training_begins_with_is_not_replaced_by_it(tmp_path, monkeypatch, name):
    model(tmp_path / "out", name, "old")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    for output, start in ((tmp_path / "out", f"out/{name}"), (Path("link"), f"out/{name}/")):
        with pytest.raises(ClinnerError, match=f"its {name} is the model to go on from"):
            train(tmp_path / "x.cfg", output, overrides={}, start=start)
    check_output(tmp_path / "out", f"other/{name}")


def test_a_folder_that_cannot_be_written_is_told_of_before_training(tmp_path):
    for output in (Path("/proc/mine"), Path("/proc/mine/deep/out")):
        with pytest.raises(ClinnerError, match=f"{output}: cannot be written"):
            train(tmp_path / "x.cfg", output, overrides={})
    check_output(tmp_path / "deep/out")
    assert not [*tmp_path.iterdir()]


def test_training_computes_in_what_onednn_may_use(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert bf16.wanted("auto") is False


def test_no_model_keeps_a_word_of_the_texts_whatever_is_called_before_it_is_saved(tmp_path, texts):
    config, called = tiny_config(tmp_path / "x.cfg", texts), []

    @registry.callbacks("marked.v1")
    def create_marked(mark: str):
        def mark_meta(nlp):
            called.append(mark)
            return nlp

        return mark_meta

    settings = load_config(config)
    settings["training"]["before_to_disk"] = {"@callbacks": "marked.v1", "mark": "mine"}
    settings.to_disk(config)
    train(config, tmp_path / "out", overrides={})
    assert set(called) == {"mine"}
    for name in ("model-best", "model-last"):
        strings = json.loads((tmp_path / "out" / name / "vocab/strings.json").read_text())
        assert "fever" not in strings


@pytest.mark.parametrize("listed", [True, False])
def test_silver_notes_join_one_file_or_several(tmp_path, texts, listed):
    silver = tmp_path / "silver.spacy"
    silver.write_bytes(texts.read_bytes())
    config = tiny_config(tmp_path / "x.cfg", texts)
    settings = load_config(config)
    settings["corpora"]["train"] = {"@readers": "clinner.Corpus.v1", "path": "${paths.train}"}
    settings.to_disk(config)
    given = {"paths.train": [str(texts)] * 2 if listed else str(texts)}
    overrides, _ = checked(config, given, None, [silver], None)
    assert overrides["paths.train"] == [*[str(texts)] * (1 + listed), str(silver)]
