"""JSON with character offsets: clinner's own lines, Prodigy, doccano and Label Studio."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from spacy_clinner.corpora.annotators import Annotated, Session, decide, first, unannotated
from spacy_clinner.corpora.checks import check_fragments, flag_duplicate_ids
from spacy_clinner.corpora.doccano import by_user, read_doccano
from spacy_clinner.corpora.draft import Draft, Record, record_
from spacy_clinner.corpora.label_studio import NOTE_ID, finished, is_task, read_annotation, text_key
from spacy_clinner.corpora.lines import read_lines
from spacy_clinner.corpora.note import Note
from spacy_clinner.corpora.prodigy import is_example, read_prodigy
from spacy_clinner.corpora.serialization import decode_note, encode
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole

logger = logging.getLogger(__name__)

# The key that marks clinner's own lines, with the version of their layout.
OWN, OWN_VERSION = "clinner", 1
ENDINGS = {".json", ".jsonl"}
# Where a record says who annotated it.
PRODIGY, DOCCANO = ("_annotator_id", "_session_id"), ("annotator", "user", "username")


def read_jsonl(path: Path, annotator: str | None = None) -> Iterator[Note]:
    """Read JSON records, one per line or as one list.

    The shape is found for every record: clinner's own (all that a `Note` holds), Prodigy
    (`spans`, which may also be lists of start, end and label; examples not accepted are left out,
    and counted in the log), doccano (`label`, `labels`, or `entities` with `relations`) or Label
    Studio (a text in `data`, and `annotations`). Beside `spans`, a `type` names the one label that
    was looked for in the text; records that have it as null are left out, and counted, too.
    A record whose text is empty or null is a note that nobody annotated.

    path (Path): The file, plain or `.gz`, or a folder of them.
    annotator (str | None): Whose annotations count, see `jsonl_by_annotator`; "vote" for what most
        of them agree on; None for the one of a record that is marked as ground truth, or the
        first.
    YIELDS (Note): One per record.
    RAISES (ClinnerError): The file is missing, empty, not UTF-8 or not JSON, a record is of no
        known shape, or a span has no label or impossible offsets.
    """
    if annotator is not None:
        return flag_duplicate_ids(decide(jsonl_by_annotator(path), annotator))
    return flag_duplicate_ids(_as_made_last(path))


def _as_made_last(path: Path) -> Iterator[Note]:
    """Each note as who annotated it left it last: who did so again meant that."""
    made: dict[object, list[Annotated]] = {}
    for at, record in enumerate(record for file in _files(path) for record in _notes(file)):
        who, note = record[0]
        # Of records that name nobody, each is a note of its own.
        key = at if who is None else (who, note.id, note.text, note.labels)
        made.setdefault(key, []).append((who, first(record)))
    for again in made.values():
        yield first(again[::-1])


def jsonl_by_annotator(path: Path) -> Iterator[Annotated]:
    """Read JSON records with who annotated them.

    That is the e-mail address or number of an annotation of Label Studio (those that were cancelled
    are left out); `_annotator_id` or `_session_id` of Prodigy; `annotator`, `user` or `username` of
    a record, or `user` of its annotations, of doccano; or else, in a folder, the name of the file
    without its ending, as in what doccano exports of a project with several annotators.

    path (Path): As `read_jsonl` takes it.
    YIELDS (tuple[str | None, Note]): The annotator, and the note as this one left it; of records
        that have no id, those with one text have one.
    RAISES (ClinnerError): As `read_jsonl`.
    """
    alike: dict[str, str] = {}
    for file in _files(path):
        for record in _notes(file, alike):
            for who, note in record:
                yield who or (file.name.split(".")[0] if path.is_dir() else None), note


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = [file for file in sorted(path.iterdir()) if ENDINGS & {*file.suffixes}]
    if not files:
        raise ClinnerError(f"{path}: no .json or .jsonl file there.")
    return files


def write_jsonl(notes: Iterable[Note], path: Path) -> None:
    """Write notes so that `read_jsonl` reads them back without loss, problems included.

    notes (Iterable[Note]): The notes.
    path (Path): The file; it appears once it is whole, and only the user may read it (mode 0600).
    """
    # Plain ASCII: no character in a line can be taken for its end, whatever reads it.
    lines = (json.dumps({OWN: OWN_VERSION, **encode(note)}) + "\n" for note in notes)
    with written_whole(path, private=True) as partial:
        partial.write_text("".join(lines), encoding="ascii", newline="\n")


def _notes(path: Path, alike: dict[str, str] | None = None) -> Iterator[list[Annotated]]:
    """Of each record the note, or those of its annotators.

    alike (dict[str, str] | None): By text the id of records that have none, changed in place; None
        where each gets another.
    """
    stem = path.name.split(".")[0]
    left_out: Counter[str] = Counter()
    number = 0
    records, key = _with_text_key(_records(path))
    for number, (where, record) in enumerate(records, 1):
        answer = record.get("answer", "accept")
        if answer != "accept":
            left_out[str(answer)] += 1
        elif record.get("type", "") is None:
            left_out["without a type"] += 1
        elif OWN in record:
            yield [(None, _own(record, where))]
        else:
            draft = Draft(where, _text(record, where, key))
            name = f"{stem}-{number}"
            yield _read(
                record, draft, name if alike is None else alike.setdefault(draft.text, name)
            )
    if not number:
        raise ClinnerError(f"{path}: an empty list, no record in it.")
    if left_out:
        counts = ", ".join(f"{n} {answer!r}" for answer, n in left_out.items())
        logger.warning("%s: examples not accepted, left out: %s", path, counts)


def _with_text_key(
    records: Iterator[tuple[str, Record]],
) -> tuple[Iterable[tuple[str, Record]], str | None]:
    """The records, and for tasks of Label Studio the name of their text."""
    for where, record in records:
        if is_task(record):
            tasks = [(where, record), *records]
            return tasks, text_key(task for task in tasks if is_task(task[1]))
        return chain([(where, record)], records), None
    return [], None


def _read(record: Record, draft: Draft, unnamed: str) -> list[Annotated]:
    """The notes of a record of a tool."""
    name = _id(record) or unnamed
    if not draft.text:
        draft.set_unannotated()
        return [(None, draft.note(name))]
    if is_task(record):
        return _label_studio(record, draft, name)
    if is_example(record):
        read_prodigy(record, draft)
        who = _annotator(record, PRODIGY)
        return [(None if who is None else Session(who), draft.note(name))]
    found = []
    for user, own in by_user(record):
        of_user = Draft(draft.where, draft.text)
        read_doccano(own, of_user)
        found.append((user or _annotator(record, DOCCANO), of_user.note(name)))
    return found


def _annotator(record: Record, keys: Iterable[str]) -> str | None:
    return next((str(record[key]) for key in keys if record.get(key) is not None), None)


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
                yield f"{path}[{i}]", record_(item, f"{path}[{i}]")
        else:
            yield where, record_(_parsed(line, where), where)


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
    if not note.text and note.annotated:
        note = unannotated(replace(note, source=note.source or where))
    seen: set[str] = set()
    for span in note.spans:
        if not span.fragments or span.id in seen:
            raise ClinnerError(f"{where}: a span without offsets, or with the id of another.")
        check_fragments(span.fragments, note.text, where)
        if list(span.fragments) != sorted(span.fragments):
            raise ClinnerError(f"{where}: the fragments of {span.id} are not in reading order.")
        seen.add(span.id)
    return replace(note, source=note.source or where)


def _text(record: Record, where: str, key: str | None) -> str:
    """The text: `text`, in `data` for Label Studio, where it may have another name (`key`); old
    versions of doccano have it as `data`."""
    data = record.get("data")
    in_data = data.get(key or "text", data) if isinstance(data, dict) else data
    text = record.get("text", in_data)
    if text is None and ("text" in record or "data" in record):
        text = ""
    if not isinstance(text, str):
        raise ClinnerError(
            f"{where}: no text. Known are clinner's own records, Prodigy (`text`, `spans`), "
            f"doccano (`text`, `label` or `entities`), Label Studio (`data.text`, `annotations`)."
        )
    _check_text(text, where)
    return text


def _label_studio(record: Record, draft: Draft, name: str) -> list[Annotated]:
    """The note of a task of Label Studio, by each annotator."""
    found: list[Annotated] = []
    # Where an annotation was cancelled is told of once.
    done = finished(record, draft)
    for who, annotation in done:
        own = draft if not found else Draft(draft.where, draft.text)
        read_annotation(annotation, own)
        found.append((who, own.note(name)))
    if not found:
        draft.set_unannotated()
        found.append((None, draft.note(name)))
    return found


def _check_text(text: str, where: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ClinnerError(
                f"{where}: character {error.start} of the text is half of a surrogate pair. "
                f"Export it again as UTF-8."
            ) from None


def _id(record: Record) -> str | None:
    """What `clinner suggest` gave the tool as `note_id`, or else the tool's own number."""
    places = [record, *(record.get(key) for key in ("data", "meta"))]
    known = [place for place in places if isinstance(place, dict)]
    found = [place[NOTE_ID] for place in known if place.get(NOTE_ID) is not None]
    found += [record.get("id"), *(p.get("id") for p in known[1:] if p is record.get("meta"))]
    return next((str(name) for name in found if name is not None), None)
