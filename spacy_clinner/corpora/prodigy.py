"""Prodigy: examples with tokens, spans and relations, and the command to correct them."""

import shlex
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from spacy_clinner.corpora.checks import RELATION_LEFT_OUT
from spacy_clinner.corpora.draft import Draft, Record, dicts, list_, record_
from spacy_clinner.corpora.suggestions import ASSERTION, LINK, Palette, Suggestion


def example(suggestion: Suggestion) -> dict[str, Any]:
    """An example.

    suggestion (Suggestion): What is suggested.
    RETURNS (dict[str, Any]): The record. Prodigy has no properties of spans: an assertion goes
        along in the span, and comes back as it was.
    """
    note = suggestion.note
    starts = [start for start, _ in suggestion.tokens]
    ends = [end for _, end in suggestion.tokens]
    said = {attribute.target: attribute for attribute in note.attributes}
    spans: dict[str, dict[str, Any]] = {}
    for span in note.spans:
        tokens = {
            "token_start": bisect_right(starts, span.start) - 1,
            "token_end": bisect_left(ends, span.end),
        }
        spans[span.id] = {"start": span.start, "end": span.end, "label": span.label, **tokens}
        if span.id in said:
            spans[span.id][said[span.id].label] = said[span.id].value
    meta: dict[str, Any] = {"note_id": note.id}
    if suggestion.expected_errors is not None:
        meta["expected_errors"] = round(suggestion.expected_errors, 2)
    return {
        "text": note.text,
        "tokens": [
            {
                "text": note.text[start:end],
                "start": start,
                "end": end,
                "id": at,
                "ws": note.text[end : end + 1] == " ",
            }
            for at, (start, end) in enumerate(suggestion.tokens)
        ],
        "spans": list(spans.values()),
        "relations": [
            {
                "head": spans[link.head]["token_start"],
                "child": spans[link.tail]["token_start"],
                "head_span": spans[link.head],
                "child_span": spans[link.tail],
                "label": link.label,
            }
            for link in note.relations
        ],
        "meta": meta,
    }


def command(palette: Palette, file: str) -> str:
    """The command that shows examples to be corrected.

    palette (Palette): What annotators choose from.
    file (str): The file of examples.
    RETURNS (str): A line for the shell.
    """
    labels = ",".join(palette.labels)
    if palette.pairs:
        words = ["prodigy", "rel.manual", "corrected", "blank:en", file]
        words += ["--label", LINK, "--span-label", labels, "--wrap"]
    else:
        words = ["prodigy", "spans.manual", "corrected", "blank:en", file, "--label", labels]
    return shlex.join(words) + "\n"


def is_example(record: Record) -> bool:
    """Whether a record is an example in which spans are marked.

    record (dict[str, Any]): The record. Where nothing was marked, Prodigy writes no `spans`, but
        the tokens that could be, and by which interface.
    RETURNS (bool): Whether it is one.
    """
    return "spans" in record or ("_view_id" in record and "tokens" in record)


def read_prodigy(record: Record, draft: Draft) -> None:
    """Read an example.

    record (dict[str, Any]): The example.
    draft (Draft): Its note, changed in place.
    RAISES (ClinnerError): A span has no label, or impossible offsets.
    """
    if isinstance(record.get("type"), str):
        draft.labels = (record["type"],)
    at: dict[str, list[Any]] = {}
    for span in list_(record.get("spans"), draft.where):
        if isinstance(span, list) and len(span) == 3:
            draft.add_span(*span)
            continue
        span = record_(span, draft.where)
        start, end, label = (span.get(key) for key in ("start", "end", "label"))
        draft.add_span(start, end, label, (start, end, label), span.get("text"))
        at.setdefault(f"{start}-{end}", []).append(label)
        if span.get(ASSERTION):
            draft.add_attribute(ASSERTION, draft.spans[-1].id, span[ASSERTION])
    draft.linked = record.get("relations") is not None
    for relation in dicts(record.get("relations"), draft.where):
        head, tail = relation.get("head_span"), relation.get("child_span")
        if isinstance(head, dict) and isinstance(tail, dict):
            draft.add_relation(relation.get("label"), _key(head, at), _key(tail, at))
        else:
            draft.add_problem(RELATION_LEFT_OUT)


def _key(given: Record, at: Mapping[str, Sequence[Any]]) -> tuple[Any, Any, Any]:
    """Offsets and label of the span at the end of a relation, which may have an earlier label of it
    where no other span is."""
    start, end, label = (given.get(key) for key in ("start", "end", "label"))
    labels = at.get(f"{start}-{end}", ())
    return start, end, labels[0] if len(labels) == 1 else label
