"""Build the model's sdist and wheel, and clinner's wheel beside it; no network needed."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from spacy.cli.package import package

from spacy_clinner.cli import run
from spacy_clinner.errors import ClinnerError


def main(
    model: Annotated[Path, typer.Argument(help="A trained pipeline")],
    out: Annotated[Path, typer.Argument(help="Folder that gets the distributions")],
    name: Annotated[str, typer.Option(help="Name, without the language")] = "clinner",
    version: Annotated[str, typer.Option(help="Version")] = "0.1.0",
) -> None:
    """Package MODEL into OUT."""
    if not (model / "meta.json").is_file():
        raise ClinnerError(
            f"{model}: no trained pipeline there. Run `spacy project run train` first."
        )
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        # spaCy would build in an isolated environment, which fetches setuptools; we do not.
        package(
            model,
            Path(scratch),
            name=name,
            version=version,
            create_sdist=False,
            create_wheel=False,
            force=True,
        )
        source = next(Path(scratch).iterdir())
        built = build(source, out)
    with tempfile.TemporaryDirectory() as scratch:
        # setuptools leaves build/ and egg-info in the source tree, so it gets a copy.
        root = Path(__file__).parent.parent
        for part in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(root / part, scratch)
        shutil.copytree(
            root / "spacy_clinner",
            Path(scratch) / "spacy_clinner",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        built += build(Path(scratch), out)
    for path in built:
        typer.echo(f"✔ {path} ({path.stat().st_size / 1e6:.1f} MB)")


def build(source: Path, out: Path) -> list[Path]:
    """Build sdist and wheel of a source tree into a folder, both or none."""
    with tempfile.TemporaryDirectory(dir=out) as made:
        command = ["-m", "build", "--sdist", "--wheel", "--no-isolation", "--outdir", made]
        done = subprocess.run(
            [sys.executable, *command, str(source)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ClinnerError(
                f"building {source.name} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return [built.replace(out / built.name) for built in sorted(Path(made).iterdir())]


if __name__ == "__main__":
    run(main)
