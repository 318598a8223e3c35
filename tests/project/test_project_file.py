import re

import srsly


def test_the_project_file_can_be_taken_in_at_a_glance(root):
    assert len((root / "project.yml").read_text(encoding="utf8").splitlines()) < 200


def test_names_are_checked_before_a_model_is_adapted(root):
    project = srsly.read_yaml(root / "project.yml")
    first = project["workflows"]["adapt-model"][0]
    (command,) = (c for c in project["commands"] if c["name"] == first)
    names = "${vars.name} ${vars.corpus}"
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
