"""What the components of a pipeline say of their layers and labels."""

from collections.abc import Iterable
from typing import Any

from spacy.language import Language

from spacy_clinner import schemes
from spacy_clinner.annotation.spans import ENTS

# Their components write no span groups but those that they say: `layers` and `layer_labels`,
# `schemes`, or the `key` of a span group.
PACKAGES = {"spacy", "spacy_clinner", "spacy_transformers"}
ASSIGNS_ENTS = "doc.ents"


def known_labels(nlp: Language) -> dict[str, list[str]]:
    """What the components of a pipeline say that they find.

    nlp (Language): The pipeline.
    RETURNS (dict[str, list[str]]): By layer its labels, in the order of the components; those of
        `doc.ents` as "ents", where a component writes it that has no layers.
    """
    found: dict[str, list[str]] = {}
    components: list[tuple[str, Any]] = nlp.components
    for name, component in components:
        for layer, labels in _labels(component, nlp.get_pipe_meta(name).assigns).items():
            found[layer] = list(dict.fromkeys([*found.get(layer, ()), *labels]))
    return found


def _labels(component: Any, assigns: Iterable[str]) -> dict[str, Iterable[str]]:
    if (by_layer := getattr(component, "layer_labels", None)) is not None:
        return {layer: by_layer.get(layer, ()) for layer in getattr(component, "layers", ())}
    if (own := getattr(component, "schemes", None)) is not None:
        return {layer: scheme.labels for layer, scheme in own.items()}
    labels = getattr(component, "labels", ())
    found = {}
    key = getattr(component, "key", None)
    if isinstance(key, str) and "doc.spans" in assigns:
        found[key] = labels
    if ASSIGNS_ENTS in assigns or getattr(component, "annotate_ents", False):
        found[ENTS] = labels
    return found


def known_layers(nlp: Language) -> list[str] | None:
    """The span groups that a pipeline writes.

    nlp (Language): The pipeline.
    RETURNS (list[str] | None): Their names; None where it has a component that may write any.
    """
    for _, component in nlp.components:
        # Of a function, where it stands; of an object, where its class does.
        module = getattr(component, "__module__", None) or type(component).__module__
        if module.partition(".")[0] not in PACKAGES:
            return None
    return [layer for layer in known_labels(nlp) if layer != ENTS]


def modifier_groups(nlp: Language) -> set[str]:
    """The span groups that hold no entities, of which nothing is asserted.

    nlp (Language): The pipeline.
    RETURNS (set[str]): The layers that a scheme of one of its components, or one that comes with
        clinner, calls no entities, and the modifiers of `clinner_relations`.
    """
    found = {name for name in schemes.names() if not schemes.load(name).entities}
    for _, component in nlp.components:
        for layer, scheme in getattr(component, "schemes", {}).items():
            (found.discard if scheme.entities else found.add)(layer)
        groups = getattr(component, "linked_groups", None)
        if groups is not None and groups[0] != groups[1]:
            found.add(groups[1])
    return found


def linked_labels(nlp: Language) -> set[str]:
    """The labels of entities that a modifier may be linked to.

    nlp (Language): The pipeline.
    RETURNS (set[str]): Those of its `clinner_relations`; in a pipeline without it, those of the
        schemes that come with clinner.
    """
    components: list[tuple[str, Any]] = nlp.components
    legal = [component.legal for _, component in components if hasattr(component, "linked_groups")]
    if legal:
        return {label for pairs in legal for label in pairs.heads}
    return {label for name in schemes.names() for label in schemes.load(name).pairs}
