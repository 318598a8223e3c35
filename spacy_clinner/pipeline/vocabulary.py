"""Saving a pipeline without the words of the texts that went through it."""

import copy

from spacy.language import Language
from spacy.vectors import Vectors
from spacy.vocab import Vocab, create_vocab


def without_texts(nlp: Language) -> Language:
    """Give a pipeline whose vocabulary holds nothing of any text, to be saved.

    spaCy remembers every string that it met, and saves them all: what was trained on patients'
    notes would carry their names. No component needs them.

    nlp (Language): The pipeline; it stays as it is, and shares everything else with the result.
    RETURNS (Language): The same pipeline with the strings of its language, of its components'
        labels and of its vectors.
    """
    forgetful = copy.copy(nlp)
    forgetful.vocab = _blank_vocab(nlp)
    return forgetful


def _blank_vocab(nlp: Language) -> Vocab:
    vocab = create_vocab(nlp.lang, nlp.Defaults)
    for name, component in nlp.components:
        labels = getattr(component, "labels", ())
        for string in (name, *labels, *getattr(component, "layers", ())):
            vocab.strings.add(string)
    vectors = nlp.vocab.vectors
    if len(vectors):
        for key in vectors.keys():  # noqa: SIM118
            if key in nlp.vocab.strings:
                vocab.strings.add(nlp.vocab.strings[key])
        # Not the same object: setting it would bring along all strings that it knows.
        copied = Vectors(strings=vocab.strings, name=vectors.name)
        vocab.vectors = copied.from_bytes(vectors.to_bytes(exclude=["strings"]))
    vocab.lookups = nlp.vocab.lookups
    return vocab
