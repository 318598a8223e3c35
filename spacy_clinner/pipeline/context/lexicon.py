from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, NonNegativeInt

from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import read_toml
from spacy_clinner.pipeline.phrases import expand
from spacy_clinner.validation import checked

LEXICON = Path(__file__).parent / "lexicon.toml"
Category = Literal[
    "negated", "uncertain", "hypothetical", "conditional", "historical", "family", "other"
]
CATEGORIES: tuple[str, ...] = get_args(Category)
Role = Literal["pseudo", "terminator"]
ROLES: tuple[str, ...] = get_args(Role)
DEFAULT_WINDOW = 20


T = TypeVar("T")
# One name may stand without a list around it.
Several = Annotated[
    list[T],
    BeforeValidator(lambda v: [v] if isinstance(v, str) else list(v) if type(v) is tuple else v),
]


class Entry(BaseModel, extra="forbid", strict=True):
    """A table of the lexicon; the fields are explained at the head of `lexicon.toml`."""

    category: Several[Category | Role] = []
    patterns: Several[str] = []
    direction: Literal["forward", "backward", "both", "either", "inside"] = "forward"
    window: NonNegativeInt = DEFAULT_WINDOW
    alone: bool = False
    lists: bool | None = None
    within: bool = False
    object: bool = False
    skips: Several[str] = []
    only: Several[str] = []
    ends: Several[Category] = list(get_args(Category))
    resets: Several[Category] = []
    hides: Several[Category] = []
    apart: bool = False
    pauses: bool = False
    place: Literal["", "answer", "sign", "column"] = ""
    box: Literal["", "empty", "ticked"] = ""
    among: Literal["", "lines", "line", "table"] = ""
    condition: bool = False
    heads: bool = False
    swaps: bool = False
    capitals: bool = False
    doubles: Literal["", "links", "any"] = ""


@dataclass(frozen=True)
class Cue:
    """One entry of the lexicon; the fields are explained at the head of `lexicon.toml`.

    id (str): What evidence strings name ("rule:<id>").
    categories (frozenset[str]): Of `CATEGORIES`; empty for pseudo cues and terminators.
    role (str): "cue", "pseudo" or "terminator".
    direction (str): "forward", "backward", "both", "either" or "inside".
    phrases (tuple[str, ...]): The patterns, expanded.
    window (int): Tokens.
    ends (frozenset[str]): For a terminator: the categories whose scopes it ends.
    resets (frozenset[str]): For a terminator: the categories of sections that it ends as well.
    hides (frozenset[str]): For a pseudo cue: the categories of cues that it hides; all, if empty.
    apart (bool): For a terminator: not right after a cue ("no reports of").
    object (bool): Words that are no entity may be all that it speaks of, up to a comma.
    pauses (bool): For a terminator: ends no negation inside a list that goes on.
    place (str): "", "answer", "sign" or "column".
    box (str): For a sign: "", "empty" or "ticked".
    among (str): For a box: where its opposite must stand, "" (nowhere), "lines", "line", "table".
    condition (bool): A negation behind it, before a comma, takes no list along.
    capitals (bool): Only where its first word is in capitals and its sentence is not.
    swaps (bool): Only where another entity of the kind takes the entity's place.
    heads (bool): With a word for drugs it heads a list behind a colon or in brackets.
    doubles (str): For a negation: "" or after what an earlier negation cancels it, "links"
        (function words: "denies that there is no") or "any" words ("never a day without").
    """

    id: str
    categories: frozenset[str]
    role: str
    direction: str
    phrases: tuple[str, ...]
    window: int = DEFAULT_WINDOW
    alone: bool = False
    lists: bool = False
    within: bool = False
    object: bool = False
    skips: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    ends: frozenset[str] = frozenset()
    resets: frozenset[str] = frozenset()
    hides: frozenset[str] = frozenset()
    apart: bool = False
    pauses: bool = False
    place: str = ""
    box: str = ""
    among: str = ""
    condition: bool = False
    heads: bool = False
    swaps: bool = False
    capitals: bool = False
    doubles: str = ""


