"""Label Studio: tasks with predictions, the configuration of labels, and what comes back."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree import ElementTree as ET

from spacy_clinner.corpora.checks import (
    CANCELLED,
    OTHER_ANNOTATOR,
    RESULT_LEFT_OUT,
    SURFACE_DIFFERS,
    surface_fault,
)
from spacy_clinner.corpora.draft import Draft, Record, dicts, list_, plain
from spacy_clinner.corpora.suggestions import ASSERTION, ASSERTIONS, LINK, Palette, Suggestion
from spacy_clinner.errors import ClinnerError

# Where a task has the id that `clinner suggest` gave it.
NOTE_ID = "note_id"


def task(suggestion: Suggestion, model: str) -> dict[str, Any]:
    """A task with a prediction.

    suggestion (Suggestion): What is suggested.
    model (str): Name and version of the model.
    RETURNS (dict[str, Any]): The record. Tasks can be sorted by the prediction's score: the lower,
        the less certain.
    """
    note = suggestion.note
    results: list[dict[str, Any]] = []
    places = {}
    for span in note.spans:
        place = {"start": span.start, "end": span.end, "text": note.text[span.start : span.end]}
        places[span.id] = place
        results.append(_result(span.id, "label", "labels", {**place, "labels": [span.label]}))
    for said in note.attributes:
        value = {**places[said.target], "choices": [said.value]}
        results.append(_result(said.target, said.label, "choices", value))
    for link in note.relations:
        ends = {"from_id": link.head, "to_id": link.tail, "direction": "right"}
        results.append({"type": "relation", "labels": [link.label], **ends})
    prediction: dict[str, Any] = {"model_version": model, "result": results}
    if suggestion.expected_errors is not None:
        prediction["score"] = round(1.0 / (1.0 + suggestion.expected_errors), 4)
    return {"data": {"text": note.text, NOTE_ID: note.id}, "predictions": [prediction]}


def _result(region: str, control: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"id": region, "from_name": control, "to_name": "text", "type": kind, "value": value}


def config(palette: Palette) -> str:
    """The configuration of a project's labels.

    palette (Palette): What annotators choose from.
    RETURNS (str): XML, for Settings, Labeling Interface, Code.
    """
    view = ET.Element("View")
    if palette.pairs:
        ET.SubElement(ET.SubElement(view, "Relations"), "Relation", value=LINK)
    labels = ET.SubElement(view, "Labels", name="label", toName="text")
    for label, color in palette.colors.items():
        ET.SubElement(labels, "Label", value=label, background=color)
    ET.SubElement(view, "Text", name="text", value="$text")
    if palette.judged:
        asked = {"perRegion": "true", "choice": "single-radio", "whenTagName": "label"}
        asked["whenLabelValue"] = ",".join(palette.judged)
        choices = ET.SubElement(view, "Choices", {"name": ASSERTION, "toName": "text", **asked})
        for value in ASSERTIONS:
            ET.SubElement(choices, "Choice", value=value)
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def finished(record: Record, draft: Draft) -> list[tuple[str | None, Record]]:
    """The annotations of a task that count.

    record (dict[str, Any]): The task.
    draft (Draft): Its note, which gets a problem for each other annotation: one that was cancelled,
        or that its annotator made anew.
    RETURNS (list[tuple[str | None, dict[str, Any]]]): Who made each, by e-mail address or number,
        and the annotation; one that is marked as ground truth comes first.
    """
    done: list[tuple[str | None, Record]] = []
    for annotation in dicts(record["annotations"], draft.where):
        if annotation.get("was_cancelled"):
            draft.add_problem(CANCELLED)
        else:
            done.append((annotator_of(annotation), annotation))
    # Of one annotator the ground truth counts, or else what was made last.
    done.sort(key=_is_truth)
    last = {at if who is None else who: (who, made) for at, (who, made) in enumerate(done)}
    for _ in range(len(done) - len(last)):
        draft.add_problem(OTHER_ANNOTATOR)
    return sorted(last.values(), key=_is_truth, reverse=True)


def _is_truth(pair: tuple[str | None, Record]) -> bool:
    return bool(pair[1].get("ground_truth"))


def annotator_of(annotation: Record) -> str | None:
    """Who made an annotation.

    annotation (dict[str, Any]): The annotation.
    RETURNS (str | None): The e-mail address where the export has it, or else the number.
    """
    by = annotation.get("completed_by")
    if isinstance(by, dict):
        by = by.get("email") or by.get("id")
    return None if by is None else str(by)


def is_task(record: Record) -> bool:
    """Whether a record is a task of Label Studio with its annotations."""
    return "annotations" in record and isinstance(record.get("data"), dict)


def text_key(tasks: Iterable[tuple[str, Record]]) -> str | None:
    """The name in `data` of the text that was annotated, which may be any.

    tasks (Iterable[tuple[str, dict[str, Any]]]): "file:line" and task, of one project.
    RETURNS (str | None): The name of the text in which most spans have the words that the export
        gives for them, `text` among several; None where no value is a text.
    RAISES (ClinnerError): Several could be it.
    """
    fitting: Counter[str] = Counter()
    first = ""
    for where, record in tasks:
        first = first or where
        texts = {k: v for k, v in record["data"].items() if isinstance(v, str) and k != NOTE_ID}
        places = list(_places(record, where))
        for key, text in texts.items():
            fitting[key] += sum(_is_at(*place, text) for place in places)
    most = max(fitting.values(), default=0)
    best = [key for key, count in fitting.items() if count == most]
    if len(best) > 1 and "text" not in best:
        raise ClinnerError(
            f"{first}: `data` has no `text`, and several that could be it: {', '.join(best)}. "
            f"Rename the one that was annotated to `text`."
        )
    return "text" if "text" in best else next(iter(best), None)


def _places(record: Record, where: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and words of the spans of a task that have all three."""
    for annotation in dicts(record["annotations"], where):
        for result in dicts(annotation.get("result"), where):
            value = result["value"] if isinstance(result.get("value"), dict) else {}
            words, start, end = (value.get(key) for key in ("text", "start", "end"))
            if isinstance(words, str) and isinstance(start, int) and isinstance(end, int):
                yield start, end, words


