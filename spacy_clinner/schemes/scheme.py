import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import srsly
from pydantic import BaseModel

from spacy_clinner.errors import ClinnerError, one_line
from spacy_clinner.files import read_toml
from spacy_clinner.validation import checked

FOLDER = Path(__file__).parent
# What settings mean by these is no layer: `doc.ents`, and every layer.
RESERVED = ("ents", "*")
# It is written into pages as it stands.
COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Label:
    """One label of a layer.

    name (str): The label as it stands in `doc.spans`.
    description (str): One line, also given to `spacy.explain`.
    semantic_group (str): UMLS semantic group, or "" where none fits.
    aliases (tuple[str, ...]): How corpora write it.
    color (str): What to show it in, "#rrggbb"; "" for the colour of its semantic group.
    """

    name: str
    description: str
    semantic_group: str = ""
    aliases: tuple[str, ...] = ()
    color: str = ""


class LabelEntry(BaseModel, extra="forbid", strict=True):
    """A label as a scheme file has it; the fields are those of `Label`."""

    description: str | None = None
    semantic_group: str = ""
    aliases: list[str] = []
    color: str = ""


class SchemeFile(BaseModel, extra="forbid", strict=True):
    """A scheme file; the fields are those of `Scheme`."""

    layer: str
    labels: dict[str, LabelEntry]
    pairs: dict[str, list[str]] = {}
    views: dict[str, dict[str, str]] = {}
    left_out: list[str] = []
    entities: bool = True


@dataclass(frozen=True)
class Scheme:
    """The labels of one layer, as its TOML file states them.

    layer (str): The key in `doc.spans`.
    labels (dict[str, Label]): By name, in the file's order.
    pairs (dict[str, tuple[str, ...]]): Entity label to the modifier labels that may link to it.
    views (dict[str, dict[str, str]]): By view name, from label to the renamed label; what a view
        leaves out is left out of its result.
    written (dict[str, str]): Every spelling (names and aliases) to its label's name.
    left_out (frozenset[str]): What corpora write and this layer does not hold; such spans are left
        out, as by a view.
    entities (bool): Whether something may be asserted of its spans, as of a finding or a drug;
        False for a layer of modifiers, which say something of entities.
    """

    layer: str
    labels: Mapping[str, Label]
    pairs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    views: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    entities: bool = True

    @property
    def linked(self) -> frozenset[tuple[str, str]]:
        """The pairs of labels, entity and modifier, that may be linked."""
        return frozenset((head, tail) for head, tails in self.pairs.items() for tail in tails)

    def seen(self, view: str) -> "Scheme":
        """The scheme with the labels that a view gives it.

        view (str): The name of one of its views.
        RETURNS (Scheme): Each label once, described as the first of those that it stands for.
        """
        labels: dict[str, Label] = {}
        for old, new in self.views[view].items():
            labels.setdefault(new, replace(self.labels[old], name=new, aliases=()))
        written = {name: name for name in labels}
        return Scheme(self.layer, labels, written=written, entities=self.entities)

    def as_data(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): Plain data, laid out as the TOML file, for `scheme_of`. What
        only conversion needs (aliases, views, what is left out) is not in it."""
        return {
            "layer": self.layer,
            "entities": self.entities,
            "labels": {
                label.name: {
                    key: value
                    for key in ("description", "semantic_group", "color")
                    if (value := getattr(label, key))
                }
                for label in self.labels.values()
            },
            "pairs": {entity: list(modifiers) for entity, modifiers in self.pairs.items()},
        }


def read_scheme(path: Path) -> Scheme:
    """Read a scheme file.

    path (Path): The TOML file.
    RETURNS (Scheme): The scheme.
    RAISES (ClinnerError): The file is missing or not TOML, or as `scheme_of`.
    """
    data = read_toml(
        path,
        f"no such scheme file. Name one of clinner's ({', '.join(names())}), or the path of your "
        f"own .toml file.",
    )
    return scheme_of(data, str(path))


def scheme_of(data: Mapping[str, Any], source: str) -> Scheme:
    """Make a scheme of plain data.

    data (Mapping[str, Any]): What a scheme file holds, or `Scheme.as_data` gives.
    source (str): Where it is from, for messages.
    RETURNS (Scheme): The scheme.
    RAISES (ClinnerError): It lacks `layer` or `labels`, holds something of the wrong shape, names a
        label that it does not have, gives one spelling two meanings, or has another colour than
        "#rrggbb".
    """
    if not data.get("layer") or not data.get("labels"):
        raise ClinnerError(f'{source}: a scheme needs `layer = "..."` and a [labels] table.')
    found = checked(SchemeFile, data, source)
    fault = next(_faults(found), None)
    if fault is not None:
        raise ClinnerError(f"{source}: {fault}. Its labels: {', '.join(found.labels)}.")
    labels = {
        name: Label(
            name,
            name if entry.description is None else entry.description,
            entry.semantic_group,
            tuple(entry.aliases),
            entry.color,
        )
        for name, entry in found.labels.items()
    }
    written = {alias: label.name for label in labels.values() for alias in label.aliases}
    written.update({name: name for name in labels})
    pairs = {entity: tuple(modifiers) for entity, modifiers in found.pairs.items()}
    left_out = frozenset(found.left_out)
    return Scheme(found.layer, labels, pairs, found.views, written, left_out, found.entities)


def _faults(found: SchemeFile) -> Iterator[str]:
    """What a scheme says of labels and cannot mean."""
    if found.layer in RESERVED:
        yield f"{found.layer!r} is no name for a layer"
    if not all(name.strip() for name in found.labels):
        yield "a label without a name"
    tables: dict[str, Iterable[str]] = {f"views.{name}": v for name, v in found.views.items()}
    tables["pairs"] = found.pairs
    for table, rows in tables.items():
        for name in rows:
            if name not in found.labels:
                yield f"[{table}] names {name!r}, which is no label of the scheme"
    for view, renamed in found.views.items():
        for name, new in renamed.items():
            if not new.strip():
                yield f"[views.{view}] gives {name!r} an empty name"
    holders = {name: name for name in found.labels}
    for name, entry in found.labels.items():
        for alias in entry.aliases:
            if holders.setdefault(alias, name) != name:
                yield f"{alias!r} stands for both {holders[alias]!r} and {name!r}"
    for name, entry in found.labels.items():
        if entry.color and not COLOR.fullmatch(entry.color):
            yield f'color of {name} is {entry.color!r}, and must be "#rrggbb"'
    for name in found.left_out:
        if name in holders:
            yield f"left_out names {name!r}, which {holders[name]!r} holds"


@cache
def names() -> tuple[str, ...]:
    """The names of the schemes that come with clinner."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


