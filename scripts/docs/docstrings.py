"""An extension of griffe, by which mkdocstrings reads docstrings that are written spaCy's way."""

import re
from collections.abc import Container
from typing import Any

from griffe import Class, Extension, Function, ParameterKind

# "name (type): meaning", "first, second (type): meaning", "RETURNS (type): meaning".
ITEM = re.compile(r"(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*) \((?P<type>.+?)\): (?P<meaning>.*)")
SECTIONS = {"RETURNS": "Returns", "YIELDS": "Yields", "RAISES": "Raises"}


def google(text: str, parameters: Container[str] | None = None, others: str = "Attributes") -> str:
    """A docstring with its items in the sections of Google's style.

    text (str): The docstring, spaCy's way.
    parameters (Container[str] | None): Of a class, what it is made with, and of a function with
        further keyword arguments those that its signature names. None where all names are
        parameters.
    others (str): The section of other names.
    RETURNS (str): The docstring that griffe's parser reads.
    """
    prose: list[str] = []
    sections: dict[str, list[str]] = {}
    open_items: list[str] = []
    for line in text.splitlines():
        if found := ITEM.match(line):
            names = found["names"].split(", ")
            kind = "Args" if parameters is None or names[0] in parameters else others
            open_items = sections.setdefault(SECTIONS.get(names[0], kind), [])
            begun = len(open_items)
            for name in names:
                label = found["type"] if name in SECTIONS else f"{name} ({found['type']})"
                open_items.append(f"    {label}: {found['meaning']}")
        elif open_items and line.startswith(" "):
            open_items[begun:] = [f"{item}\n    {line}" for item in open_items[begun:]]
        else:
            open_items = []
            prose.append(line)
    blocks = ["\n".join([f"{title}:", *items]) for title, items in sections.items()]
    return "\n\n".join(["\n".join(prose).strip(), *blocks])


class SpacyDocstrings(Extension):
    """Rewrites docstrings before they are parsed."""

    def on_function(self, *, func: Function, **_: Any) -> None:
        """Griffe has read a function."""
        if func.docstring is not None:
            takes_more = any(p.kind is ParameterKind.var_keyword for p in func.parameters)
            names = [p.name for p in func.parameters] if takes_more else None
            func.docstring.value = google(func.docstring.value, names, "Keyword Args")

    def on_class_members(self, *, cls: Class, **_: Any) -> None:
        """Griffe has read a class, its methods included."""
        if cls.docstring is not None:
            init = cls.members.get("__init__")
            names = [p.name for p in init.parameters] if isinstance(init, Function) else []
            cls.docstring.value = google(cls.docstring.value, names)
