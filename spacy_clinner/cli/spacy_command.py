"""`python -m spacy clinner …`: spaCy imports this module by its `spacy_cli` entry point."""

from typing import Any

from spacy import cli as spacy_cli

from spacy_clinner.cli import app


def add_to_spacy() -> None:
    """Add the commands to spaCy's."""
    commands: Any = spacy_cli.app  # type: ignore[attr-defined]
    if not any(group.name == "clinner" for group in commands.registered_groups):
        commands.add_typer(app, name="clinner")


# spaCy imports what the entry point names, but does not call it.
add_to_spacy()
