import pytest
import spacy
from spacy.language import Language


@pytest.fixture(scope="module")
def nlp() -> Language:
    """The rules behind a tokenizer, with no model."""
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    for name in ("clinner_sentences", "clinner_sections", "clinner_context"):
        nlp.add_pipe(name)
    return nlp
