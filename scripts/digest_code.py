"""Write a digest of the package's code and data files, for the steps that depend on them.

weasel hashes whole folders, bytecode caches included, so a step that named `spacy_clinner`
among its dependencies would run anew after any import.
"""

from hashlib import sha256
from pathlib import Path

from spacy_clinner.cli import run
from spacy_clinner.files import written_whole

DIGEST = Path("training/code.sha256")


def main() -> None:
    """Update training/code.sha256."""
    digest = sha256()
    for path in sorted(p for p in Path("spacy_clinner").rglob("*") if p.suffix in (".py", ".toml")):
        digest.update(path.as_posix().encode() + b"\0" + path.read_bytes())
    with written_whole(DIGEST) as partial:
        partial.write_text(digest.hexdigest() + "\n", encoding="utf8")


if __name__ == "__main__":
    run(main)