def make_cue(
    cue_id: str, entry: Mapping[str, Any], groups: Mapping[str, list[str]], where: str
) -> Cue:
    """Check one entry and expand its patterns.

    cue_id (str): The table's name.
    entry (Mapping[str, Any]): The table.
    groups (Mapping[str, list[str]]): The groups that its patterns may name.
    where (str): The file or setting that it comes from, for errors.
    RETURNS (Cue): The cue.
    RAISES (ClinnerError): An unknown key or value, or no pattern.
    """
    where = f"{where}: [{cue_id}]"
    found = checked(Entry, entry, where)
    if not found.category or not found.patterns:
        raise ClinnerError(f"{where} needs a category and at least one pattern.")
    role = found.category[0] if found.category[0] in ROLES else "cue"
    if role != "cue" and len(found.category) > 1:
        raise ClinnerError(f"{where}: {role} stands alone, without another category.")
    phrases = [phrase for pattern in found.patterns for phrase in expand(pattern, groups, where)]
    if not phrases or not all(phrase.strip() for phrase in phrases):
        raise ClinnerError(f"{where} has a pattern that may be empty: give it words.")
    return Cue(
        id=cue_id,
        categories=frozenset(found.category if role == "cue" else ()),
        role=role,
        direction=found.direction,
        phrases=tuple(dict.fromkeys(phrases)),
        window=found.window,
        alone=found.alone,
        lists=found.direction in ("forward", "either") if found.lists is None else found.lists,
        within=found.within,
        object=found.object,
        skips=frozenset(found.skips),
        only=frozenset(found.only),
        ends=frozenset(found.ends if role == "terminator" else ()),
        resets=frozenset(found.resets),
        hides=frozenset(found.hides),
        apart=found.apart,
        pauses=found.pauses,
        place="sign" if found.box else found.place,
        box=found.box,
        among=found.among,
        condition=found.condition,
        heads=found.heads,
        capitals=found.capitals,
        swaps=found.swaps,
        doubles=found.doubles,
    )


@dataclass(frozen=True)
class Lexicon:
    """What the rules work with.

    cues (dict[str, Cue]): By id; where two have the same phrase, the first one counts.
    sections (dict[str, str]): Section title to the category that it gives its entities.
    words (dict[str, list[str]]): Words that steer scopes, by what they do.
    """

    cues: dict[str, Cue]
    sections: dict[str, str]
    words: dict[str, list[str]]


@cache
def _read() -> tuple[dict[str, list[str]], dict[str, Any], Lexicon]:
    """The lexicon file: its groups, its cue tables, and the lexicon that they make."""
    tables = read_toml(LEXICON, "missing.")
    groups = tables.pop("groups", {})
    sections = tables.pop("sections", {})
    words = tables.pop("words")
    cues = {name: make_cue(name, entry, groups, LEXICON.name) for name, entry in tables.items()}
    return groups, tables, Lexicon(cues, sections, words)


def load_lexicon(
    added: Mapping[str, Mapping[str, Any]] | None = None,
    disabled: Iterable[str] = (),
    sections: Mapping[str, str] | None = None,
) -> Lexicon:
    """Read the lexicon and apply a user's changes to it.

    added (Mapping[str, Mapping[str, Any]] | None): More cues by id, as tables of the lexicon.
        With an id that the lexicon has, the given keys replace its own and the given patterns
        come on top of its own.
    disabled (Iterable[str]): Ids to leave out.
    sections (Mapping[str, str] | None): More section defaults; "" takes one away.
    RETURNS (Lexicon): The result.
    RAISES (ClinnerError): An entry that is not right, or an unknown id in `disabled`.
    """
    groups, tables, known = _read()
    defaults = {**known.sections, **(sections or {})}
    for title, category in defaults.items():
        if category and category not in CATEGORIES:
            raise ClinnerError(
                f"sections: {title!r} gives {category!r}, not one of {', '.join(CATEGORIES)}."
            )
    cues: dict[str, Cue] = {}
    for cue_id, entry in (added or {}).items():
        cue = make_cue(cue_id, {**tables.get(cue_id, {}), **entry}, groups, "cues")
        if cue_id in known.cues:
            phrases = dict.fromkeys(known.cues[cue_id].phrases + cue.phrases)
            cue = replace(cue, phrases=tuple(phrases))
        cues[cue_id] = cue
    cues = cues | {cue_id: cue for cue_id, cue in known.cues.items() if cue_id not in cues}
    for cue_id in disabled:
        if cues.pop(cue_id, None) is None:
            raise ClinnerError(f"disable: no cue has the id {cue_id!r}.")
    kept = {title: category for title, category in defaults.items() if category}
    return Lexicon(cues, kept, known.words)
