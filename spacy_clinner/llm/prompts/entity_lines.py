"""A line for each mention, "Entity: X, Label: Y", as tuned general models answer.

Where the same words stand in the text more than once, and the order of the lines does not tell
which are meant, the line goes on: ", After: the words before". Lines have no links.
"""

import re
from collections.abc import Sequence

from spacy_clinner.llm.mentions import Answer, Passage, Said
from spacy_clinner.llm.prompts.contexts import with_contexts
from spacy_clinner.llm.prompts.prompt_format import PromptFormat, label_lines
from spacy_clinner.schemes import Scheme

LINE = re.compile(
    r"\**Entity\**\s*:\**\s*(?P<words>.*)\s*[,;|]\s*\**Label\**\s*:\**\s*(?P<label>[^,]*?)"
    r"(?:,\s*\**After\**\s*:\**\s*(?P<after>.*?))?\s*\Z",
    re.I,
)
NOTHING = "No entities."
TASK = """List the clinical entities of the text, in its order, each in a line of its own:
Entity: the words as they stand in the text, Label: one of the labels
Where the same words stand in the text more than once, end the line with the words before:
Entity: pain, Label: {first}, After: left knee
If there are none, answer: {nothing}

Labels:
{labels}"""


def instructions(layers: Sequence[Scheme]) -> str:
    """What to do."""
    first = next(name for scheme in layers for name in scheme.labels)
    labels = label_lines(layers, "{label}: {description}")
    return TASK.format(first=first, nothing=NOTHING, labels=labels)


def question(text: str) -> str:
    """A text, as it is put before the model."""
    return f"Text:\n{text}"


def render(passage: Passage) -> str:
    """A line for each mention."""
    words = [" ".join(passage.text[one.start : one.end].split()) for one in passage.mentions]
    return "\n".join(map(line, with_contexts(passage, words))) or NOTHING


def line(said: Said) -> str:
    """The line of a mention."""
    # The last label of a line is the line's own.
    after = re.sub(r"(?i)[,;|](?=\s*\**label)", "", said.after)
    after = f", After: {after}" if after else ""
    return f"Entity: {said.words}, Label: {said.label}{after}"


def parse(answer: str) -> Answer:
    """Read the lines; other lines are passed over and counted."""
    said = []
    unreadable = 0
    # Runs of white space cost the pattern their cube.
    lines = [" ".join(one.split()) for one in answer.splitlines() if one.strip(" `*\t")]
    for one in lines:
        found = re.search("entity", one, re.I)
        read = LINE.match(one, found.start() - _stars(one, found.start())) if found else None
        if read and read["words"] and read["label"]:
            label = read["label"].strip(" .*")
            said.append(Said(label, read["words"].strip(), after=read["after"] or ""))
        elif NOTHING.casefold().rstrip(".") not in one.casefold():
            unreadable += 1
    return Answer(tuple(said), None, unreadable, fits=bool(lines) and unreadable < len(lines))


def _stars(one: str, at: int) -> int:
    return len(one[:at]) - len(one[:at].rstrip("*"))


LINES = PromptFormat("lines", instructions, question, render, parse, links=False)
