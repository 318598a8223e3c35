from collections.abc import Iterable
from typing import Any, TypedDict

from spacy.tokens import Doc

from spacy_clinner.annotation import store
from spacy_clinner.tables.findings import spans_of


class Entity(TypedDict):
    """One entity, with the keys that a token-classification pipeline of `transformers` gives, and
    what is asserted of it."""

    entity_group: str
    score: float | None
    word: str
    start: int
    end: int
    assertion: str | None


def to_entities(
    doc: Doc, layers: Iterable[str] | None = None, threshold: float = 0.0
) -> list[Entity]:
    """Give entities as `pipeline("token-classification", aggregation_strategy="simple")` does.

    doc (Doc): A processed document.
    layers (Iterable[str] | None): The keys in `doc.spans` to take, "ents" for `doc.ents`; None
        takes `doc.ents`.
    threshold (float): The least confidence; entities of which nothing computed one are kept.
    RETURNS (List[Dict]): In reading order: `entity_group` (the label), `score` (the confidence;
        None where nothing computed one), `word` (the text), `start` and `end` (in
        characters), and `assertion` (None where nothing judged it).
    RAISES (ClinnerError): The document has no such layer.
    """
    return [
        Entity(
            entity_group=span.label_,
            score=store.values(span).get("confidence"),
            word=span.text,
            start=span.start_char,
            end=span.end_char,
            assertion=store.values(span).get("assertion"),
        )
        for span in spans_of("to_entities", doc, layers, threshold)
    ]


def failed(error: str) -> list[dict[str, Any]]:
    """Give what stands for the entities of a note that failed.

    error (str): Why it did.
    RETURNS (List[Dict]): One item with the keys of an entity: `entity_group` is "ERROR", `word` is
        empty, `score` 0, and `error` says why.
    """
    return [
        {
            "entity_group": "ERROR",
            "score": 0.0,
            "word": "",
            "start": 0,
            "end": 0,
            "assertion": None,
            "error": error,
        }
    ]