@cache
def load(name: str) -> Scheme:
    """Load a scheme by the name of its file here, or by the path of a TOML file.

    name (str): "clinical", "modifiers", ... or a path ending in ".toml".
    RETURNS (Scheme): The scheme; loaded once per process.
    RAISES (ClinnerError): There is no such scheme, or its file is not valid.
    """
    return read_scheme(Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml")


def of_layers(layers: Iterable[str], names_or_paths: Iterable[str] = ()) -> dict[str, Scheme]:
    """The schemes of layers.

    layers (Iterable[str]): The layers.
    names_or_paths (Iterable[str]): Schemes of the user's own, as `load` takes them, or files that
        `write_schemes` wrote.
    RETURNS (dict[str, Scheme]): By layer: that of the user's own, or else the one that comes with
        clinner; layers of which there is neither are left out.
    RAISES (ClinnerError): There is no such scheme, or its file is not valid.
    """
    own: dict[str, Scheme] = {}
    for name in names_or_paths:
        found = read_schemes(Path(name)) if name.endswith(".json") else [load(name)]
        own.update({scheme.layer: scheme for scheme in found})
    shipped = names()
    return {
        layer: own.get(layer) or load(layer) for layer in layers if layer in own or layer in shipped
    }


def write_schemes(path: Path, schemes: Iterable[Scheme]) -> None:
    """Write the schemes of a corpus beside it, for the model that learns from it.

    path (Path): The JSON file.
    schemes (Iterable[Scheme]): The schemes.
    """
    srsly.write_json(path, [scheme.as_data() for scheme in schemes])


def read_schemes(path: Path) -> list[Scheme]:
    """Read what `write_schemes` wrote.

    path (Path): The file.
    RETURNS (list[Scheme]): The schemes.
    RAISES (ClinnerError): It is missing, or not what it should be.
    """
    try:
        data = srsly.read_json(path)
    except (OSError, ValueError) as error:
        raise ClinnerError(f"{path}: cannot be read ({one_line(error)}).") from None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise ClinnerError(f"{path}: not a list of schemes. Convert the corpus again.")
    return [scheme_of(item, str(path)) for item in data]


def semantic_group(label: str, layer: str | None = None) -> str | None:
    """The UMLS semantic group of a label.

    label (str): The label.
    layer (str | None): Its layer; without one, or where it does not know the label (a view
        renamed it), the first scheme that knows the label decides.
    RETURNS (str | None): "Disorders", "Chemicals & Drugs", ...; None for an unknown label.
    """
    # Any id may stand there, and what is remembered must not grow with ids.
    return _semantic_group(label, layer if layer in names() else None)


@lru_cache(maxsize=10_000)
def _semantic_group(label: str, layer: str | None) -> str | None:
    for name in sorted(names(), key=lambda name: name != layer):
        found = load(name).labels.get(label)
        if found is not None and (found.semantic_group or name == layer):
            return found.semantic_group or None
    return None
