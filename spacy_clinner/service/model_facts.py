"""What the service says of its model."""

from collections import ChainMap
from typing import Any

from spacy.language import Language

import spacy_clinner
from spacy_clinner.pipeline.layer_roles import known_labels, modifier_groups
from spacy_clinner.schemes import Scheme, of_layers, semantic_group
from spacy_clinner.service.limits import Limits
from spacy_clinner.tables.annotate import model_and_version
from spacy_clinner.view import color


def model_facts(nlp: Language, limits: Limits) -> dict[str, Any]:
    """Tell what a pipeline finds, which version it is, and what it scored on gold.

    nlp (Language): The pipeline.
    limits (Limits): What callers may send.
    RETURNS (dict[str, Any]): Plain data.
    """
    meta = nlp.meta
    name, version = model_and_version(nlp)
    layers = _layers(nlp)
    return {
        "name": name,
        "version": version,
        "description": meta.get("description", ""),
        "licence": meta.get("license", ""),
        "clinner": spacy_clinner.__version__,
        "components": nlp.pipe_names,
        "layers": layers,
        "links": _links(nlp),
        "scores": meta.get("performance", {}),
        "limits": {
            "body_bytes": limits.body,
            "note_characters": limits.note,
            "notes": limits.notes,
            "seconds": limits.seconds,
        },
    }


def _layers(nlp: Language) -> list[dict[str, Any]]:
    modifiers = modifier_groups(nlp)
    labels = known_labels(nlp)
    own = [getattr(component, "schemes", {}) for _, component in nlp.components]
    known = {**of_layers(labels), **ChainMap(*own)}
    return [
        {
            "name": layer,
            "entities": layer not in modifiers,
            "labels": [_label(name, layer, known.get(layer)) for name in names],
        }
        for layer, names in labels.items()
    ]


def _label(name: str, layer: str, scheme: Scheme | None) -> dict[str, Any]:
    label = scheme.labels.get(name) if scheme else None
    group = label.semantic_group if label else semantic_group(name, layer)
    return {
        "name": name,
        "description": label.description if label else "",
        "semantic_group": group or None,
        "color": color(label.color if label else None, group),
    }


def _links(nlp: Language) -> list[dict[str, str]]:
    linked = [label.partition("-") for label in nlp.meta["labels"].get("relations", ())]
    pairs = [(entity, modifier) for entity, _, modifier in linked] or [
        (entity, modifier)
        for _, component in nlp.components
        for scheme in getattr(component, "schemes", {}).values()
        for entity, modifiers in scheme.pairs.items()
        for modifier in modifiers
    ]
    return [{"entity": entity, "modifier": modifier} for entity, modifier in dict.fromkeys(pairs)]
