"""Misses and false alarms, as data and as a page to look through."""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import srsly
from spacy import displacy
from spacy.tokens import Span
from spacy.training import Example

from spacy_clinner.annotation.said import has_relations
from spacy_clinner.evaluation.assertion import wrong_assertions
from spacy_clinner.evaluation.outcomes import BOUNDARIES, CORRECT, FALSE_ALARM, LABEL, MISS
from spacy_clinner.evaluation.relations import compare_links
from spacy_clinner.evaluation.spans import note_name
from spacy_clinner.files import written_whole

COLORS = {
    CORRECT: "#d7f0d8",
    MISS: "#f8c9c4",
    FALSE_ALARM: "#ffe08a",
    BOUNDARIES: "#cfe0fb",
    LABEL: "#e3cffb",
}


@dataclass(frozen=True)
class Outcome:
    """Gold and predicted spans of one layer that touch, compared.

    kind (str): One of the five kinds of `outcomes.py`.
    start (int), end (int): Extent of the spans together, in characters.
    gold, predicted (tuple[str, ...]): "LABEL start-end" of each.
    text (str): What the extent covers, at most 80 characters.
    """

    layer: str
    kind: str
    start: int
    end: int
    gold: tuple[str, ...]
    predicted: tuple[str, ...]
    text: str

    @property
    def caption(self) -> str:
        gold, guess = (", ".join(sorted(_labels(s))) or "–" for s in (self.gold, self.predicted))
        return gold if gold == guess else f"{gold} → {guess}"


def compare(example: Example, layer: str) -> list[Outcome]:
    """What the pipeline made of each mention of a layer.

    example (Example): Predicted and reference doc of one text.
    layer (str): The layer.
    RETURNS (list[Outcome]): In text order; spans that overlap each other are one outcome.
    """
    marked = [(span, True) for span in example.reference.spans.get(layer, ())]
    marked += [(span, False) for span in example.predicted.spans.get(layer, ())]
    marked.sort(key=lambda pair: (pair[0].start_char, pair[0].end_char))
    clusters: list[list[tuple[Span, bool]]] = []
    reach = -1
    for span, is_gold in marked:
        if span.start_char >= reach:
            clusters.append([])
        clusters[-1].append((span, is_gold))
        reach = max(reach, span.end_char)
    return [_outcome(example.text, layer, cluster) for cluster in clusters]


def _outcome(text: str, layer: str, cluster: list[tuple[Span, bool]]) -> Outcome:
    gold = tuple(_name(span) for span, is_gold in cluster if is_gold)
    guess = tuple(_name(span) for span, is_gold in cluster if not is_gold)
    start = min(span.start_char for span, _ in cluster)
    end = max(span.end_char for span, _ in cluster)
    if set(gold) == set(guess):
        kind = CORRECT
    elif not guess:
        kind = MISS
    elif not gold:
        kind = FALSE_ALARM
    elif _labels(gold) == _labels(guess):
        kind = BOUNDARIES
    else:
        kind = LABEL
    return Outcome(layer, kind, start, end, gold, guess, text[start:end][:80])


def _name(span: Span) -> str:
    return f"{span.label_} {span.start_char}-{span.end_char}"


def _labels(names: Iterable[str]) -> set[str]:
    """Of what `_name` gives; a label may hold blanks, too."""
    return {name.rpartition(" ")[0] for name in names}


def write_errors(examples: Sequence[Example], layers: Sequence[str], folder: Path) -> None:
    """Write `errors.jsonl` (one note a line) and `errors.html`.

    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers to compare.
    folder (Path): Gets the two files. They quote the notes, so only the user may read them
        (mode 0600): keep them where the notes may be.
    """
    with written_whole(folder / "errors.jsonl", private=True) as path:
        srsly.write_jsonl(path, _error_lines(examples, layers))
    with written_whole(folder / "errors.html", private=True) as path:
        path.write_text(page(examples, layers), encoding="utf8")


def _error_lines(examples: Sequence[Example], layers: Sequence[str]) -> Iterator[dict[str, Any]]:
    for index, example in enumerate(examples):
        outcomes = [outcome for layer in layers for outcome in compare(example, layer)]
        errors = [asdict(outcome) for outcome in outcomes if outcome.kind != CORRECT]
        yield {
            "note": note_name(example.reference, index),
            "errors": errors,
            "assertions": [
                asdict(wrong) for layer in layers for wrong in wrong_assertions(example, layer)
            ],
            "links": [asdict(wrong) for wrong in wrong_links(example)],
        }


@dataclass(frozen=True)
class WrongLink:
    """A link that was missed, is false, or joins spans with wrong boundaries.

    kind (str): "miss", "false alarm" or "wrong boundaries".
    pair (str): "ENTITY-MODIFIER".
    entity (tuple[int, int]), modifier (tuple[int, int]): Offsets in characters.
    entity_text, modifier_text (str): What they cover, at most 80 characters each.
    """

    kind: str
    pair: str
    entity: tuple[int, int]
    modifier: tuple[int, int]
    entity_text: str
    modifier_text: str

    @property
    def caption(self) -> str:
        """A line such as "link missed: NEGATION 'no' -> PROBLEM 'fever'"."""
        entity, modifier = self.pair.split("-", 1)
        verdict = {MISS: "missed", FALSE_ALARM: "false"}.get(self.kind, self.kind)
        ends = f"{modifier} '{self.modifier_text}' -> {entity} '{self.entity_text}'"
        return f"link {verdict}: {ends}"


