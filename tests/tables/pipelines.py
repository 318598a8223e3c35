"""Small pipelines that find something, and one whose component fails at a word."""

import spacy
from spacy.language import Language
from spacy.tokens import Doc

BAD = "kaboom"


@Language.component("fails_at_a_word")
def fails_at_a_word(doc: Doc) -> Doc:
    """Raise an error that quotes the note."""
    if BAD in doc.text:
        raise RuntimeError(f"cannot read {doc.text}")
    return doc


@Language.factory("cannot_be_loaded")
class CannotBeLoaded:
    """Raise an error that no command foresees, and that quotes a note."""

    def __init__(self, nlp, name):
        pass

    def __call__(self, doc: Doc) -> Doc:
        return doc

    def to_disk(self, *_, **__):
        pass

    def from_disk(self, *_, **__):
        raise RuntimeError("Denies\nfever")


def rules() -> Language:
    """Entities by patterns, negation by rules."""
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    nlp.meta["name"] = "rules"
    nlp.add_pipe("clinner_sentences")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns(
        [
            {"label": "PROBLEM", "pattern": "fever"},
            {"label": "PROBLEM", "pattern": "chest pain"},
            {"label": "DRUG", "pattern": "aspirin"},
        ]
    )
    nlp.add_pipe("clinner_context")
    return nlp


def failing() -> Language:
    """The same, with a component that fails at notes that hold `BAD`."""
    nlp = rules()
    nlp.add_pipe("fails_at_a_word", name="breaks", before="entity_ruler")
    return nlp
