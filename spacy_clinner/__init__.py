"""clinner: clinical named entity recognition for spaCy."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spacy_clinner.annotation.said import Assertion, assertion
    from spacy_clinner.tables.huggingface import to_entities
    from spacy_clinner.tables.line_list import to_lines

__all__ = ["Assertion", "__version__", "assertion", "to_entities", "to_lines"]
__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    # Lazily: every import of a part of clinner runs this module, and most need no spaCy.
    if name == "to_entities":
        from spacy_clinner.tables.huggingface import to_entities

        return to_entities
    if name == "to_lines":
        from spacy_clinner.tables.line_list import to_lines

        return to_lines
    if name in ("Assertion", "assertion"):
        from spacy_clinner.annotation import said

        return getattr(said, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
