"""The workflow `adapt-model` from end to end, with what annotators would have corrected."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import srsly
from checkouts import copied
from toy_models import trained_on_the_sample

from spacy_clinner.corpora.brat import read_brat
from spacy_clinner.corpora.label_studio import task
from spacy_clinner.corpora.suggestions import Suggestion

pytestmark = pytest.mark.long
OFFLINE = Path(__file__).parent / "offline"
ENTRY = """
[mine]
format = "jsonl"
annotator = "anna@example.org"
layers = ["clinical", "modifiers"]
train = ["corrected.json"]
holdout = { test = 6, dev = 4 }
"""
# The corpus `notes`, of which the model saw none, stands for the hospital's own notes.
MINE = "corpus/notes/train"


@pytest.fixture(scope="module")
def project(request, tmp_path_factory):
    root = request.config.rootpath
    folder = copied(root, tmp_path_factory.mktemp("mine"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        trained_on_the_sample(tmp_path_factory.mktemp("toy"), root).rename(folder / "en_toy")
    with (folder / "configs/corpora.toml").open("a") as catalog:
        catalog.write(ENTRY)
    with (folder / "notes.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["note_id", "text"])
        rows.writerows([p.stem, p.read_text()] for p in sorted((folder / MINE).glob("*.txt"))[:40])
    return folder


def adapt(project):
    return subprocess.run(
        [sys.executable, "-m", "spacy", "project", "run", "adapt-model", ".",
         "--vars.corpus", "mine", "--vars.name", "mine", "--vars.version", "1.0.0",
         "--vars.base", "en_toy", "--vars.suggest_options", " --count 24",
         "--vars.corrections_options", " --annotator anna@example.org",
         "--vars.overrides", " --variables.learn_rate 2e-3"],
        cwd=project,
        env=dict(os.environ, COLUMNS="120", PYTHONPATH=f"{OFFLINE}{os.pathsep}{project}"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def exported(project):
    """Label Studio's export: what annotators of the corpus have in place of each suggestion, and
    what another annotator left as it was suggested."""
    gold = {note.id: note for note in read_brat(project / MINE)}
    tasks = srsly.read_json(project / "suggested/mine/tasks.json")
    for number, record in enumerate(tasks, 1):
        (prediction,) = record.pop("predictions")
        (corrected,) = task(Suggestion(gold[record["data"]["note_id"]], (), ()), "")["predictions"]
        annotations = (
            {"id": 2 * number + at, "completed_by": {"id": at, "email": f"{who}@example.org"},
             "result": found["result"], "was_cancelled": False, "lead_time": 30.0}
            for at, (who, found) in enumerate([("bert", prediction), ("anna", corrected)])
        )  # fmt: skip
        record |= {"id": number, "annotations": list(annotations), "predictions": []}
    return json.dumps(tasks)


def test_it_stops_for_corrections_and_goes_on_to_packages_under_ones_own_name(project):
    stopped = adapt(project)
    assert stopped.returncode == 1
    assert "corrected.json" in stopped.stdout
    assert len(srsly.read_json(project / "suggested/mine/tasks.json")) == 24
    assert not (project / "corpus/mine").exists()

    (project / "corrected.json").write_text(exported(project))
    before = (project / "suggested/mine/suggested.jsonl").stat().st_mtime_ns
    done = adapt(project)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    # What was suggested is what was corrected: it is not chosen anew.
    assert (project / "suggested/mine/suggested.jsonl").stat().st_mtime_ns == before

    counts = srsly.read_json(project / "metrics/mine/corrections.json")
    assert (counts["notes"], counts["missing"], counts["minutes"]) == (24, 0, 12.0)
    facts = srsly.read_json(project / "training/mine/clinner/training.json")["learning_on"]
    # Four notes were held out by the catalog, so none has to be held out of those to learn from.
    assert facts["notes"] == 14
    assert "held_out" not in facts
    metrics = srsly.read_json(project / "metrics/mine/clinner/metrics.json")
    assert metrics["notes"] == 6
    assert metrics["against"]["model"] == "en_toy"
    assert metrics["against"]["strict"]["all"]["value"] > 0
    built = {path.name for path in (project / "dist").iterdir()}
    assert {"en_mine-1.0.0-py3-none-any.whl", "en_mine_cpu-1.0.0-py3-none-any.whl"} <= built

    again = adapt(project)
    assert again.returncode == 0, again.stdout[-4000:] + again.stderr[-4000:]
    assert "Skipping 'learn-on'" in again.stdout


def test_what_it_built_runs_by_its_name(project, tmp_path):
    for name in ("en_mine", "en_mine_cpu"):
        (wheel,) = (project / "dist").glob(f"{name}-*.whl")
        shutil.unpack_archive(wheel, tmp_path / name, "zip")
        code = f"import spacy; print(spacy.load('{name}')('Denies fever.').ents)"
        env = dict(os.environ, PYTHONPATH=f"{tmp_path / name}{os.pathsep}{project}")
        subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, check=True)