def _is_at(start: int, end: int, words: str, text: str) -> bool:
    return surface_fault(plain(words), text, [(start, end)]) != SURFACE_DIFFERS


def read_annotation(annotation: Record, draft: Draft) -> None:
    """Read what one annotator made of a task.

    annotation (dict[str, Any]): The annotation.
    draft (Draft): Its note, changed in place.
    RAISES (ClinnerError): A span has no label, or impossible offsets.
    """
    if isinstance(taken := annotation.get("lead_time"), int | float):
        draft.seconds = float(taken)
    results = [
        (result, result["value"] if isinstance(result.get("value"), dict) else {})
        for result in dicts(annotation.get("result"), draft.where)
    ]
    for result, value in results:
        for label in _labels(value, draft):
            draft.add_span(
                value.get("start"), value.get("end"), label, result.get("id"), value.get("text")
            )
    for result, value in results:
        if result.get("type") == "relation":
            _add_relations(result, draft)
        elif not _labels(value, draft):
            _add_properties(result, value, draft)


def _labels(value: Record, draft: Draft) -> list[Any]:
    return list_(value.get("labels"), draft.where)


def _add_relations(result: Record, draft: Draft) -> None:
    head, tail = result.get("from_id"), result.get("to_id")
    direction = result.get("direction", "right")
    for label in list_(result.get("labels"), draft.where) or [None]:
        if direction in ("right", "bi"):
            draft.add_relation(label, head, tail)
        if direction in ("left", "bi"):
            draft.add_relation(label, tail, head)


def _add_properties(result: Record, value: Record, draft: Draft) -> None:
    """What Label Studio asks about a region (choices, text, a rating) is an attribute of it."""
    kind = str(result.get("type"))
    values = value.get("text" if kind == "textarea" else kind)
    target = draft.names.get(str(result.get("id")))
    if target is None or values is None:
        draft.add_problem(RESULT_LEFT_OUT)
        return
    for item in values if isinstance(values, list) else [values]:
        draft.add_attribute(str(result.get("from_name")), target, item)
