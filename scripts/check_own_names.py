"""Refuse what a model of one's own cannot be called, or cannot go on from."""

from pathlib import Path
from typing import Annotated, Any

import srsly
import typer

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError
from spacy_clinner.packaging import check_name
from spacy_clinner.training.preparation import load_trainable


def main(
    name: Annotated[str, typer.Argument(help="What the package is to be called")],
    corpus: Annotated[str, typer.Argument(help="Name in the catalog")],
    version: Annotated[str, typer.Argument(help="The version of the package")],
    base: Annotated[str, typer.Argument(help="The model to go on from")],
    project: Annotated[Path, typer.Option(help="The project file")] = Path("project.yml"),
) -> None:
    """Stop where a model of one's own would take the place of the released one, or where its last
    steps would fail, before the first one."""
    defaults: dict[str, Any] = srsly.read_yaml(project)["vars"]
    released = [defaults["name"], f"{defaults['name']}_cpu"]
    wrong = {"--vars.name": name in released, "--vars.corpus": corpus == defaults["corpus"]}
    if taken := [option for option, is_taken in wrong.items() if is_taken]:
        raise ClinnerError(
            f"{' and '.join(taken)}: give your own. {' and '.join(released)} are the names of the "
            f"released packages, and {defaults['corpus']} the corpus that comes with the project."
        )
    check_name(name, version, load_trainable(base).meta["lang"])


if __name__ == "__main__":
    run(main)
