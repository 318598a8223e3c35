"""What the service says of its model."""

from typing import Any

from spacy.language import Language

import spacy_clinner
from spacy_clinner.pipeline.layer_roles import modifier_groups
from spacy_clinner.schemes import of_layers
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
    found: dict[str, dict[str, Any]] = {}
    modifiers = modifier_groups(nlp)
    for _, component in nlp.components:
        labels = getattr(component, "layer_labels", {})
        own = getattr(component, "schemes", {})
        known = {**of_layers(labels), **own}
        for layer in getattr(component, "layers", ()):
            scheme = known.get(layer)
            facts = []
            for name in labels.get(layer, ()):
                label = scheme.labels.get(name) if scheme else None
                group = label.semantic_group if label else ""
                facts.append(
                    {
                        "name": name,
                        "description": label.description if label else "",
                        "semantic_group": group or None,
                        "color": color(label.color if label else None, group),
                    }
                )
            found[layer] = {"name": layer, "entities": layer not in modifiers, "labels": facts}
    return list(found.values())


def _links(nlp: Language) -> list[dict[str, str]]:
    return [
        {"entity": entity, "modifier": modifier}
        for label in nlp.meta["labels"].get("relations", ())
        for entity, _, modifier in [label.partition("-")]
    ]
