"""Every recipe, from raw files of its format to a package, on an encoder of its class."""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import spacy
import srsly
import typer
from spacy.cli import app as spacy_commands
from typer.testing import CliRunner

pytest.importorskip("spacy_transformers")
pytest.importorskip("sentencepiece")
from tiny_encoders import ENCODERS, LIMIT
from toy_corpora import write_assets

from spacy_clinner.cli import app, main
from spacy_clinner.compat import parse_config_overrides
from spacy_clinner.files import read_toml
from spacy_clinner.packaging import build

ROOT = Path(__file__).parents[2]
RECIPES = read_toml(ROOT / "configs/recipes.toml", "")
ENCODER_RECIPES = {name: recipe for name, recipe in RECIPES.items() if "encoder" in recipe}
LLM_RECIPES = {name: recipe for name, recipe in RECIPES.items() if "llm" in recipe}
NOTE = "Visit 7. Denies chest pain today.\nTakes aspirin 7 mg daily.\n"
# A few updates: that it trains, not how well.
SHORT = "--variables.max_steps 4 --variables.warmup_steps 1 --variables.eval_frequency 2"
EXPECTED = {
    "medmentions-gatortrons": {"umls": ["PHEN_Biologic_Function", "CHEM_Chemical", "DISO_Finding"]},
    "ncbi-gatortrons": {"ncbi": ["DISEASE"]},
    "n2c2-gatortrons": {"n2c2": ["REASON", "DRUG", "STRENGTH"]},
    "maccrobat-deberta": {"maccrobat": ["Sign_symptom", "Medication", "Dosage"]},
    "mtsamples-biomedbert": {"clinical": ["PROBLEM", "DRUG"], "modifiers": ["NEGATION"]},
}
RELATIONS = {"n2c2-gatortrons": "DRUG-STRENGTH", "mtsamples-biomedbert": "PROBLEM-NEGATION"}


