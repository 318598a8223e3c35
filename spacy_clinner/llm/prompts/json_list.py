"""A list of mentions in JSON, for which servers can be given a schema.

`{"entities": [{"text": "pain", "label": "PROBLEM"}, {"text": "severe", "label": "SEVERITY", "of":
[1]}]}`: `of` has the numbers of the entities that a modifier modifies, from 1; `after` the words
before, where the same words stand in the text more than once.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from spacy_clinner.annotation.said import ASSERTIONS
from spacy_clinner.llm.mentions import Answer, Passage, Said
from spacy_clinner.llm.prompts.contexts import with_contexts
from spacy_clinner.llm.prompts.prompt_format import (
    PromptFormat,
    asks_assertion,
    label_lines,
    pair_lines,
)
from spacy_clinner.schemes import Scheme

LIST = re.compile(r"[\[{]")
ROW = re.compile(r'\{(?=\s*")(?!\s*"entities")')

TASK = """List the clinical entities of the text, in its order, as JSON:
{{"entities": [{{"text": "the words as they stand in the text", "label": "one of the labels"}}]}}
Where the same words stand in the text more than once, add "after": "the words before". If there are
none, answer {{"entities": []}}.

Labels:
{labels}"""
LINKS = """

A modifier has the numbers of the entities that it modifies, counted from 1: "of": [1]. Possible:
{pairs}"""
ASSERTED = """

What is not simply present has an "assertion", one of: {choices}."""


def instructions(layers: Sequence[Scheme]) -> str:
    """What to do."""
    parts = [TASK.format(labels=label_lines(layers, "{label}: {description}"))]
    if pairs := pair_lines(layers):
        parts.append(LINKS.format(pairs=pairs))
    if asks_assertion(layers):
        parts.append(ASSERTED.format(choices=", ".join(ASSERTIONS[1:])))
    return "".join(parts)


def question(text: str) -> str:
    """A text, as it is put before the model."""
    return f"Text:\n{text}"


def schema(layers: Sequence[Scheme]) -> dict[str, Any]:
    """The JSON schema of an answer."""
    labels = list(dict.fromkeys(name for scheme in layers for name in scheme.labels))
    properties: dict[str, Any] = {
        "text": {"type": "string"},
        "label": {"type": "string", "enum": labels},
        "after": {"type": "string"},
    }
    if pair_lines(layers):
        properties["of"] = {"type": "array", "items": {"type": "integer"}}
    if asks_assertion(layers):
        properties["assertion"] = {"type": "string", "enum": list(ASSERTIONS)}
    mention = {
        "type": "object",
        "properties": properties,
        "required": ["text", "label"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"entities": {"type": "array", "items": mention}},
        "required": ["entities"],
        "additionalProperties": False,
    }


def render(passage: Passage) -> str:
    """The mentions as JSON."""
    words = [passage.text[one.start : one.end] for one in passage.mentions]
    rows = []
    for one, said in zip(passage.mentions, with_contexts(passage, words), strict=True):
        row: dict[str, Any] = {"text": said.words, "label": said.label}
        if said.after:
            row["after"] = said.after
        if one.heads:
            row["of"] = [head + 1 for head in one.heads]
        if one.assertion:
            row["assertion"] = one.assertion
        rows.append(row)
    return json.dumps({"entities": rows}, ensure_ascii=False)


def parse(answer: str) -> Answer:
    """Read the JSON; of what is none, the objects in it that are mentions."""
    rows = _rows(answer)
    if rows is None:
        return Answer((), None, 1, fits=False)
    kept = {at: row for at, row in enumerate(rows) if _is_mention(row)}
    number = {at: i for i, at in enumerate(kept)}
    said = (
        Said(
            row["label"],
            row["text"],
            after=row["after"] if isinstance(row.get("after"), str) else "",
            heads=tuple(number[at - 1] for at in _integers(row.get("of")) if at - 1 in number),
            assertion=row["assertion"] if row.get("assertion") in ASSERTIONS else None,
        )
        for row in kept.values()
    )
    return Answer(tuple(said), None, len(rows) - len(kept), fits=not rows or bool(kept))


def _is_mention(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and all(isinstance(row.get(key), str) for key in ("text", "label"))
        and bool(row["text"].strip())
    )


def _integers(value: Any) -> list[int]:
    values = value if isinstance(value, list) else [value]
    # True is an int, too.
    return [one for one in values if type(one) is int]


def _rows(answer: str) -> list[Any] | None:
    """The list of an answer: the last that holds a mention, as a model may think aloud before it
    answers; else the rows that can be read of one that is cut or faulty; else a list without a
    mention. None where there is none at all."""
    lists = [rows for value in _values(answer, LIST) if (rows := _list(value)) is not None]
    full = [rows for rows in lists if any(map(_is_mention, rows))]
    if full:
        return full[-1]
    # One that cannot be read keeps its number.
    rows = list(_values(answer, ROW))
    if any(map(_is_mention, rows)):
        return rows
    return lists[-1] if lists else None


def _list(value: Any) -> list[Any] | None:
    if isinstance(value, dict) and isinstance(value.get("entities"), list):
        return list(value["entities"])
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return value
    return None


def _values(answer: str, opening: re.Pattern[str]) -> Iterator[Any]:
    """The JSON values in a text, each behind the one before; None for what only begins as one."""
    decoder = json.JSONDecoder()
    at = 0
    while found := opening.search(answer, at):
        try:
            value, at = decoder.raw_decode(answer, found.start())
        except (ValueError, RecursionError):
            value, at = None, found.start() + 1
        yield value


JSON = PromptFormat("json", instructions, question, render, parse, schema, asserts=True)
