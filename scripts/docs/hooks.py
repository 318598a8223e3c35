"""What mkdocs writes into the reference: the commands, and the registered names."""

import configparser
import re
from pathlib import Path
from typing import Any

import typer
from typer.cli import get_docs_for_click

ROOT = Path(__file__).parents[2]
ROOT_FILE = re.compile(r"<!-- file (\S+) -->")
# spaCy's command line is no part of a config.
REGISTRIES = ("spacy_", "thinc_")
NOT_NAMED = "spacy_cli"


def commands() -> str:
    """Every command with its arguments and options, from what `--help` shows."""
    from spacy_clinner.cli import app

    group = typer.main.get_command(app)
    context = typer.Context(group)
    listed: dict[str, Any] = vars(group)["commands"]
    parts = [
        get_docs_for_click(obj=listed[name], ctx=context, name=name, call_prefix="clinner")
        for name in sorted(listed)
    ]
    return "\n".join(parts).replace("\n#", "\n##")


def registered() -> str:
    """A table of what configs name, each with a link to the function that makes it."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf8")
    lines = ["| name | registry | made by |", "|---|---|---|"]
    for registry, listed in setup["options.entry_points"].items():
        if registry.startswith(REGISTRIES) and registry != NOT_NAMED:
            for line in listed.strip().splitlines():
                name, _, target = (part.strip() for part in line.partition("="))
                if target:
                    path = target.replace(":", ".")
                    short = registry.partition("_")[2]
                    lines.append(f"| `{name}` | {short} | [`{path}`][{path}] |")
    return "\n".join(lines)


WRITTEN = {"<!-- commands -->": commands, "<!-- registered names -->": registered}


def root_file(found: re.Match[str]) -> str:
    """A file of the repository's root as a page; its links to other pages are from here."""
    return (ROOT / found[1]).read_text(encoding="utf8").replace("](docs/", "](")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """mkdocs has read a page: put in its place what is generated."""
    markdown = ROOT_FILE.sub(root_file, markdown)
    for mark, write in WRITTEN.items():
        if mark in markdown:
            markdown = markdown.replace(mark, write())
    return markdown
