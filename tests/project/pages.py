"""The pages of the documentation, and what they show to be run."""

import re
from pathlib import Path

# What only training gives; test_run_all.py runs it.
TRAINED = 'load("en_clinner"'
BLOCK = re.compile(
    r"(?:<!-- command: (?P<name>\w+) -->\n)?```(?P<kind>\w+)\n(?P<code>.*?)```", re.S
)


def pages(root: Path) -> list[Path]:
    """The README, what else is written for readers at the root, and all under docs/."""
    at_root = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "MODEL_CARD.md")
    return [*(root / name for name in at_root), *sorted((root / "docs").rglob("*.md"))]


def blocks(page: Path, kind: str) -> list[str]:
    """The code blocks of a kind, such as "python", in order."""
    text = page.read_text(encoding="utf8")
    return [block["code"] for block in BLOCK.finditer(text) if block["kind"] == kind]


def program(page: Path) -> str:
    """A page's Python as one program, but for what needs a model of one's own."""
    return "\n".join(code for code in blocks(page, "python") if TRAINED not in code)


def of_a_trained_model(root: Path) -> list[str]:
    """The blocks that load a model of one's own."""
    found = [code for page in pages(root) for code in blocks(page, "python")]
    return [code for code in found if TRAINED in code]


def commands(root: Path) -> dict[str, str]:
    """The shell blocks that have a name, by name."""
    found = [block for page in pages(root) for block in BLOCK.finditer(page.read_text("utf8"))]
    return {block["name"]: block["code"] for block in found if block["name"]}


def shell_lines(root: Path) -> list[str]:
    """Every line of every shell block, each once."""
    code = "\n".join(code for page in pages(root) for code in blocks(page, "bash"))
    lines = re.sub(r"\\\n\s*", " ", code).splitlines()
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))
