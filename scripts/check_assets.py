"""Verify the raw files of a corpus against the checksums in project.yml."""

from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from weasel.util import get_checksum

from clinner.cli import run
from clinner.corpora.catalog import find_corpus
from clinner.errors import ClinnerError


def main(
    corpus: Annotated[str, typer.Argument(help="Name in the catalog")],
    catalog: Annotated[Path, typer.Option(help="The catalog")] = Path("configs/corpora.toml"),
    project: Annotated[Path, typer.Option(help="The project file")] = Path("project.yml"),
) -> None:
    """Stop, with what to do, when a raw file of CORPUS is missing or altered."""
    assets: list[dict[str, Any]] = srsly.read_yaml(project).get("assets", [])
    by_place = {Path(asset["dest"]): asset for asset in assets}
    places = [p for paths in find_corpus(corpus, catalog).paths.values() for p in paths]
    for place in places:
        # A path may point inside an archive.
        asset_path = next((p for p in (place, *place.parents) if p in by_place), None)
        verify(asset_path or place, by_place.get(asset_path) if asset_path else None)
    typer.echo(f"✔ {corpus}: {len(places)} raw files or folders are as they should be")


def verify(path: Path, asset: dict[str, Any] | None) -> None:
    if not path.exists():
        what = (
            "Run `spacy project assets` to fetch it"
            if asset and ("url" in asset or "git" in asset)
            else "Place it there yourself"
        )
        raise ClinnerError(f"{path}: missing. {what}, or correct its entry in the catalog.")
    expected = asset and asset.get("checksum")
    if expected and get_checksum(path) != expected:
        raise ClinnerError(
            f"{path}: altered (checksum {get_checksum(path)}, expected {expected}). "
            f"Delete it and run `spacy project assets`."
        )


if __name__ == "__main__":
    run(main)
