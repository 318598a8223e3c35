"""Rows of the tables of findings, made by hand."""

from datetime import UTC, datetime
from itertools import product

import pyarrow as pa

from spacy_clinner.annotation.said import ASSERTIONS, EXPERIENCERS
from spacy_clinner.tables.schemas import ENTITIES, LINKS, NOTES

WHEN = datetime(2026, 3, 1, 23, 59, 59, 250000, UTC)
FLAGS = (None, False, True)
# All that can be said of an entity.
EVERYTHING = [
    {
        "assertion": assertion,
        "experiencer": experiencer,
        "historical": historical,
        "uncertain": uncertain,
        "negated": negated,
        "hypothetical": hypothetical,
    }
    for assertion, experiencer, historical, uncertain, negated, hypothetical in product(
        (None, *ASSERTIONS), (None, *EXPERIENCERS), FLAGS, FLAGS, FLAGS, FLAGS
    )
]


def entity(text="chest pain", start=7, **said):
    """A row of `entities`; by default a problem of note 1 of which nothing is said."""
    row = dict.fromkeys(ENTITIES.names)
    row |= {
        "note_id": "1",
        "layer": "clinical",
        "label": "PROBLEM",
        "semantic_group": "Disorders",
        "start": start,
        "end": start + len(text),
        "text": text,
        "evidence": [],
        "model": "en_clinner",
        "model_version": "0.2.0",
        "processed_at": WHEN,
    }
    row |= said
    row["entity_id"] = f"clinical:{row['label']}:{start}:{row['end']}"
    return row


def link(to, label, text, start=0):
    """A row of `links`."""
    place = {"start": start, "end": start + len(text)}
    ids = {"note_id": to["note_id"], "entity_id": to["entity_id"]}
    return dict(ids, label=label, text=text, confidence=0.9, **place)


def entities(*rows):
    return pa.Table.from_pylist(rows, schema=ENTITIES)


def links(*rows):
    return pa.Table.from_pylist(rows, schema=LINKS)


def notes(*ids, status="ok", **columns):
    rows = [
        dict(note_id=note_id, status=status, n_entities=0, **{k: v[at] for k, v in columns.items()})
        for at, note_id in enumerate(ids)
    ]
    kept = [pa.field(name, pa.array(values).type) for name, values in columns.items()]
    return pa.Table.from_pylist(rows, schema=pa.schema([*NOTES, *kept]))
