"""Scores by where in a note a mention stands, and by the kind of note."""

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import spacy
from spacy.scorer import PRFScore
from spacy.tokens import Span
from spacy.training import Example

from spacy_clinner.annotation.said import get_sections
from spacy_clinner.annotation.spans import SpanKey, group_of, span_key
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.intervals import f_interval, f_score, span_counts

Score = dict[str, Any]
# Before the first header.
NO_SECTION = "(no section)"
COLUMNS = ("note_id", "kind")


def by_section(examples: Sequence[Example], layers: Sequence[str]) -> dict[str, Score]:
    """Strict scores of the mentions in each section, whoever finds the sections.

    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers, together.
    RETURNS (dict[str, Score]): By title p, r, f and gold, those with most gold spans first;
        sections without a gold span are left out.
    """
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_sections")
    counts: dict[str, PRFScore] = defaultdict(PRFScore)
    gold: Counter[str] = Counter()
    texts = nlp.pipe(example.reference.text for example in examples)
    for example, doc in zip(examples, texts, strict=True):
        places = [
            (section.span.start_char, section.span.end_char, section.title or NO_SECTION)
            for section in get_sections(doc)
        ]
        for layer in layers:
            if layer not in example.reference.spans:
                continue
            wanted = _by_title(group_of(example.reference, layer), places)
            guessed = _by_title(example.predicted.spans.get(layer, ()), places)
            for title in wanted.keys() | guessed.keys():
                counts[title].score_set(guessed[title], wanted[title])
                gold[title] += len(wanted[title])
    return {title: _score(counts[title], count) for title, count in gold.most_common() if count}


def _by_title(
    spans: Iterable[Span], places: Sequence[tuple[int, int, str]]
) -> dict[str, set[SpanKey]]:
    found: dict[str, set[SpanKey]] = defaultdict(set)
    for span in spans:
        inside = (title for start, end, title in places if start <= span.start_char < end)
        found[next(inside, NO_SECTION)].add(span_key(span))
    return found


def _score(counted: PRFScore, gold: int) -> Score:
    return {"p": counted.precision, "r": counted.recall, "f": counted.fscore, "gold": gold}


def by_kind(
    examples: Sequence[Example],
    layers: Sequence[str],
    kind_of: Callable[[str], str | None],
) -> dict[str, Score]:
    """Strict F1 by the kind of note.

    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers, together.
    kind_of (Callable[[str], str | None]): The kind of a note by its id; None leaves it out.
    RETURNS (dict[str, Score]): By kind f, interval (see `f_interval`), gold and notes.
    """
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        kind = kind_of(str(example.reference.user_data.get("note_id", "")))
        if kind is not None:
            groups[kind].append(example)
    found = {}
    for kind, members in sorted(groups.items()):
        counts = span_counts(members, layers)
        found[kind] = {
            "f": float(f_score(counts.sum(axis=0))),
            "interval": f_interval(counts),
            "gold": int(np.sum(counts[:, 2])),
            "notes": len(members),
        }
    return found


def read_kinds(path: Path) -> Mapping[str, str]:
    """Read which note is of which kind.

    path (Path): A CSV file with the columns note_id and kind.
    RETURNS (Mapping[str, str]): By id the kind.
    RAISES (ClinnerError): It cannot be read, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {*COLUMNS} <= {*(rows.fieldnames or ())}:
                raise ClinnerError(f"{path}: needs the columns {' and '.join(COLUMNS)}.")
            return {row["note_id"]: row["kind"] for row in rows if row["kind"]}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ClinnerError(f"{path}: cannot be read ({type(error).__name__}).") from None
