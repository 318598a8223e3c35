import re
import shlex
import shutil

import pytest
import srsly
from weasel.cli.run import project_run


def test_the_project_file_can_be_taken_in_at_a_glance(root):
    assert len((root / "project.yml").read_text(encoding="utf8").splitlines()) < 200


def test_names_are_checked_before_a_model_is_adapted(root):
    project = srsly.read_yaml(root / "project.yml")
    first = project["workflows"]["adapt-model"][0]
    (command,) = (c for c in project["commands"] if c["name"] == first)
    names = "${vars.name} ${vars.corpus} ${vars.version} '${vars.base}'"
    assert command["script"] == [f"python scripts/check_own_names.py {names}"]


def test_the_project_calls_commands_and_the_scripts_that_only_it_needs(root):
    commands = srsly.read_yaml(root / "project.yml")["commands"]
    for line in (line for command in commands for line in command["script"]):
        script = line.split()[1]
        assert line.startswith("python ")
        assert line.startswith(("python -m spacy_clinner ", "python -m pip ", "python -c ")) or (
            script.startswith("scripts/") and (root / script).is_file()
        )


def test_no_step_writes_where_the_released_models_are(root):
    commands = srsly.read_yaml(root / "project.yml")["commands"]
    for command in commands:
        written = [*command["script"], *command.get("outputs", [])]
        assert not [line for line in written if re.search(r"(^| )packages\b", line)]


@pytest.mark.parametrize("notes", ["my notes.csv", "*.csv", "sqlite:///x.db"])
def test_notes_and_models_may_be_called_as_commands_take_them(root, tmp_path, capsys, notes):
    shutil.copy(root / "project.yml", tmp_path)
    paths = {"vars.notes": notes, "vars.base": "my model", "vars.corrected": "my export.json"}
    for at in ("my export.json", "corpus/mine/train.spacy", "corpus/mine/dev.spacy"):
        (tmp_path / at).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / at).touch()
    given = {
        "own-names": ["my model"],
        "suggest": [notes, "my model"],
        "corrections": ["my export.json"],
        "learn-on": ["my model"],
        "evaluate-against": ["my model"],
    }
    for step, values in given.items():
        project_run(tmp_path, step, overrides=paths | {"vars.corpus": "mine"}, dry=True)
        (line,) = re.findall("Running command: (.*)", capsys.readouterr().out)
        assert {*values} < {*shlex.split(line)}


def test_notes_are_not_chosen_anew_while_they_are_corrected(root):
    commands = srsly.read_yaml(root / "project.yml")["commands"]
    (command,) = (command for command in commands if command["name"] == "suggest")
    assert "--once" in command["script"][0].split()
    assert not command.keys() & {"deps", "outputs"}
