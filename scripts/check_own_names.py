"""Refuse the names of the released model and its corpus for a model of one's own."""

from pathlib import Path
from typing import Annotated, Any

import srsly
import typer

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError


def main(
    name: Annotated[str, typer.Argument(help="What the package is to be called")],
    corpus: Annotated[str, typer.Argument(help="Name in the catalog")],
    project: Annotated[Path, typer.Option(help="The project file")] = Path("project.yml"),
) -> None:
    """Stop where a model of one's own would take the place of the released one."""
    defaults: dict[str, Any] = srsly.read_yaml(project)["vars"]
    released = [defaults["name"], f"{defaults['name']}_cpu"]
    wrong = {"--vars.name": name in released, "--vars.corpus": corpus == defaults["corpus"]}
    if taken := [option for option, is_taken in wrong.items() if is_taken]:
        raise ClinnerError(
            f"{' and '.join(taken)}: give your own. {' and '.join(released)} are the names of the "
            f"released packages, and {defaults['corpus']} the corpus that comes with the project."
        )


if __name__ == "__main__":
    run(main)
