"""`python -m spacy clinner …`: spaCy imports this module by its `spacy_cli` entry point."""

from spacy.cli import app as spacy_app

from spacy_clinner.cli import app


def add_to_spacy() -> None:
    """Add the commands to spaCy's."""
    if not any(group.name == "clinner" for group in spacy_app.registered_groups):
        spacy_app.add_typer(app, name="clinner")


# spaCy imports what the entry point names, but does not call it.
add_to_spacy()
