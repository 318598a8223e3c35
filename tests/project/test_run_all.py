"""The main job, end to end, in a clean folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import srsly
from checkouts import copied
from pages import of_a_trained_model

pytestmark = pytest.mark.slow
OFFLINE = Path(__file__).parent / "offline"
# Far fewer updates than a model for use takes.
SHORT = ("--vars.overrides", " --variables.max_steps 60 --variables.eval_frequency 30")


@pytest.fixture(scope="module")
def project(request, tmp_path_factory):
    return copied(request.config.rootpath, tmp_path_factory.mktemp("project"))


def spacy_project(folder, *arguments, offline=False):
    env = dict(os.environ, COLUMNS="120")
    if offline:
        env["PYTHONPATH"] = str(OFFLINE)
    return subprocess.run(
        [sys.executable, "-m", "spacy", "project", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def finished(project):
    encoder = spacy_project(project, "run", "encoder")
    assert encoder.returncode == 0, encoder.stdout + encoder.stderr
    return spacy_project(project, "run", "all", ".", *SHORT, offline=True)


def test_run_all_on_the_sample_ends_well_with_the_network_refused(finished):
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-4000:]
    assert "en_clinner runs" in finished.stdout


def test_evaluation_was_on_the_test_split_and_its_figures_are_written(project, finished):
    metrics = srsly.read_json(project / "metrics/sample/clinner/metrics.json")
    assert metrics["notes"] == len(list((project / "corpus/sample/test").glob("*.txt")))
    assert metrics["strict"]["clinical"]["f"] > 0.3
    assert (project / "metrics/sample/clinner/errors.html").is_file()
    assert list(srsly.read_jsonl(project / "metrics/sample/clinner/errors.jsonl"))


def test_the_model_and_clinner_are_built_side_by_side(project, finished):
    built = sorted(path.name for path in (project / "dist").iterdir())
    for ending in (".whl", ".tar.gz"):
        names = [name.split("-")[0] for name in built if name.endswith(ending)]
        assert names == ["en_clinner", "spacy_clinner"]


def test_the_released_models_stay_as_they_were(root, project, finished):
    for wheel in (project / "packages").iterdir():
        assert wheel.read_bytes() == (root / "packages" / wheel.name).read_bytes()


def test_a_second_run_trains_nothing_anew(project, finished):
    again = spacy_project(project, "run", "train", ".", *SHORT, offline=True)
    assert again.returncode == 0
    assert "Skipping 'train'" in again.stdout


def test_what_the_pages_do_with_the_model_runs(root, finished):
    codes = of_a_trained_model(root)
    assert codes
    env = dict(os.environ, PYTHONPATH=str(OFFLINE))
    for code in codes:
        subprocess.run([sys.executable, "-c", code], env=env, check=True)


def test_the_installed_model_loads_by_name_in_a_new_process(finished):
    code = (
        "import spacy; nlp = spacy.load('en_clinner');"
        "docs = list(nlp.pipe(['Denies fever.', '', '  ']));"
        "assert all(doc.has_annotation('ENT_IOB') or not len(doc) for doc in docs)"
    )
    env = dict(os.environ, PYTHONPATH=str(OFFLINE))
    subprocess.run([sys.executable, "-c", code], env=env, check=True)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (
            "windows.py training/sample/clinner/model-best corpus/sample/dev.spacy --turns 1",
            "Decoding:",
        ),
        (
            "training_speed.py configs/clinner.cfg configs/transition.cfg"
            " --corpus corpus/sample --updates 1 --turns 1",
            "times transition",
        ),
    ],
)
def test_the_small_benchmarks_of_the_figures_run(project, finished, command, shown):
    name, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, f"scripts/benchmarks/{name}", *arguments],
        cwd=project,
        env=dict(os.environ, PYTHONPATH=str(OFFLINE), COLUMNS="120"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout
