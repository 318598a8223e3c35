"""Kiwi's format (Hu et al., arXiv 2411.10020): a copy of the text with its entities marked,
`<span class="problem">fever</span>`.

Kiwi asks a second time, for each entity, for its modifiers. Here one answer has both: an entity
that is modified has an id, and its modifiers say `of="1"`. A mention that crosses another one is
marked in parts that have the same id.
"""

import re
from collections.abc import Sequence
from itertools import combinations

from spacy_clinner.llm.mentions import Answer, Mention, Passage, Said
from spacy_clinner.llm.prompts.prompt_format import PromptFormat, label_lines, pair_lines
from spacy_clinner.schemes import Scheme

MARK = re.compile(r"<span\b([^<>]*)>|</span\s*>", re.I)
VALUE = re.compile(r"""\b(class|id|of)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+))""", re.I)
# A text that has marks itself.
OWN_MARK = re.compile(r"<(?=/?span\b)", re.I)
QUOTED_MARK = re.compile(r"&lt;(?=/?span\b)", re.I)
FENCE = re.compile(r"\A\s*```[a-z]*[ ]*\n|\n?```\s*\Z", re.I)
END = "<EOS>"

TASK = """### Task:
Give the input text again, word for word, with HTML <span> tags around the clinical entities in it.

### Entity Markup Guides:
{labels}"""
LINKS = """

### Modifier Markup Guides:
An entity that something modifies has a number, id="1". Its modifiers name it, of="1"; several \
numbers are written of="1,2". Possible are:
{pairs}"""
LABEL = 'Use <span class="{name}"> to mark: {description}.'


def instructions(layers: Sequence[Scheme]) -> str:
    """What to do."""
    pairs = pair_lines(layers)
    task = TASK.format(labels=label_lines(layers, LABEL))
    return task + LINKS.format(pairs=pairs) if pairs else task


def question(text: str) -> str:
    """A text, as it is put before the model."""
    return f"### Input Text: {text}\n### Output Text:"


def render(passage: Passage) -> str:
    """The text with its mentions marked."""
    marks = _opening_marks(passage.mentions)
    cuts = sorted({edge for one in passage.mentions for edge in (one.start, one.end)})
    out: list[str] = []
    opened: list[int] = []
    at = 0
    for cut in cuts:
        out.append(OWN_MARK.sub("&lt;", passage.text[at:cut]))
        at = cut
        again = []
        while any(passage.mentions[one].end == cut for one in opened):
            out.append("</span>")
            if passage.mentions[closed := opened.pop()].end > cut:
                again.append(closed)
        begin = [i for i, one in enumerate(passage.mentions) if one.start == cut]
        for one in (*reversed(again), *begin):
            out.append(marks[one])
            opened.append(one)
    return "".join([*out, OWN_MARK.sub("&lt;", passage.text[at:])])


def _opening_marks(mentions: Sequence[Mention]) -> list[str]:
    numbered = {head for one in mentions for head in one.heads}
    for pair in combinations(range(len(mentions)), 2):
        if _cross(mentions[pair[0]], mentions[pair[1]]):
            numbered.update(pair)
    numbers = {at: number for number, at in enumerate(sorted(numbered), 1)}
    marks = []
    for at, one in enumerate(mentions):
        values = [f'class="{one.label.lower()}"']
        if at in numbers:
            values.append(f'id="{numbers[at]}"')
        if one.heads:
            values.append(f'of="{",".join(str(numbers[head]) for head in one.heads)}"')
        marks.append(f"<span {' '.join(values)}>")
    return marks


def _cross(one: Mention, other: Mention) -> bool:
    return one.start < other.start < one.end < other.end


class _Open:
    """A mark that was opened."""

    def __init__(self, values: dict[str, str], start: int) -> None:
        self.values = values
        self.start = start
        self.end = -1


def parse(answer: str) -> Answer:
    """Read a text with marks."""
    marked = FENCE.sub("", answer).replace(END, "")
    parts: list[str] = []
    marks: list[_Open] = []
    opened: list[_Open] = []
    at = length = unreadable = 0
    for found in MARK.finditer(marked):
        parts.append(QUOTED_MARK.sub("<", marked[at : found.start()]))
        length += len(parts[-1])
        at = found.end()
        if found[0].startswith("</"):
            if opened:
                opened.pop().end = length
            else:
                unreadable += 1
        else:
            values = {m[1].lower(): m[2] or m[3] or m[4] or "" for m in VALUE.finditer(found[1])}
            marks.append(_Open(values, length))
            opened.append(marks[-1])
    copy = "".join([*parts, QUOTED_MARK.sub("<", marked[at:])])
    closed = [one for one in _joined(marks) if one.end > one.start and one.values.get("class")]
    unreadable += len(opened)
    ids: dict[str, list[int]] = {}
    for i, one in enumerate(closed):
        ids.setdefault(one.values.get("id", ""), []).append(i)
    said = (
        Said(
            one.values["class"],
            copy[one.start : one.end],
            (one.start, one.end),
            heads=tuple(
                min(ids[i], key=lambda at: _between(one, closed[at]))
                for i in _numbers(one.values.get("of", ""))
                if i in ids
            ),
        )
        for one in closed
    )
    return Answer(tuple(said), copy, unreadable, fits=bool(copy.strip()))


def _joined(marks: Sequence[_Open]) -> list[_Open]:
    """Marks, those of one id and class as one where they touch."""
    found: list[_Open] = []
    latest: dict[tuple[str | None, str], _Open] = {}
    for one in marks:
        key = one.values.get("id"), one.values.get("class", "")
        before = latest.get(key) if key[0] else None
        if before is not None and before.end == one.start:
            before.end = max(before.end, one.end)
        else:
            latest[key] = one
            found.append(one)
    return found


def _between(one: _Open, other: _Open) -> int:
    return max(one.start - other.end, other.start - one.end)


def _numbers(written: str) -> list[str]:
    return re.findall(r"[^\s,]+", written)


KIWI = PromptFormat("kiwi", instructions, question, render, parse)
