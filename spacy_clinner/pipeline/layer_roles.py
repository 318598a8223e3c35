"""What the components of a pipeline say of their layers and labels."""

from typing import Any

from spacy.language import Language

from spacy_clinner import schemes

# Their components write no span groups but `clinner_ner`, which knows its own, and these.
PACKAGES = {"spacy", "spacy_clinner", "spacy_transformers"}
WRITE_OTHERS = {"spancat", "spancat_singlelabel", "span_finder", "span_ruler", "clinner_llm"}


def known_layers(nlp: Language) -> list[str] | None:
    """The span groups that a pipeline writes.

    nlp (Language): The pipeline.
    RETURNS (list[str] | None): Their names; None where it has a component that may write any.
    """
    found: dict[str, None] = {}
    components: list[tuple[str, Any]] = nlp.components
    for name, component in components:
        # Of a function, where it stands; of an object, where its class does.
        module = getattr(component, "__module__", None) or type(component).__module__
        factory = nlp.get_pipe_meta(name).factory
        if module.partition(".")[0] not in PACKAGES or factory in WRITE_OTHERS:
            return None
        if hasattr(component, "layer_labels"):
            found.update(dict.fromkeys(getattr(component, "layers", ())))
    return list(found)


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
