"""The extensions `Span._.…` and `Doc._.…`; the only place that registers any."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from spacy.tokens import Doc, Span

from spacy_clinner.annotation import said, store
from spacy_clinner.annotation.sheets import Sheet
from spacy_clinner.errors import ClinnerError

Getter = Callable[[Any], Any]
Setter = Callable[[Any, Any], None]


def get_sheet(doc: Doc) -> Sheet | None:
    """All that is said of a document, as plain data: what `doc.to_json(underscore=["clinner"])`
    takes along."""
    return store.sheet_of(doc)


def set_sheet(doc: Doc, sheet: Sheet | None) -> None:
    if sheet is not None:
        store.set_sheet(doc, sheet)


# What each component sets, in the order of the documentation.
NER = ("confidence", "layer", "semantic_group")
RELATIONS = ("modifiers", "relations")
SECTIONS = ("section", "sections")
CONTEXT = (
    "negated",
    "negation_cue",
    "assertion",
    "uncertain",
    "hypothetical",
    "historical",
    "experiencer",
    "assertion_evidence",
)
ABBREVIATIONS = ("expansion",)
LLM = ("layer", "semantic_group", *RELATIONS, *CONTEXT, "match")
EVERY = tuple(dict.fromkeys((*NER, *RELATIONS, *SECTIONS, *CONTEXT, *ABBREVIATIONS, *LLM)))
# Not closures: with the start method "spawn", nlp.pipe pickles the extensions.
ON_SPAN: dict[str, tuple[Getter, Setter | None]] = {
    name: (partial(said.get_value, name=name), partial(said.set_value, name=name))
    for name in (
        "confidence",
        "layer",
        "section",
        "negated",
        "assertion",
        "uncertain",
        "hypothetical",
        "historical",
        "experiencer",
        "expansion",
        "match",
    )
} | {
    "semantic_group": (said.get_semantic_group, None),
    "modifiers": (said.get_modifiers, said.set_modifiers),
    "negation_cue": (said.get_negation_cue, said.set_negation_cue),
    "assertion_evidence": (said.get_evidence, said.set_evidence),
}
ON_DOC: dict[str, tuple[Getter, Setter | None]] = {
    "relations": (said.get_relations, said.set_relations),
    "sections": (said.get_sections, said.set_sections),
    "clinner": (get_sheet, set_sheet),
}


def register(names: Iterable[str] = EVERY, prefix: str = "") -> None:
    """Register extensions; the components do so for those that they set. Safe to call again.

    names (Iterable[str]): Their names; `clinner`, for JSON, always comes with them.
    prefix (str): What to put before each name, where another library has names of these.
    RAISES (ClinnerError): Another library has registered one of the names. None is registered
        then.
    """
    wanted: list[tuple[type[Doc] | type[Span], str, tuple[Getter, Setter | None]]] = []
    for name in dict.fromkeys((*names, "clinner")):
        owner, functions = (Span, ON_SPAN[name]) if name in ON_SPAN else (Doc, ON_DOC[name])
        full = f"{prefix}{name}"
        if not owner.has_extension(full):
            wanted.append((owner, full, functions))
        elif not _is_ours(owner.get_extension(full)):
            raise ClinnerError(
                f"{owner.__name__}._.{full} is registered by another library already "
                f"({_source(owner.get_extension(full))}), and spaCy has one of a name. Give the "
                f'component a prefix for its own, config={{"prefix": "clinner_"}}: they are then '
                f"{owner.__name__}._.clinner_{name} and so on."
            )
    for owner, full, (getter, setter) in wanted:
        owner.set_extension(full, getter=getter, setter=setter)


def _is_ours(extension: tuple[Any, Any, Any, Any]) -> bool:
    # Compared by where it is from: in a spawned process it is an equal, not the same function.
    return _source(extension).startswith(f"{__package__}.")


def _source(extension: tuple[Any, Any, Any, Any]) -> str:
    default, method, getter, _ = extension
    function = getter or method
    if function is None:
        return f"with the default {default!r}"
    module = getattr(getattr(function, "func", function), "__module__", None)
    return str(module or type(function).__module__)
