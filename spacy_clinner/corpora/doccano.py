"""doccano: what a project of sequence labelling with relations imports, and what comes back."""

from typing import Any

from spacy_clinner.corpora.checks import CHOICES_LEFT_OUT, COMMENTS_LEFT_OUT
from spacy_clinner.corpora.draft import Draft, Record, dicts, list_, record_
from spacy_clinner.corpora.suggestions import ASSERTION, LINK, Palette, Suggestion
from spacy_clinner.errors import ClinnerError


def record(suggestion: Suggestion, first_id: int) -> dict[str, Any]:
    """A record of its JSONL with relations.

    suggestion (Suggestion): What is suggested.
    first_id (int): Ids of spans and relations count from here, each once in a file.
    RETURNS (dict[str, Any]): The record. doccano has no properties of spans: assertions go along
        beside them, and come back as they were.
    """
    note = suggestion.note
    ids = {span.id: first_id + at for at, span in enumerate(note.spans)}
    places = {span.id: [span.start, span.end, span.label] for span in note.spans}
    return {
        "text": note.text,
        "note_id": note.id,
        "entities": [
            {
                "id": ids[span.id],
                "label": span.label,
                "start_offset": span.start,
                "end_offset": span.end,
            }
            # Where a project takes no spans that overlap, the first is kept.
            for span in sorted(note.spans, key=lambda span: span.start - span.end)
        ],
        "relations": [
            {
                "id": first_id + at,
                "from_id": ids[link.head],
                "to_id": ids[link.tail],
                "type": link.label,
            }
            for at, link in enumerate(note.relations)
        ],
        ASSERTION: [[*places[said.target], said.value] for said in note.attributes],
    }


def labels(palette: Palette) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The labels of spans and of relations, for Labels, Import.

    palette (Palette): What annotators choose from.
    RETURNS (tuple[list[dict[str, Any]], list[dict[str, Any]]]): The records of both files.
    """
    links = [_label(LINK, "#9cc9cc")] if palette.pairs else []
    return [_label(name, color) for name, color in palette.colors.items()], links


def _label(name: str, color: str) -> dict[str, Any]:
    dark = {"background_color": color, "text_color": "#000000"}
    return {"text": name, "prefix_key": None, "suffix_key": None, **dark}


def by_user(record: Record) -> list[tuple[str | None, Record]]:
    """A record, for each of the users whose annotations it holds.

    record (dict[str, Any]): The record; old versions of doccano export those of all users in one,
        each with the user's number.
    RETURNS (list[tuple[str | None, dict[str, Any]]]): The user, and the record with this one's
        annotations alone; the whole record where they name no user.
    """
    given = record.get("annotations")
    if not isinstance(given, list) or not all(isinstance(a, dict) and "user" in a for a in given):
        return [(None, record)]
    users = dict.fromkeys(str(annotation["user"]) for annotation in given)
    own = {user: [a for a in given if str(a["user"]) == user] for user in users}
    return [(user, record | {"annotations": own[user]}) for user in users] or [(None, record)]


def read_doccano(record: Record, draft: Draft) -> None:
    """Read a record.

    record (dict[str, Any]): The record, with `entities`, `label` or `labels`.
    draft (Draft): Its note, changed in place.
    RAISES (ClinnerError): A span has no label, or impossible offsets.
    """
    keys = ("entities", "label", "labels", "annotations")
    key = next((key for key in keys if key in record), None)
    if key is None:
        draft.set_unannotated()
    for item in list_(record[key], draft.where) if key else []:
        if isinstance(item, list) and len(item) == 3:
            draft.add_span(*item)
        else:
            item = record_(item, draft.where)
            start, end = (item.get(f"{k}_offset", item.get(k)) for k in ("start", "end"))
            # The flat export of Label Studio has its labels in a list here.
            for label in list_(item.get("labels"), draft.where) or [item.get("label")]:
                if type(label) is int:
                    raise ClinnerError(
                        f"{draft.where}: a span has the number {label} in place of a label. "
                        f"Export from doccano as JSONL with the labels' text."
                    )
                draft.add_span(start, end, label, item.get("id"), item.get("text"))
    draft.linked = record.get("relations") is not None
    for relation in dicts(record.get("relations"), draft.where):
        draft.add_relation(relation.get("type"), relation.get("from_id"), relation.get("to_id"))
    places = {str([span.start, span.end, span.label]): span.id for span in reversed(draft.spans)}
    # The flat export of Label Studio has this, and choices without the spans that they are of.
    flat = "annotation_id" in record
    if flat and (record.get(ASSERTION) is not None or any(map(_has_choices, record.values()))):
        draft.add_problem(CHOICES_LEFT_OUT)
    for said in list_(None if flat else record.get(ASSERTION), draft.where):
        if isinstance(said, list) and len(said) == 4:
            *place, value = said
            if target := places.get(str(place)):
                draft.add_attribute(ASSERTION, target, value)
    if record.get("Comments") or record.get("comments"):
        draft.add_problem(COMMENTS_LEFT_OUT)


def _has_choices(value: Any) -> bool:
    items = value if isinstance(value, list) else []
    return any(isinstance(item, dict) and "choices" in item for item in items)
