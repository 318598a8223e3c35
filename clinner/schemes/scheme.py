import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from clinner.errors import ClinnerError

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Label:
    """One label of a layer.

    name (str): The label as it stands in `doc.spans`.
    description (str): One line, also given to `spacy.explain`.
    semantic_group (str): UMLS semantic group, or "" where none fits.
    aliases (tuple[str, ...]): How corpora write it.
    """

    name: str
    description: str
    semantic_group: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scheme:
    """The labels of one layer, as its TOML file states them.

    layer (str): The key in `doc.spans`.
    labels (dict[str, Label]): By name, in the file's order.
    pairs (dict[str, tuple[str, ...]]): Entity label to the modifier labels that may link to it.
    views (dict[str, dict[str, str]]): By view name, from label to the renamed label; what a view
        leaves out is left out of its result.
    written (dict[str, str]): Every spelling (names and aliases) to its label's name.
    """

    layer: str
    labels: Mapping[str, Label]
    pairs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    views: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)


def read_scheme(path: Path) -> Scheme:
    """Read a scheme file.

    path (Path): The TOML file.
    RETURNS (Scheme): The scheme.
    RAISES (ClinnerError): The file is missing, is not TOML, or lacks `layer` or `[labels]`.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        raise ClinnerError(f"{path}: no such scheme file. Known: {', '.join(names())}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ClinnerError(f"{path}: not a valid TOML file ({error}).") from None
    if not data.get("layer") or not data.get("labels"):
        raise ClinnerError(f'{path}: a scheme needs `layer = "..."` and a [labels] table.')
    labels = {
        name: Label(
            name,
            entry.get("description", name),
            entry.get("semantic_group", ""),
            tuple(entry.get("aliases", ())),
        )
        for name, entry in data["labels"].items()
    }
    written = {alias: label.name for label in labels.values() for alias in label.aliases}
    written.update({name: name for name in labels})
    pairs = {entity: tuple(modifiers) for entity, modifiers in data.get("pairs", {}).items()}
    return Scheme(data["layer"], labels, pairs, data.get("views", {}), written)


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


def load_all(names_or_paths: Iterable[str]) -> dict[str, Scheme]:
    """The named schemes by layer."""
    return {scheme.layer: scheme for scheme in map(load, names_or_paths)}


@cache
def semantic_group(label: str, layer: str | None = None) -> str | None:
    """The UMLS semantic group of a label.

    label (str): The label.
    layer (str | None): Its layer; without one, the first scheme that knows the label decides.
    RETURNS (str | None): "Disorders", "Chemicals & Drugs", ...; None for an unknown label.
    """
    for name in names() if layer is None or layer not in names() else (layer,):
        found = load(name).labels.get(label)
        if found is not None and found.semantic_group:
            return found.semantic_group
    return None