def step(monkeypatch, *arguments):
    """Run a command in this process."""
    monkeypatch.setattr(sys, "argv", ["clinner", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code in (0, None)


def settings(recipe):
    return runpy.run_path(str(ROOT / "scripts/recipe.py"))["read_recipe"](
        recipe, ROOT / "configs/recipes.toml"
    )


@pytest.fixture(scope="module", params=list(ENCODER_RECIPES))
def trained(request, tmp_path_factory):
    """The recipe, a folder with its model and metrics, and where its encoder was."""
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    chosen = settings(name)
    corpus, encoder = chosen["vars.corpus"], folder / "encoder"
    ENCODERS[name.rpartition("-")[2]](encoder)
    write_assets(corpus, folder / "assets")
    options = [*shlex.split(chosen["vars.overrides"]), "--variables.encoder", encoder]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        step(patch, "convert", corpus, "--catalog", ROOT / "configs/corpora.toml")
        splits = {s: f"corpus/{corpus}/{s}.spacy" for s in ("train", "dev", "test")}
        paths = ["--paths.train", splits["train"], "--paths.dev", splits["dev"]]
        config = ROOT / "configs/clinner.cfg"
        step(patch, "train", config, "training", *paths, *options, *SHORT.split())
        step(patch, "evaluate", "training/model-best", splits["test"], "--out", "metrics")
    return name, folder, encoder


def test_a_recipe_trains_from_the_raw_files_to_the_metrics(trained):
    name, folder, encoder = trained
    nlp = spacy.load(folder / "training/model-best")
    labels = set(nlp.get_pipe("ner").labels)
    metrics = srsly.read_json(folder / "metrics/metrics.json")
    for layer, wanted in EXPECTED[name].items():
        assert labels >= set(wanted)
        assert metrics["strict"][layer]["gold"] > 0
    assert ("relations" in nlp.pipe_names) == (name in RELATIONS)
    if name in RELATIONS:
        assert RELATIONS[name] in metrics["relations"]["gold_spans"]["per_pair"]
    from transformers import AutoModel

    before = AutoModel.from_pretrained(encoder).state_dict()
    last = spacy.load(folder / "training/model-last")
    after = last.get_pipe("transformer").model.transformer.state_dict()
    assert before.keys() == after.keys()
    assert any(not before[key].equal(after[key]) for key in before)


def test_its_encoder_is_of_the_published_class_with_the_limit_of_its_windows(trained):
    name, folder, _ = trained
    classes = {"gatortrons": "MegatronBert", "deberta": "DebertaV2", "biomedbert": "Bert"}
    model = spacy.load(folder / "training/model-best").get_pipe("transformer").model
    assert type(model.transformer).__name__ == f"{classes[name.rpartition('-')[2]]}Model"
    assert model.tokenizer.model_max_length == LIMIT
    assert model.tokenizer.is_fast


def test_it_reads_a_long_note_whole(trained):
    _, folder, _ = trained
    doc = spacy.load(folder / "training/model-best")(NOTE * 20 + "a/b " * 300 + "x" * 1500)
    data = doc._.trf_data
    assert data.wordpieces.input_ids.shape[1] <= LIMIT
    has_pieces = data.align.lengths > 0
    assert all(has or token.is_space for has, token in zip(has_pieces, doc, strict=True))


def test_its_package_gives_the_same_without_the_encoders_files(trained, tmp_path):
    from spacy.cli.package import package

    _, folder, encoder = trained
    doc = spacy.load(folder / "training/model-best")(NOTE)
    away = encoder.rename(tmp_path / "away")
    try:
        options = {"create_sdist": False, "create_wheel": False, "silent": True}
        package(folder / "training/model-best", tmp_path, name="toy", version="1.0", **options)
        packaged = spacy.load(tmp_path / "en_toy-1.0/en_toy/en_toy-1.0")
    finally:
        away.rename(encoder)
    again = packaged(NOTE)
    vectors, same = (d._.trf_data.model_output.last_hidden_state for d in (doc, again))
    np.testing.assert_array_equal(vectors, same)
    assert again.to_json() == doc.to_json()


@pytest.mark.parametrize("trained", ["maccrobat-deberta"], indirect=True)
def test_the_wheel_of_a_sentencepiece_model_runs_in_a_new_process_without_a_network(
    trained, tmp_path
):
    from spacy.cli.package import package

    _, folder, _ = trained
    options = {"create_sdist": False, "create_wheel": False, "silent": True}
    package(folder / "training/model-best", tmp_path, name="toy", version="1.0", **options)
    (tmp_path / "out").mkdir()
    wheel = next(p for p in build(tmp_path / "en_toy-1.0", tmp_path / "out") if p.suffix == ".whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    shutil.rmtree(tmp_path / "en_toy-1.0")
    code = f"import spacy; doc = spacy.load('en_toy')({NOTE!r}); assert 'maccrobat' in doc.spans"
    places = os.pathsep.join(map(str, (tmp_path / "site", Path(__file__).parent / "offline")))
    environment = {**os.environ, "PYTHONPATH": places, "HF_HOME": str(tmp_path / "no-cache")}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True)


# The command.


def run_recipe(*arguments):
    return subprocess.run(
        [sys.executable, "scripts/recipe.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_recipe_is_a_table_of_known_settings():
    assert {*ENCODER_RECIPES, *LLM_RECIPES} == {*RECIPES}
    for name, recipe in ENCODER_RECIPES.items():
        chosen = settings(name)
        assert chosen["vars.corpus"] == recipe["corpus"] == name.partition("-")[0]
        assert chosen["vars.encoder"] == recipe["encoder"]
        options = shlex.split(chosen["vars.overrides"])
        assert options[::2] == [f"--{key}" for key in recipe["overrides"]]


def trains(done):
    assert done.returncode == 0, done.stderr
    return next(line for line in done.stdout.splitlines() if "spacy_clinner train" in line)


def test_a_recipe_runs_all_steps_with_its_settings_and_those_given():
    given = ["--vars.encoder", "my/encoder", "--vars.epochs", "10", "--vars.gpu_id", "0"]
    done = run_recipe("maccrobat-deberta", "--dry", *given)
    train = trains(done)
    assert "training/maccrobat/clinner" in train
    assert "--epochs 10 --gpu-id 0" in train
    assert "--variables.encoder my/encoder" in train
    assert "--training.accumulate_gradient 2" in train
    assert "scripts/smoke.py en_clinner" in done.stdout


def test_what_is_given_wins_over_the_recipe_and_values_of_the_config_join_its_own():
    joined = runpy.run_path(str(ROOT / "scripts/recipe.py"))["joined"]
    given = {"vars.epochs": 10, "vars.overrides": " --variables.learn_rate 1e-6"}
    found = joined(settings("ncbi-gatortrons"), given)
    assert (found["vars.epochs"], found["vars.corpus"]) == (10, "ncbi")
    values = parse_config_overrides(shlex.split(found["vars.overrides"]))
    assert values["variables.learn_rate"] == 1e-6
    assert values["components.transformer.model.tokenizer_config.do_lower_case"] is False


def test_the_project_hands_every_variable_of_its_steps_to_a_recipe(monkeypatch):
    project = srsly.read_yaml(ROOT / "project.yml")
    scripts = {command["name"]: " ".join(command["script"]) for command in project["commands"]}
    used = {
        name
        for step in project["workflows"]["all"]
        for name in re.findall(r"\${vars\.(\w+)}", scripts[step])
    }
    assert used <= set(re.findall(r"\${vars\.(\w+)}", scripts["recipe"]))
    monkeypatch.chdir(ROOT)
    given = ["--vars.recipe", "ncbi-gatortrons", "--vars.precision", "bf16"]
    given += ["--vars.overrides", " --variables.learn_rate 1e-6"]
    given += ["--vars.train_options", " --resume"]
    command = ["project", "run", "recipe", ".", "--dry", "--force", *given]
    shown = CliRunner().invoke(spacy_commands, command).output
    (line,) = (line for line in shown.splitlines() if "scripts/recipe.py" in line)
    done = run_recipe(*shlex.split(line.partition("scripts/recipe.py")[2]), "--dry")
    train = trains(done)
    # 10 is what project.yml has, so it was not meant to change the recipe.
    assert "--epochs 15 " in train
    assert "--resume" in train
    assert train.endswith("--variables.learn_rate 1e-6")
    assert "--precision bf16" in done.stdout


@pytest.mark.parametrize("name", LLM_RECIPES)
def test_a_recipe_of_a_language_model_makes_chats_and_tunes_on_them(name):
    recipe = LLM_RECIPES[name]
    done = run_recipe(name, "--dry", "--vars.llm", "my/model", "--vars.gpu_id", "0")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "python" in line]
    place = f"training/{recipe['corpus']}"
    chats = f"{place}/chats-{recipe['format']}"
    told = next(line for line in lines if "spacy_clinner instruct" in line)
    assert f"instruct {recipe['corpus']} {chats} --format {recipe['format']}" in told
    tune = next(line for line in lines if "spacy_clinner tune" in line)
    assert f"{chats}/train.jsonl my/model {place}/llm-{recipe['format']}" in tune
    assert f"--epochs {recipe['epochs']}" in tune
    assert f"--rank {recipe['tune']['rank']} --alpha {recipe['tune']['alpha']}" in tune
    scored = next(line for line in lines if "scripts/compare_llm.py" in line)
    assert f"--view '{recipe.get('view', '')}' --gpu-id 0" in scored
    # Each command knows the options that it is given.
    for line, command in ((told, "instruct"), (tune, "tune")):
        arguments = shlex.split(line)[shlex.split(line).index(command) + 1 :]
        known = vars(typer.main.get_command(app))["commands"][command]
        assert known.make_context(command, arguments).params


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    done = run_recipe("", "--dry")
    assert done.returncode == 1
    assert "ncbi-gatortrons" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_documentation_has_a_row_and_a_command_for_every_recipe():
    text = (ROOT / "docs/recipes.md").read_text(encoding="utf8")
    for name in RECIPES:
        assert f"| `{name}` |" in text
    command = next(line for line in text.splitlines() if "project run recipe" in line)
    words = command.strip().removeprefix("python ").split()
    done = subprocess.run(
        [sys.executable, *words, "--dry", "--force"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(f"scripts/recipe.py {name}" in done.stdout for name in RECIPES)
