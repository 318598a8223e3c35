"""JSON with character offsets: clinner's own lines, Prodigy, doccano and Label Studio."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spacy_clinner.corpora.checks import (
    LINE_ENDS,
    LINE_ENDS_LOST,
    NO_ANNOTATION,
    SURFACE_DIFFERS,
    Annotation,
    check_fragments,
    flag_duplicate_ids,
    surface_fault,
    unresolved,
)
from spacy_clinner.corpora.line_ends import recount
from spacy_clinner.corpora.lines import read_lines
from spacy_clinner.corpora.note import Attribute, Fragment, Note, NoteSpan, Problem, Relation
from spacy_clinner.corpora.serialization import decode_note, encode
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole

logger = logging.getLogger(__name__)

OTHER_ANNOTATOR = "a further annotation of the same text, left out"
CANCELLED = "cancelled annotation, left out"
RESULT_LEFT_OUT = "a result that is no span, relation or property of a span, left out"
RELATION_LEFT_OUT = "a relation without its two spans, left out"
COMMENTS_LEFT_OUT = "comments on the document, left out"

# The key that marks clinner's own lines, with the version of their layout.
OWN, OWN_VERSION = "clinner", 1
Record = dict[str, Any]


def read_jsonl(path: Path) -> Iterator[Note]:
    """Read JSON records, one per line or as one list.

    The shape is found for every record: clinner's own (all that a `Note` holds), Prodigy
    (`spans`, which may also be lists of start, end and label; examples not accepted are left out,
    and counted in the log), doccano (`label`, `labels`, or `entities` with `relations`) or Label
    Studio (`data.text` and `annotations`, of which the first that is not cancelled counts, or the
    one marked as ground truth). Beside `spans`, a `type` names the one label that was looked for in
    the text; records that have it as null are left out, and counted, too.

    path (Path): The file, plain or `.gz`.
    YIELDS (Note): One per record.
    RAISES (ClinnerError): The file is missing, empty, not UTF-8 or not JSON, a record is of no
        known shape, or a span has no label or impossible offsets.
    """
    return flag_duplicate_ids(_notes(path))


def write_jsonl(notes: Iterable[Note], path: Path) -> None:
    """Write notes so that `read_jsonl` reads them back without loss, problems included.

    notes (Iterable[Note]): The notes.
    path (Path): The file; it appears once it is whole, and only the user may read it (mode 0600).
    """
    # Plain ASCII: no character in a line can be taken for its end, whatever reads it.
    lines = (json.dumps({OWN: OWN_VERSION, **encode(note)}) + "\n" for note in notes)
    with written_whole(path, private=True) as partial:
        partial.write_text("".join(lines), encoding="ascii", newline="\n")


def _notes(path: Path) -> Iterator[Note]:
    stem = path.name.split(".")[0]
    left_out: Counter[str] = Counter()
    number = 0
    for number, (where, record) in enumerate(_records(path), 1):
        answer = record.get("answer", "accept")
        if answer != "accept":
            left_out[str(answer)] += 1
            continue
        if record.get("type", "") is None:
            left_out["without a type"] += 1
            continue
        if OWN in record:
            yield _own(record, where)
            continue
        draft = _Draft(where, _text(record, where))
        if "annotations" in record and isinstance(record.get("data"), dict):
            _read_label_studio(record, draft)
        elif "spans" in record:
            _read_prodigy(record, draft)
        else:
            _read_doccano(record, draft)
        yield draft.note(_id(record) or f"{stem}-{number}")
    if not number:
        raise ClinnerError(f"{path}: an empty list, no record in it.")
    if left_out:
        counts = ", ".join(f"{n} {answer!r}" for answer, n in left_out.items())
        logger.warning("%s: examples not accepted, left out: %s", path, counts)


def _records(path: Path) -> Iterator[tuple[str, Record]]:
    """ "file:line", or "file[index]" inside one list, and record."""
    lines = read_lines(path)
    for number, line in lines:
        if not line.strip():
            continue
        where = f"{path}:{number}"
        if line.lstrip().startswith("["):
            rest = "\n".join(line for _, line in lines)
            items = _parsed(f"{line}\n{rest}", where)
            for i, item in enumerate(items):
                yield f"{path}[{i}]", _record(item, f"{path}[{i}]")
        else:
            yield where, _record(_parsed(line, where), where)


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = (
            f"{error.msg}, column {error.colno}"
            if isinstance(error, json.JSONDecodeError)
            else "nested too deep or a number too long"
        )
        raise ClinnerError(
            f"{where}: not JSON ({reason}). One record per line, or one list of them."
        ) from None


def _record(item: Any, where: str) -> Record:
    if not isinstance(item, dict):
        raise ClinnerError(f"{where}: expected a JSON object, found {type(item).__name__}.")
    return item


def _own(record: Record, where: str) -> Note:
    version = record.pop(OWN)
    if version != OWN_VERSION:
        raise ClinnerError(
            f"{where}: layout {version!r} of clinner's JSON; {OWN_VERSION} is known."
        )
    try:
        note = decode_note(record)
    except TypeError as error:
        raise ClinnerError(f"{where}: not a record of clinner's ({error}).") from None
    _check_text(note.text, where)
    seen: set[str] = set()
    for span in note.spans:
        if not span.fragments or span.id in seen:
            raise ClinnerError(f"{where}: a span without offsets, or with the id of another.")
        check_fragments(span.fragments, note.text, where)
        seen.add(span.id)
    return replace(note, source=note.source or where)


def _text(record: Record, where: str) -> str:
    """The text: `text`, in `data` for Label Studio, where it may have another name; old versions
    of doccano have it as `data`."""
    data = record.get("data")
    text = record.get("text", _label_studio_text(data, where) if isinstance(data, dict) else data)
    if not isinstance(text, str):
        raise ClinnerError(
            f"{where}: no text. Known are clinner's own records, Prodigy (`text`, `spans`), "
            f"doccano (`text`, `label` or `entities`), Label Studio (`data.text`, `annotations`)."
        )
    _check_text(text, where)
    return text


def _label_studio_text(data: Record, where: str) -> Any:
    if "text" in data:
        return data["text"]
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    if len(texts) > 1:
        raise ClinnerError(
            f"{where}: `data` has no `text`, and several that could be it: {', '.join(texts)}. "
            f"Rename the one that was annotated to `text`."
        )
    return next(iter(texts.values()), None)


def _check_text(text: str, where: str) -> None:
    if not text:
        raise ClinnerError(f"{where}: the text is empty.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ClinnerError(
                f"{where}: character {error.start} of the text is half of a surrogate pair. "
                f"Export it again as UTF-8."
            ) from None


def _id(record: Record) -> str | None:
    meta = record.get("meta")
    found = record.get("id", meta.get("id") if isinstance(meta, dict) else None)
    return None if found is None else str(found)


@dataclass
class _Draft:
    """A note in the making.

    names (dict[str, str]): The record's own id of a span to ours.
    """

    where: str
    text: str
    spans: list[NoteSpan] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    labels: tuple[str, ...] | None = None
    names: dict[str, str] = field(default_factory=dict)

    def add_span(self, start: Any, end: Any, label: Any, key: Any = None, text: Any = None) -> None:
        if (
            type(start) is not int
            or type(end) is not int
            or not isinstance(label, str)
            or not label
        ):
            raise ClinnerError(
                f"{self.where}: span {len(self.spans) + 1} needs a label, and whole numbers for "
                f"its start and end."
            )
        surface = text if isinstance(text, str) else None
        fragments: tuple[Fragment, ...] = ((start, end),)
        fault = None
        # Label Studio writes "\n" out, and squeezes white space.
        given = (surface or "").replace("\\n", " ")
        if surface and surface_fault(given, self.text, fragments) == SURFACE_DIFFERS:
            moved = recount(self.text, fragments, given)
            fault = LINE_ENDS if moved else SURFACE_DIFFERS
            fragments = moved or fragments
        check_fragments(fragments, self.text, self.where)
        if fault == SURFACE_DIFFERS and "\r\n" in self.text:
            self.add_problem(LINE_ENDS_LOST)
            return
        span = NoteSpan(f"T{len(self.spans) + 1}", label, fragments, surface)
        self.spans.append(span)
        if key is not None:
            self.names.setdefault(str(key), span.id)
        if fault:
            self.problems.append(Problem(self.where, fault, span))

    def add_relation(self, label: Any, head: Any, tail: Any) -> None:
        head, tail = (self.names.get(str(end), str(end)) for end in (head, tail))
        name = label if isinstance(label, str) and label else "relation"
        self.relations.append(Relation(f"R{len(self.relations) + 1}", name, head, tail))

    def add_problem(self, reason: str) -> None:
        self.problems.append(Problem(self.where, reason))

    def note(self, name: str) -> Note:
        annotations: list[Annotation] = [*self.spans, *self.relations, *self.attributes]
        return Note(
            name,
            self.text,
            tuple(self.spans),
            tuple(self.relations),
            tuple(self.attributes),
            labels=self.labels,
            source=self.where,
            problems=(*self.problems, *unresolved((self.where, a) for a in annotations)),
        )


def _list(value: Any, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ClinnerError(f"{where}: expected a list, found {type(value).__name__}.")
    return value


def _dicts(value: Any, where: str) -> list[Record]:
    return [_record(item, where) for item in _list(value, where)]


def _read_prodigy(record: Record, draft: _Draft) -> None:
    if isinstance(record.get("type"), str):
        draft.labels = (record["type"],)
    for span in _list(record["spans"], draft.where):
        if isinstance(span, list) and len(span) == 3:
            draft.add_span(*span)
            continue
        span = _record(span, draft.where)
        start, end = span.get("start"), span.get("end")
        draft.add_span(start, end, span.get("label"), (start, end), span.get("text"))
    for relation in _dicts(record.get("relations"), draft.where):
        head, tail = relation.get("head_span"), relation.get("child_span")
        if isinstance(head, dict) and isinstance(tail, dict):
            ends = ((end.get("start"), end.get("end")) for end in (head, tail))
            draft.add_relation(relation.get("label"), *ends)
        else:
            draft.add_problem(RELATION_LEFT_OUT)


def _read_doccano(record: Record, draft: _Draft) -> None:
    keys = ("entities", "label", "labels", "annotations")
    key = next((key for key in keys if key in record), None)
    if key is None:
        draft.add_problem(NO_ANNOTATION)
    for item in _list(record[key], draft.where) if key else []:
        if isinstance(item, list) and len(item) == 3:
            draft.add_span(*item)
        else:
            item = _record(item, draft.where)
            start, end = (item.get(f"{k}_offset", item.get(k)) for k in ("start", "end"))
            # The flat export of Label Studio has its labels in a list here.
            for label in _list(item.get("labels"), draft.where) or [item.get("label")]:
                if type(label) is int:
                    raise ClinnerError(
                        f"{draft.where}: a span has the number {label} in place of a label. "
                        f"Export from doccano as JSONL with the labels' text."
                    )
                draft.add_span(start, end, label, item.get("id"), item.get("text"))
    for relation in _dicts(record.get("relations"), draft.where):
        draft.add_relation(relation.get("type"), relation.get("from_id"), relation.get("to_id"))
    if record.get("Comments") or record.get("comments"):
        draft.add_problem(COMMENTS_LEFT_OUT)


def _read_label_studio(record: Record, draft: _Draft) -> None:
    done = []
    for annotation in _dicts(record["annotations"], draft.where):
        if annotation.get("was_cancelled"):
            draft.add_problem(CANCELLED)
        else:
            done.append(annotation)
    if not done:
        draft.add_problem(NO_ANNOTATION)
        return
    for _ in done[1:]:
        draft.add_problem(OTHER_ANNOTATOR)
    chosen = next((a for a in done if a.get("ground_truth")), done[0])
    results = [
        (result, result["value"] if isinstance(result.get("value"), dict) else {})
        for result in _dicts(chosen.get("result"), draft.where)
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


def _labels(value: Record, draft: _Draft) -> list[Any]:
    return _list(value.get("labels") or value.get("hypertextlabels"), draft.where)


def _add_relations(result: Record, draft: _Draft) -> None:
    head, tail = result.get("from_id"), result.get("to_id")
    direction = result.get("direction", "right")
    for label in _list(result.get("labels"), draft.where) or [None]:
        if direction in ("right", "bi"):
            draft.add_relation(label, head, tail)
        if direction in ("left", "bi"):
            draft.add_relation(label, tail, head)


def _add_properties(result: Record, value: Record, draft: _Draft) -> None:
    """What Label Studio asks about a region (choices, text, a rating) is an attribute of it."""
    kind = str(result.get("type"))
    values = value.get("text" if kind == "textarea" else kind)
    target = draft.names.get(str(result.get("id")))
    if target is None or values is None:
        draft.add_problem(RESULT_LEFT_OUT)
        return
    for item in values if isinstance(values, list) else [values]:
        name = f"A{len(draft.attributes) + 1}"
        draft.attributes.append(Attribute(name, str(result.get("from_name")), target, str(item)))
