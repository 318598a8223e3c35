"""Scores by where in a note a mention stands, and by the kind of note."""

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.scorer import PRFScore
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_clinner.annotation.said import get_sections
from spacy_clinner.annotation.spans import SpanKey, group_of, span_key
from spacy_clinner.errors import ClinnerError
from spacy_clinner.evaluation.intervals import Ints, f_score

Score = dict[str, Any]
# Before the first header.
NO_SECTION = "(no section)"
COLUMNS = ("note_id", "kind")


def section_counts(
    examples: Sequence[Example], layers: Sequence[str]
) -> Iterator[dict[str, PRFScore]]:
    """Count the mentions in the sections of each note, whoever finds the sections.

    examples (Sequence[Example]): Predicted and reference docs.
    layers (Sequence[str]): The layers, together.
    YIELDS (dict[str, PRFScore]): By title, strictly; for each note.
    """
    nlp = spacy.blank("en")
    nlp.add_pipe("clinner_sections")
    texts = nlp.pipe(example.reference.text for example in examples)
    for example, doc in zip(examples, texts, strict=True):
        places = [
            (section.span.start_char, section.span.end_char, section.title or NO_SECTION)
            for section in get_sections(doc)
        ]
        counts: dict[str, PRFScore] = defaultdict(PRFScore)
        for layer in layers:
            if layer not in example.reference.spans:
                continue
            wanted = _by_title(group_of(example.reference, layer), places)
            guessed = _by_title(example.predicted.spans.get(layer, ()), places)
            for title in wanted.keys() | guessed.keys():
                counts[title].score_set(guessed[title], wanted[title])
        yield counts


def _by_title(
    spans: Iterable[Span], places: Sequence[tuple[int, int, str]]
) -> dict[str, set[SpanKey]]:
    found: dict[str, set[SpanKey]] = defaultdict(set)
    for span in spans:
        inside = (title for start, end, title in places if start <= span.start_char < end)
        found[next(inside, NO_SECTION)].add(span_key(span))
    return found


def by_section(counts: Mapping[tuple[str, ...], Ints]) -> dict[str, Score]:
    """Strict scores of the mentions in each section.

    counts (Mapping[tuple[str, ...], NDArray[int64]]): As `note_counts` gives them.
    RETURNS (dict[str, Score]): By title p, r, f and gold, those with most gold spans first;
        sections without a gold span are left out.
    """
    sums = {place[1]: rows.sum(axis=0) for place, rows in counts.items() if place[0] == "sections"}
    most = sorted(sums.items(), key=lambda item: -int(item[1][2]))
    return {
        title: {
            "p": float(right / max(found, 1)),
            "r": float(right / gold),
            "f": float(f_score(sums[title])),
            "gold": int(gold),
        }
        for title, (right, found, gold) in most
        if gold
    }


def by_kind(
    examples: Sequence[Example],
    counts: Mapping[tuple[str, ...], Ints],
    kind_of: Callable[[str], str | None],
) -> dict[str, Score]:
    """Strict F1 by the kind of note.

    examples (Sequence[Example]): Predicted and reference docs.
    counts (Mapping[tuple[str, ...], NDArray[int64]]): As `note_counts` gives them.
    kind_of (Callable[[str], str | None]): The kind of a note by its id; None leaves it out.
    RETURNS (dict[str, Score]): By kind f, gold and notes.
    """
    notes = Counter(kind_of(note_id(example)) for example in examples)
    sums = {place[1]: rows.sum(axis=0) for place, rows in counts.items() if place[0] == "kinds"}
    return {
        kind: {"f": float(f_score(sums[kind])), "gold": int(sums[kind][2]), "notes": notes[kind]}
        for kind in sorted(sums)
    }


def note_id(example: Example) -> str:
    """The id of a note, as its corpus has it; "" where it has none.

    example (Example): Predicted and reference doc.
    RETURNS (str): The id.
    """
    return str(example.reference.user_data.get("note_id", ""))


def read_kinds(path: Path, gold: Sequence[Doc]) -> Mapping[str, str]:
    """Read which note is of which kind.

    path (Path): A CSV file with the columns note_id and kind.
    gold (Sequence[Doc]): Reference docs.
    RETURNS (Mapping[str, str]): By id the kind.
    RAISES (ClinnerError): It cannot be read, lacks a column, or has no id of a note.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {*COLUMNS} <= {*(rows.fieldnames or ())}:
                raise ClinnerError(f"{path}: needs the columns {' and '.join(COLUMNS)}.")
            found = {row["note_id"]: row["kind"] for row in rows if row["kind"]}
    except OSError as error:
        raise ClinnerError(f"{path}: cannot be read ({error.strerror}).") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ClinnerError(f"{path}: cannot be read ({type(error).__name__}).") from None
    ids = [str(doc.user_data.get("note_id", "")) for doc in gold]
    if found.keys().isdisjoint(ids):
        raise ClinnerError(
            f"{path}: none of its ids is of a note of the corpus, which has ids such as {ids[0]!r}."
        )
    return found
