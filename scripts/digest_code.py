"""Write a digest of the package's code and data files, or of what a step is given by name, for the
steps that depend on them.

weasel hashes whole folders, bytecode caches included, so a step that named `spacy_clinner` among
its dependencies would run anew after any import; and what is named may be on the hub, or installed.
"""

from collections.abc import Iterable
from hashlib import file_digest, sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated

import typer

from spacy_clinner.cli import run
from spacy_clinner.files import written_whole

CODE = (".py", ".toml", ".cfg")


def main(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="The file to write")] = Path("training/code.sha256"),
) -> None:
    """Digest the code; or, where there are words behind OUT, the files, folders and installed
    pipelines among them, and the words."""
    if context.args:
        parts = [part for word in context.args for part in named(word)]
    else:
        files = sorted(p for p in Path("spacy_clinner").rglob("*") if p.suffix in CODE)
        parts = list(digests(files))
    with written_whole(out) as partial:
        partial.write_text(sha256("\n".join(parts).encode()).hexdigest() + "\n", encoding="utf8")


def named(word: str) -> Iterable[str]:
    """A word, and the digests of what it names."""
    yield word
    path = Path(word)
    if path.exists():
        yield from digests(sorted(path.rglob("*")) if path.is_dir() else [path])
        return
    try:
        # Where pip has a digest of every file.
        yield distribution(word).read_text("RECORD") or ""
    except (PackageNotFoundError, ValueError):
        return


def digests(files: Iterable[Path]) -> Iterable[str]:
    """The names of files, and the digests of their content."""
    for path in files:
        if path.is_file():
            with path.open("rb") as file:
                yield f"{path.as_posix()} {file_digest(file, 'sha256').hexdigest()}"


if __name__ == "__main__":
    run(main)
