"""The tutorial on a model of one's own is followed from top to bottom, with a tiny model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pages import commands
from toy_models import trained_on_the_sample

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def checkout(request, tmp_path_factory):
    """A folder that looks like a checkout, with a model `en_clinner` that has learned a little."""
    root = request.config.rootpath
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("corpus", "configs"):
        (folder / name).symlink_to(root / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        trained_on_the_sample(folder, root).rename(folder / "en_clinner")
    return folder


def test_the_tutorial_leads_to_a_model_of_ones_own(checkout, root):
    steps = {name: code for name, code in commands(root).items() if name.startswith("adapt_")}
    assert len(steps) == 6
    # The released model has learned from those, and could not be corrected on them.
    assert not any("corpus/notes/train" in code for code in steps.values())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = dict(os.environ, PATH=path, PYTHONPATH=str(root))
    for name, code in steps.items():
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=checkout, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (name, done.stdout[-2000:], done.stderr[-4000:])
    counts = json.loads((checkout / "corrections.json").read_text())
    assert counts["notes"] == 12
    facts = json.loads((checkout / "adapted/training.json").read_text())
    assert facts["learning_on"]["folds"] == 2
    gained = json.loads((checkout / "gained/metrics.json").read_text())
    # Notes of the same kinds as those that were corrected.
    assert gained["against"]["strict"]["all"]["value"] > 0
    assert (checkout / "packages-of-mine/en_mine-1.0.0-py3-none-any.whl").is_file()
