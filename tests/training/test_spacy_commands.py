"""spaCy's own commands do with our configs and models what they do with anybody's."""

import subprocess
import sys

import numpy as np
import pytest
import spacy
import srsly
from spacy.util import load_config

pytest.importorskip("spacy_transformers")
from tiny_encoders import biomedbert
from toy_corpora import mtsamples

from spacy_clinner.corpora.catalog import find_corpus
from spacy_clinner.corpora.docbin import convert
from spacy_clinner.training.provenance import training_counts
from spacy_clinner.training.run import train

pytestmark = pytest.mark.slow

SHORT = {"variables.max_steps": 4, "variables.warmup_steps": 1, "variables.eval_frequency": 2}


def spacy_command(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "spacy", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def toy(request, tmp_path_factory):
    """A folder with a tiny encoder and a converted corpus of two layers with relations."""
    folder = tmp_path_factory.mktemp("toy")
    biomedbert(folder / "encoder")
    mtsamples(folder / "assets")
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        catalog = request.config.rootpath / "configs/corpora.toml"
        convert(find_corpus("mtsamples", catalog), nlp, folder)
    return folder


@pytest.fixture(scope="module")
def config(request):
    return request.config.rootpath / "configs/clinner.cfg"


@pytest.fixture(scope="module")
def overrides(toy):
    return {
        "paths.train": str(toy / "train.spacy"),
        "paths.dev": str(toy / "dev.spacy"),
        "variables.encoder": str(toy / "encoder"),
        **SHORT,
    }


@pytest.fixture(scope="module")
def options(overrides):
    return [part for key, value in overrides.items() for part in (f"--{key}", value)]


@pytest.fixture(scope="module")
def trained(toy, config, options):
    """Where `spacy train` put its models, and what it printed."""
    logger = ("--training.logger.@loggers", "spacy.ConsoleLogger.v3")
    shown = spacy_command("train", config, "--output", toy / "out", *options, *logger)
    return toy / "out", shown


def test_spacy_train_gives_the_model_that_clinner_train_gives(toy, config, overrides, trained):
    train(config, toy / "ours", overrides=overrides)
    for name in ("model-best", "model-last"):
        theirs, ours = (spacy.load(folder / name) for folder in (trained[0], toy / "ours"))
        assert theirs.pipe_names == ours.pipe_names
        assert theirs.get_pipe("ner").temperatures == ours.get_pipe("ner").temperatures != {}
        assert theirs.get_pipe("ner").label_data == ours.get_pipe("ner").label_data
        for component in ("ner", "relations"):
            models = [nlp.get_pipe(component).model for nlp in (theirs, ours)]
            weights = [
                [node.get_param(p) for node in model.walk() for p in node.param_names]
                for model in models
            ]
            assert weights[0]
            for one, other in zip(*weights, strict=True):
                np.testing.assert_array_equal(one, other)


def test_the_model_has_the_layers_of_the_corpus_and_its_config_their_thresholds(trained):
    ner = spacy.load(trained[0] / "model-best").get_pipe("ner")
    assert ner.layers == ("clinical", "modifiers")
    settings = load_config(trained[0] / "model-best/config.cfg")["components"]["ner"]
    assert settings["threshold"] == {"clinical": 0.0, "modifiers": 0.0}


def test_spacys_logger_shows_its_table(trained):
    assert "LOSS TRANS" in trained[1]
    assert "SCORE" in trained[1]


def test_spacy_evaluate_scores_the_model(toy, trained, tmp_path):
    out = tmp_path / "scores.json"
    spacy_command("evaluate", trained[0] / "model-best", toy / "test.spacy", "--output", out)
    assert "layers_f" in srsly.read_json(out)


def test_spacy_benchmark_speed_runs_the_model(toy, trained):
    shown = spacy_command("benchmark", "speed", trained[0] / "model-best", toy / "test.spacy",
                          "--batches", 30, "--warmup", 1)  # fmt: skip
    assert "words/s" in shown


@pytest.mark.parametrize(
    ("component", "key", "score"),
    [("ner", "threshold.clinical", "layers_f"), ("relations", "threshold", "rel_micro_f")],
)
def test_spacy_find_threshold_tries_the_thresholds(toy, trained, component, key, score):
    shown = spacy_command("find-threshold", trained[0] / "model-best", toy / "dev.spacy", component,
                          key, score, "--n_trials", 3)  # fmt: skip
    assert [line.split()[0] for line in shown.splitlines() if line[:2] in ("0.", "1.")] == [
        "0.0", "0.5", "1.0",
    ]  # fmt: skip


def test_spacy_debug_config_finds_no_fault(config, options):
    shown = spacy_command("debug", "config", config, *options)
    assert "Config is valid" in " ".join(shown.split()) or "valid" in shown


def test_spacy_debug_data_reads_the_corpus(config, options):
    done = subprocess.run(
        [sys.executable, "-m", "spacy", "debug", "data", str(config), *map(str, options)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Pipeline can be initialized with data" in done.stdout, done.stdout + done.stderr
    assert "Summary" in done.stdout


def test_spacy_train_goes_on_from_a_checkpoint(toy, config, options, tmp_path):
    spacy_command("train", config, "--output", tmp_path / "cut", *options,
                  "--training.max_steps", 2)  # fmt: skip
    checkpoint = tmp_path / "cut/model-last"
    spacy_command("train", config, "--output", tmp_path / "rest", *options,
                  "--paths.checkpoint", checkpoint)  # fmt: skip
    assert training_counts(checkpoint)["step"] == 2
    assert training_counts(tmp_path / "rest/model-last")["step"] == 4
    settings = load_config(tmp_path / "rest/model-last/config.cfg", interpolate=True)["training"]
    assert settings["max_steps"] == 2
    assert settings["optimizer"]["learn_rate"]["first_step"] == 2
    assert settings["optimizer"]["learn_rate"]["total_steps"] == 4
