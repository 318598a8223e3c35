"""Where the layout of a note says that a modifier is none of an entity."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from spacy_clinner.pipeline.relations.candidates import Candidates, LegalPairs

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

# What says whether something is there, and whose it is, stays in its row of a table or form.
IN_ROW = ("NEGATION", "UNCERTAIN", "SUBJECT")
FIELD = re.compile(r"\W{0,8}[^\W\d_][^:?|\n]{0,40}[:?]\s+\S")  # "Fever: no"
BAR = re.compile(r"\s\|\s")
COLUMNS = re.compile(r"\S {3,}\S.*?\S {3,}\S")  # three of them
AHEAD = re.compile(r"without\b|w ?/ ?o(?:ut)?\b", re.IGNORECASE)  # negations that never look back
STOP = re.compile(r"[.;?!]\s|[\n\r]")


def not_linked(docs: Sequence[Doc], candidates: Candidates, legal: LegalPairs) -> Bools:
    """Which candidate pairs are none, whatever their probability.

    None is a NEGATION, an UNCERTAIN or a SUBJECT in another row of a table or form than the entity;
    a "without" behind the entity; nor a SUBJECT in a sentence behind it. In the gold of clinical
    notes none of 5,800 such links is one of these.

    docs (Sequence[Doc]): The batch.
    candidates (Candidates): Its candidate pairs.
    legal (LegalPairs): The labels that may be linked.
    RETURNS (Bools): Shape (pairs,).
    """
    head, tail = candidates.pairs.head, candidates.pairs.tail
    if not len(head):
        return np.zeros(0, dtype=bool)
    heads, tails = candidates.heads, candidates.tails
    label = np.array(legal.tails)[tails.label[tail]]
    at, begins, rows = _lines(docs)
    lines = [
        np.searchsorted(begins, at[start], side="right") - 1
        for start in (heads.start[head], tails.start[tail])
    ]
    apart = (lines[0] != lines[1]) & rows[lines[0]] & rows[lines[1]]
    found: Bools = apart & np.isin(label, IN_ROW)
    behind = np.flatnonzero((heads.end[head] <= tails.start[tail]) & np.isin(label, IN_ROW))
    offsets = np.cumsum([0, *map(len, docs)])
    for pair in behind.tolist():
        number = int(tails.doc[tail[pair]])
        doc, offset = docs[number], int(offsets[number])
        first, end = int(tails.start[tail[pair]]) - offset, int(tails.end[tail[pair]]) - offset
        if label[pair] == "NEGATION":
            found[pair] |= AHEAD.match(doc[first:end].text) is not None
        elif label[pair] == "SUBJECT":
            between = doc[int(heads.end[head[pair]]) - offset - 1 : first + 1].text
            found[pair] |= STOP.search(between) is not None
    return found


def _lines(docs: Sequence[Doc]) -> tuple[Ints, Ints, Bools]:
    """Where tokens stand in the texts laid end to end, where lines begin there, and which lines are
    rows of a table or form."""
    at: list[Ints] = []
    begins: list[int] = []
    rows: list[bool] = []
    begin = 0
    for doc in docs:
        if not len(doc):
            continue
        at.append(doc.to_array("IDX").astype(np.int64) + begin)
        for line in doc.text.splitlines(keepends=True):
            begins.append(begin)
            rows.append(_is_row(line.strip()))
            begin += len(line)
    return np.concatenate(at), np.array(begins, dtype=np.int64), np.array(rows, dtype=bool)


def _is_row(line: str) -> bool:
    return "\t" in line or any((FIELD.match(line), BAR.search(line), COLUMNS.search(line)))
