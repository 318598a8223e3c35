"""Run a recipe of configs/recipes.toml: every step of the project, with the recipe's settings."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from weasel.cli.run import project_run

from spacy_clinner.cli import run
from spacy_clinner.compat import parse_config_overrides
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import read_toml

KEYS = ("corpus", "encoder", "config", "epochs")
# Of a language model.
LLM_KEYS = ("corpus", "llm", "format", "view", "epochs")


def main(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="Name in the recipes")] = "",
    recipes: Annotated[Path, typer.Option(help="The recipes")] = Path("configs/recipes.toml"),
    project: Annotated[Path, typer.Option(help="The project file")] = Path("project.yml"),
    dry: Annotated[bool, typer.Option(help="Print the commands, and run none")] = False,
    from_project: Annotated[
        bool,
        typer.Option("--from-project", help="What project.yml has, too, was not given by anyone"),
    ] = False,
) -> None:
    """Run the workflow `all` with the settings of RECIPE, or tune its language model.

    Further options such as --vars.encoder win over the recipe; --vars.overrides, values of the
    config, and --vars.tune join its own.
    """
    defaults: dict[str, Any] = srsly.read_yaml(project)["vars"]
    given = parse_config_overrides(context.args)
    if from_project:
        given = {k: v for k, v in given.items() if v != defaults.get(k.removeprefix("vars."))}
    overrides = joined(read_recipe(recipe, recipes), given)
    if "vars.llm" in overrides:
        values = {f"vars.{key}": value for key, value in defaults.items()} | overrides
        for command in tuning({key.removeprefix("vars."): value for key, value in values.items()}):
            typer.echo(f"Running command: {command}")
            words = [sys.executable, *shlex.split(command)[1:]]
            if not dry and (code := subprocess.run(words, check=False).returncode):
                raise typer.Exit(code)
        return
    project_run(project.parent, "all", overrides=overrides, dry=dry, parent_command="spacy project")


def joined(recipe: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What is given wins over a recipe, but options join the recipe's own.

    recipe (dict[str, Any]), given (dict[str, Any]): Variables, by "vars.NAME".
    RETURNS (dict[str, Any]): The same of both.
    """
    # Of an option that is there twice the later one counts.
    options = {
        key: f"{recipe[key]} {given[key].strip()}"
        for key in ("vars.overrides", "vars.tune")
        if key in recipe and key in given
    }
    return recipe | given | options


def tuning(values: dict[str, Any]) -> list[str]:
    """The commands that tune a language model.

    values (dict[str, Any]): The variables, by name.
    RETURNS (list[str]): From the raw files to the scores.
    """
    corpus, form = values["corpus"], values["format"]
    chats, out = f"training/{corpus}/chats-{form}", f"training/{corpus}/llm-{form}"
    how = f"--epochs {values['epochs']} --seed {values['seed']} --gpu-id {values['gpu_id']}"
    asked = f"--format {form} --view '{values.get('view', '')}' --gpu-id {values['gpu_id']}"
    return [
        f"python scripts/check_assets.py {corpus}",
        f"python -m spacy_clinner convert {corpus}",
        f"python -m spacy_clinner instruct {corpus} {chats} --format {form}",
        f"python -m spacy_clinner tune {chats}/train.jsonl {values['llm']} {out} {how} "
        f"{values.get('tune', '')}",
        f"python scripts/compare_llm.py corpus/{corpus}/test.spacy --tuned {out} {asked} "
        f"--out metrics/{corpus}/llm-{form}.json",
    ]


def read_recipe(name: str, path: Path) -> dict[str, Any]:
    """The variables of project.yml that a recipe sets.

    name (str): The recipe.
    path (Path): The recipes, a TOML file laid out as its top explains.
    RETURNS (dict[str, Any]): By "vars.NAME".
    RAISES (ClinnerError): There is no such recipe, or it has a key that recipes do not have.
    """
    known = read_toml(path, "no such file of recipes. Run this in the folder of the project.")
    if name not in known:
        raise ClinnerError(
            f"{path}: no recipe {name!r}. Give --vars.recipe one of {', '.join(known)}."
        )
    recipe = dict(known[name])
    keys, further = (LLM_KEYS, "tune") if "llm" in recipe else (KEYS, "overrides")
    options = recipe.pop(further, {})
    unknown = [key for key in recipe if key not in keys]
    if unknown or "corpus" not in recipe:
        raise ClinnerError(
            f"{path}: [{name}] needs a corpus and may have {', '.join(keys[1:])} and {further}"
            + (f"; {unknown[0]} is none of them." if unknown else ".")
        )
    written = (f"--{key} {shlex.quote(_written(value))}" for key, value in options.items())
    return {f"vars.{key}": value for key, value in recipe.items()} | {
        f"vars.{further}": " ".join(written)
    }


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    run(main)
