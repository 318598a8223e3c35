"""From what cues, sections and linked modifiers say about an entity to its attributes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spacy_clinner.pipeline.context.lexicon import CATEGORIES

# How rules and linked modifiers decide together; see `combine`.
COMBINE = ("rules", "relations", "either", "relations_first")

# What words say of an entity that a section's default gives way to.
OVERRIDES = {
    "historical": {"negated", "uncertain", "hypothetical", "conditional"},
    "hypothetical": {"negated", "uncertain", "historical"},
    "conditional": {"negated", "uncertain", "historical", "hypothetical"},
    "negated": {"uncertain", "hypothetical"},
    "uncertain": {"negated", "hypothetical"},
}

NOTHING_SAID: dict[str, Any] = {
    "negated": False,
    "uncertain": False,
    "hypothetical": False,
    "historical": False,
    "experiencer": "patient",
    "assertion": "present",
    "negation_cue": None,
}


@dataclass(slots=True)
class Findings:
    """What was found for one entity.

    evidence (dict[str, str]): By category, which rule or modifier says so.
    cue (tuple[int, int] | None): Where the words that negate it start and end, in characters.
    """

    evidence: dict[str, str] = field(default_factory=dict)
    cue: tuple[int, int] | None = None


def combine(rules: Findings, linked: Findings | None, how: str) -> Findings:
    """Combine what the rules found with what linked modifiers say.

    rules (Findings): From cues.
    linked (Findings | None): From modifiers; None for an entity that `clinner_relations` does
        not judge (no relations in the document, or a label without legal pairs).
    how (str): "rules": only those modifiers count that negate by words of no cue; they are all
        that `linked` has then. "relations": only modifiers count. "either": an
        entity becomes what either says. "relations_first": an entity with a linked assertion
        modifier becomes what its modifiers say, any other what the rules say. An entity that
        relations do not judge always goes by the rules.
    RETURNS (Findings): The result.
    """
    if linked is None:
        return rules
    if how == "rules":
        known = "negated" in rules.evidence
        return rules if known else Findings({**linked.evidence, **rules.evidence}, linked.cue)
    if how == "relations":
        return linked
    if how == "relations_first":
        return linked if linked.evidence else rules
    return Findings({**rules.evidence, **linked.evidence}, linked.cue or rules.cue)


def attributes(
    findings: Findings, section: str | None, defaults: Mapping[str, str]
) -> dict[str, Any]:
    """The attribute values that findings amount to.

    findings (Findings): The categories found, with their evidence.
    section (str | None): The title of the entity's section.
    defaults (Mapping[str, str]): Section title to category.
    RETURNS (dict[str, Any]): Plain values for `store.write`, without the cue.
    """
    if not findings.evidence and section is None:
        return {**NOTHING_SAID, "assertion_evidence": []}
    evidence = dict(findings.evidence)
    default = defaults.get(section) if section is not None else None
    if default is not None and default not in evidence:
        # Whose problem it is holds for all of a section; the rest only where no words decide.
        if default in ("family", "other"):
            if not evidence.keys() & {"family", "other"}:
                evidence[default] = f"section:{section}"
        elif not evidence.keys() & OVERRIDES[default]:
            evidence[default] = f"section:{section}"
    experiencer = (
        "family" if "family" in evidence else "other" if "other" in evidence else "patient"
    )
    return {
        "negated": "negated" in evidence,
        "uncertain": "uncertain" in evidence,
        "hypothetical": "hypothetical" in evidence,
        "historical": "historical" in evidence,
        "experiencer": experiencer,
        "assertion": _assertion(evidence.keys(), experiencer),
        # In one order in every process: what it came in is that of a set of strings.
        "assertion_evidence": list(
            dict.fromkeys(evidence[category] for category in CATEGORIES if category in evidence)
        ),
    }


def _assertion(categories: Iterable[str], experiencer: str) -> str:
    # In the order in which one beats the other; i2b2 2010, but words that say "absent" beat
    # "conditional" here: "denies chest pain on exertion" is absent.
    found = set(categories)
    if experiencer != "patient":
        return "associated_with_someone_else"
    for category, assertion in (
        ("hypothetical", "hypothetical"),
        ("uncertain", "possible"),
        ("negated", "absent"),
        ("conditional", "conditional"),
    ):
        if category in found:
            return assertion
    return "present"