def wrong_links(example: Example) -> list[WrongLink]:
    """The links that differ from gold.

    example (Example): Predicted and reference doc of one text.
    RETURNS (list[WrongLink]): In text order of the modifiers; none where the reference has no
        relations annotated or the pipeline makes none.
    """
    if not (has_relations(example.reference) and has_relations(example.predicted)):
        return []
    return [
        WrongLink(
            link.kind,
            link.pair,
            link.entity,
            link.modifier,
            _snippet(example.text, *link.entity),
            _snippet(example.text, *link.modifier),
        )
        for link in compare_links(example)
        if link.kind != CORRECT
    ]


def _snippet(text: str, start: int, end: int) -> str:
    return " ".join(text[start:end].split())[:80]


def page(examples: Sequence[Example], layers: Sequence[str]) -> str:
    """One HTML page on which each note stands once per layer, every mention coloured by outcome.

    It can be searched, and shows the notes with outcomes of the kinds and the label that are
    chosen. It loads nothing, and runs its own script alone.
    """
    legend = " ".join(
        f'<label class="key" style="background:{color}">'
        f'<input type="checkbox" name="kind" value="{color}" checked> {kind}</label>'
        for kind, color in COLORS.items()
    )
    labels = sorted(
        {
            span.label_
            for example in examples
            for layer in layers
            for doc in (example.reference, example.predicted)
            for span in doc.spans.get(layer, ())
        }
    )
    options = "".join(
        f'<option value="{escape(label)}">{escape(label)}</option>' for label in labels
    )
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    parts = [HEAD.format(legend=legend, options=options, digest=digest)]
    for index, example in enumerate(examples):
        parts.append(f"<section><h2>{escape(note_name(example.reference, index))}</h2>")
        for layer in layers:
            if layer in example.reference.spans:
                parts.append(_note_section(example, layer))
        parts.append(f"{_error_list(example, layers)}</section>")
    return "\n".join((*parts, f"<script>{SCRIPT}</script></body></html>"))


def _note_section(example: Example, layer: str) -> str:
    outcomes = compare(example, layer)
    wrong = sum(outcome.kind != CORRECT for outcome in outcomes)
    ents = [
        {
            "start": o.start,
            "end": o.end,
            # displaCy does not escape labels.
            "label": escape(o.caption if o.kind == CORRECT else f"{o.caption} · {o.kind}"),
            "params": {
                "bg": COLORS[o.kind],
                "labels": escape(json.dumps(sorted(_labels((*o.gold, *o.predicted))))),
            },
        }
        for o in outcomes
    ]
    body = displacy.render(
        {"text": example.text, "ents": ents, "title": None},
        style="ent",
        manual=True,
        page=False,
        jupyter=False,
        options={"template": MARK},
    )
    summary = f"{escape(layer)}: {wrong} errors in {len(outcomes)} places"
    return f"<details{' open' if wrong else ''}><summary>{summary}</summary>{body}</details>"


def _error_list(example: Example, layers: Sequence[str]) -> str:
    captions = [wrong.caption for layer in layers for wrong in wrong_assertions(example, layer)]
    captions += [wrong.caption for wrong in wrong_links(example)]
    if not captions:
        return ""
    items = "".join(f"<li>{escape(caption)}</li>" for caption in captions)
    summary = f"assertion and links: {len(captions)} errors"
    return f'<details open><summary>{summary}</summary><ul class="list">{items}</ul></details>'


MARK = (
    '<mark data-kind="{bg}" data-labels="{labels}" style="background:{bg}">'
    "{text} <b>{label}</b></mark>"
)
HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';
 script-src 'sha256-{digest}'">
<title>clinner: misses and false alarms</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; }}
h2 {{ border-top: 1px solid #ddd; padding-top: 1rem; font-size: 1.1rem; }}
summary {{ cursor: pointer; color: #444; font-weight: 600; margin: .5rem 0; }}
.key {{ padding: .15rem .5rem; border-radius: .3rem; margin-right: .4rem; }}
.entities {{ line-height: 1.9; }}
mark {{ padding: .1em .3em; border-radius: .3em; }}
.list {{ font-size: .9em; margin: .3rem 0; }}
mark > b {{ font-size: .65em; }}
mark.other {{ opacity: .35; }}
form {{ position: sticky; top: 0; background: #fff; padding: .5rem 0; }}
[hidden] {{ display: none; }}
</style></head><body>
<h1>Misses and false alarms</h1>
<form><input type="search" aria-label="Search the notes" placeholder="Search the notes">
<select aria-label="Label"><option value="">all labels</option>{options}</select>
<output aria-live="polite"></output><br>{legend}</form>
<p>A caption “gold → predicted” names both labels where they differ; – is none.</p>
"""
SCRIPT = """
const form = document.forms[0];
const notes = [...document.querySelectorAll("section")].map(section => ({
  section, text: section.textContent.toLowerCase(), marks: [...section.querySelectorAll("mark")],
}));
function show() {
  const words = form.querySelector("[type=search]").value.toLowerCase();
  const label = form.querySelector("select").value;
  const kinds = new Set([...form.querySelectorAll(":checked[name=kind]")].map(box => box.value));
  const all = !label && kinds.size === form.querySelectorAll("[name=kind]").length;
  let shown = 0;
  for (const note of notes) {
    let some = all;
    for (const mark of note.marks) {
      const names = JSON.parse(mark.dataset.labels);
      const chosen = kinds.has(mark.dataset.kind) && (!label || names.includes(label));
      mark.classList.toggle("other", !chosen);
      some ||= chosen;
    }
    note.section.hidden = !(some && note.text.includes(words));
    shown += !note.section.hidden;
  }
  form.querySelector("output").textContent = `${shown} of ${notes.length} notes`;
}
form.addEventListener("input", show);
form.addEventListener("submit", event => event.preventDefault());
show();
"""
