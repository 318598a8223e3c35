"""The house: rooms of modules, and which of them may import which."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import spacy_clinner

HOUSE = "spacy_clinner"
FOLDER = Path(spacy_clinner.__file__).parent
# What every room may import; of each other they may, too.
COMMON = {"errors", "files", "compat", "progress", "validation"}
# By room, the rooms that it may import besides.
ROOMS = {
    "schemes": set(),
    "tokenization": set(),
    "annotation": {"schemes"},
    "architectures": {"tokenization"},
    "pipeline": {"annotation", "architectures", "schemes"},
    "corpora": {"annotation", "schemes", "tokenization"},
    "tables": {"annotation", "corpora", "pipeline", "schemes"},
    # Documents are cut at sentences, and what links assert is what rules assert.
    "llm": {"annotation", "corpora", "pipeline", "schemes"},
    "view": {"annotation", "schemes"},
    "packaging": {"pipeline"},
    "service": {"annotation", "pipeline", "schemes", "tables", "view"},
    "training": {"annotation", "architectures", "corpora", "pipeline", "schemes"},
    # A model card tells how its model was trained.
    "evaluation": {"annotation", "corpora", "pipeline", "schemes", "training"},
    # An edition is compared with the pipeline that it is made of.
    "cpu": {"architectures", "corpora", "evaluation", "pipeline", "tokenization"},
    "cli": {
        "corpora",
        "cpu",
        "evaluation",
        "llm",
        "packaging",
        "service",
        "tables",
        "training",
        "view",
    },
    "__main__": {"cli"},
    # Names that users import from `spacy_clinner` itself.
    "": {"annotation", "tables"},
}
# Names that stand for the same thing in every room: a folder's component and its scorer; a command
# and the function that it calls; what a module of `evaluation` scores and the thing itself.
CONVENTIONAL = {"component", "scorer"}
SAME_THING = {"cli", "evaluation"}
# Not installed with every edition, or slow to import: inside functions only, as spaCy imports
# every module with a factory at the first look-up.
HEAVY = {
    "torch",
    "transformers",
    "spacy_transformers",
    "openvino",
    "nncf",
    "tokenizers",
    "sklearn",
    "peft",
    "httpx",
}


class Import(NamedTuple):
    """What a module imports, and whether it does when it is imported itself."""

    name: str
    at_top: bool


def paths() -> dict[str, Path]:
    found = {}
    for path in sorted(FOLDER.rglob("*.py")):
        parts = (HOUSE, *path.relative_to(FOLDER).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = paths()


def imports(module: str) -> Iterator[Import]:
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    yield from _imports(ast.parse(path.read_text(encoding="utf8")), package, True)


def _imports(tree: ast.AST, package: str, at_top: bool) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            parts = [*above] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield Import(name if name in MODULES else base, at_top)
        else:
            runs = not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            yield from _imports(node, package, at_top and runs and not typing_only)


@cache
def arrows() -> dict[str, set[str]]:
    """By module, those of ours that it imports, in functions and for types, too. The package
    itself, from which modules take the version, is none."""
    return {
        module: {name for name, _ in imports(module) if name in MODULES} - {module, HOUSE}
        for module in MODULES
    }


def room_of(module: str) -> str:
    return [*module.split("."), ""][1]


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle in a graph; empty where there is none."""
    done: set[str] = set()

    def follow(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        for following in sorted(graph.get(node, ())):
            found = follow(following, [*way, node])
            if found:
                return found
        done.add(node)
        return []

    return next((found for node in graph if (found := follow(node, []))), [])


def test_no_modules_import_each_other_in_a_circle():
    assert circle(arrows()) == []


def test_arrows_between_rooms_point_one_way():
    assert circle({room: {*may} for room, may in ROOMS.items()}) == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_the_rooms_that_its_own_may(module):
    room = room_of(module)
    assert room in {*ROOMS, *COMMON}, f"{room} is a new room: say in ROOMS what it may import"
    may = COMMON | ROOMS.get(room, set()) | {room}
    assert {room_of(name) for name in arrows()[module]} <= may


def test_no_two_modules_have_the_same_name_for_different_things():
    named = defaultdict(list)
    for module in MODULES:
        name = module.rpartition(".")[2]
        if name not in CONVENTIONAL and room_of(module) not in SAME_THING:
            named[name].append(module)
    assert [modules for modules in named.values() if len(modules) > 1] == []


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_what_is_heavy_before_it_is_needed(module):
    found = {name.split(".")[0] for name, at_top in imports(module) if at_top}
    assert not found & HEAVY
