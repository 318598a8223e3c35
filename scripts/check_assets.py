"""Verify the raw files of a corpus against the checksums in project.yml."""

from hashlib import sha1
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from weasel.util import get_checksum

from spacy_clinner.cli import run
from spacy_clinner.corpora.catalog import find_corpus
from spacy_clinner.errors import ClinnerError


def main(
    corpus: Annotated[str, typer.Argument(help="Name in the catalog")],
    catalog: Annotated[Path, typer.Option(help="The catalog")] = Path("configs/corpora.toml"),
    project: Annotated[Path, typer.Option(help="The project file")] = Path("project.yml"),
) -> None:
    """Stop, with what to do, when a raw file of CORPUS is missing or altered."""
    assets: list[dict[str, Any]] = srsly.read_yaml(project).get("assets", [])
    by_place = {Path(asset["dest"]): asset for asset in assets}
    entry = find_corpus(corpus, catalog)
    places = [path for part in entry.parts for paths in part.paths.values() for path in paths]
    places += [path for part in entry.parts for path in part.ids.values()]
    for place in places:
        # A path may point inside an archive.
        asset_path = next((p for p in (place, *place.parents) if p in by_place), None)
        verify(asset_path or place, by_place.get(asset_path) if asset_path else None)
    typer.echo(f"✔ {corpus}: {len(places)} raw files or folders are as they should be")


def verify(path: Path, asset: dict[str, Any] | None) -> None:
    """Stop when a file is missing, or is not what its asset in project.yml says.

    path (Path): The file or folder.
    asset (dict | None): With `checksum` (MD5, weasel's), or `blob` (the SHA-1 under which git
        keeps the file), or neither.
    """
    fetch = None
    if asset and ("url" in asset or "git" in asset):
        fetch = "spacy project assets --extra" if asset.get("extra") else "spacy project assets"
    if not path.exists():
        what = f"Run `{fetch}` to fetch it" if fetch else f"Place it there yourself{_why(asset)}"
        raise ClinnerError(f"{path}: missing. {what}, or correct its entry in the catalog.")
    for key, compute in (("checksum", get_checksum), ("blob", git_blob)):
        expected = asset and asset.get(key)
        if expected and (found := compute(path)) != expected:
            what = (
                f"Delete it and run `{fetch}`" if fetch else f"Put the right one there{_why(asset)}"
            )
            raise ClinnerError(f"{path}: altered ({key} {found}, expected {expected}). {what}.")


def _why(asset: dict[str, Any] | None) -> str:
    if asset is None:
        return ""
    return (
        " (`spacy project assets` has no address for it; its description in project.yml says more)"
    )


def git_blob(path: Path) -> str:
    """The SHA-1 under which git keeps a file."""
    content = path.read_bytes()
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    run(main)
