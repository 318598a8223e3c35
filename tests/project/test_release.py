"""The wheel in packages/, as a user gets it."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from pages import blocks, commands

import spacy_clinner

FORBIDDEN = Path(__file__).parents[1] / "cpu" / "forbidden"
RELEASED = "en_clinner_cpu"
MEGABYTES = 30
CONFIDENCE = re.compile(r"[01]\.\d\d")


def test_the_wheel_is_small_enough_to_commit(wheel):
    assert wheel.stat().st_size < MEGABYTES * 1e6


def test_the_quick_start_installs_the_wheel_that_is_there(wheel, root):
    (named,) = re.findall(r"packages/\S+", commands(root)["quickstart"])
    assert list(root.glob(named)) == [wheel]


def test_the_quick_start_runs_with_the_network_refused_and_shows_what_the_readme_shows(
    installed, root
):
    readme = root / "README.md"
    (code,) = (code for code in blocks(readme, "python") if RELEASED in code)
    refusals = installed / "refusals.txt"
    path = f"{FORBIDDEN}{os.pathsep}{installed}"
    env = dict(os.environ, PYTHONPATH=path, FORBIDDEN_LOG=str(refusals))
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not refusals.exists()
    (shown,) = blocks(readme, "text")
    # Another CPU rounds confidences otherwise.
    printed, shown = (CONFIDENCE.sub("", text).split() for text in (done.stdout, shown))
    assert printed == shown


FOUND = """
import json, pathlib, sys, spacy
nlp = spacy.load("en_clinner_cpu")
notes = sorted(pathlib.Path(sys.argv[1]).glob("*.txt"))
print(json.dumps([
    [at, layer, span.start_char, span.end_char, span.label_]
    for at, doc in enumerate(nlp.pipe(note.read_text(encoding="utf8") for note in notes))
    for layer, group in doc.spans.items()
    for span in group
]))
"""


def test_a_cpu_with_avx2_and_nothing_newer_finds_the_same(installed, root):
    found = []
    for most in ("DEFAULT", "AVX2"):
        env = dict(os.environ, PYTHONPATH=str(installed), ONEDNN_MAX_CPU_ISA=most)
        command = [sys.executable, "-c", FOUND, str(root / "corpus/sample/dev")]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.append({tuple(span) for span in json.loads(done.stdout)})
    newest, oldest = found
    # These notes are of a kind that this model was not trained on, so many spans are close calls.
    assert len(newest & oldest) > 0.97 * max(len(newest), len(oldest)) > 100


def test_the_wheels_that_are_there_are_all_that_it_takes_besides_other_projects(wheel, root):
    command = ["-m", "pip", "install", "--dry-run", "--quiet", "--no-index", "--no-deps"]
    name, version = wheel.name.split("-")[:2]
    places = ["--find-links", str(root / "packages")]
    wanted = [f"{name}=={version}", f"spacy-clinner=={spacy_clinner.__version__}"]
    subprocess.run([sys.executable, *command, *places, *wanted], check=True)


def test_the_card_is_of_the_wheel_that_is_there(wheel, root):
    version = wheel.name.split("-")[1]
    card = (root / "MODEL_CARD.md").read_text(encoding="utf8")
    assert RELEASED in card
    assert version in card


SEED_SYSTEMS_EXAMPLE = (
    "she was suffering from Malaria and fits so to cure she used amodiaquine and she has slightly "
    "fever and pain on hip"
)


@pytest.mark.parametrize("name", [RELEASED, "en_clinner"])
def test_a_released_model_finds_all_that_the_tuned_general_model_was_shown_with(
    name, root, tmp_path
):
    (wheel,) = (root / "packages").glob(f"{name}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        f"import spacy, spacy_clinner; nlp = spacy.load({name!r}); "
        f"print(spacy_clinner.to_lines(nlp({SEED_SYSTEMS_EXAMPLE!r})))"
    )
    env = dict(os.environ, PYTHONPATH=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for words, label in {
        "Malaria": "DISEASE",
        "fits": "SYMPTOM",
        "amodiaquine": "DRUG",
        "fever": "SYMPTOM",
        "pain": "SYMPTOM",
        "hip": "BODY_PART",
    }.items():
        assert f"Entity: {words}, Label: {label}" in done.stdout.splitlines()
