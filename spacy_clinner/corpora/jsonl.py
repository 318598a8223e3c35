"""JSON with character offsets: clinner's own lines, Prodigy, doccano and Label Studio."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from spacy_clinner.corpora.checks import (
    NO_ANNOTATION,
    OTHER_ANNOTATOR,
    check_fragments,
    flag_duplicate_ids,
)
from spacy_clinner.corpora.doccano import read_doccano
from spacy_clinner.corpora.draft import Draft, Record, record_
from spacy_clinner.corpora.label_studio import finished, read_annotation, text_of
from spacy_clinner.corpora.lines import read_lines
from spacy_clinner.corpora.note import Note
from spacy_clinner.corpora.prodigy import read_prodigy
from spacy_clinner.corpora.serialization import decode_note, encode
from spacy_clinner.corpora.votes import VOTE, vote
from spacy_clinner.errors import ClinnerError
from spacy_clinner.files import written_whole

logger = logging.getLogger(__name__)

# The key that marks clinner's own lines, with the version of their layout.
OWN, OWN_VERSION = "clinner", 1


def read_jsonl(path: Path, annotator: str | None = None) -> Iterator[Note]:
    """Read JSON records, one per line or as one list.

    The shape is found for every record: clinner's own (all that a `Note` holds), Prodigy
    (`spans`, which may also be lists of start, end and label; examples not accepted are left out,
    and counted in the log), doccano (`label`, `labels`, or `entities` with `relations`) or Label
    Studio (a text in `data`, and `annotations`). Beside `spans`, a `type` names the one label that
    was looked for in the text; records that have it as null are left out, and counted, too.

    path (Path): The file, plain or `.gz`.
    annotator (str | None): Whose annotations of Label Studio count: an e-mail address or a number,
        "vote" for what most of them agree on, None for the one marked as ground truth or the
        first. Those that were cancelled never do.
    YIELDS (Note): One per record.
    RAISES (ClinnerError): The file is missing, empty, not UTF-8 or not JSON, a record is of no
        known shape, or a span has no label or impossible offsets.
    """
    return flag_duplicate_ids(_notes(path, annotator))


def write_jsonl(notes: Iterable[Note], path: Path) -> None:
    """Write notes so that `read_jsonl` reads them back without loss, problems included.

    notes (Iterable[Note]): The notes.
    path (Path): The file; it appears once it is whole, and only the user may read it (mode 0600).
    """
    # Plain ASCII: no character in a line can be taken for its end, whatever reads it.
    lines = (json.dumps({OWN: OWN_VERSION, **encode(note)}) + "\n" for note in notes)
    with written_whole(path, private=True) as partial:
        partial.write_text("".join(lines), encoding="ascii", newline="\n")


def _notes(path: Path, annotator: str | None) -> Iterator[Note]:
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
        draft = Draft(where, _text(record, where))
        name = _id(record) or f"{stem}-{number}"
        if "annotations" in record and isinstance(record.get("data"), dict):
            yield _label_studio(record, draft, name, annotator)
            continue
        if "spans" in record:
            read_prodigy(record, draft)
        else:
            read_doccano(record, draft)
        yield draft.note(name)
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
    text = record.get("text", text_of(record, where) if isinstance(data, dict) else data)
    if not isinstance(text, str):
        raise ClinnerError(
            f"{where}: no text. Known are clinner's own records, Prodigy (`text`, `spans`), "
            f"doccano (`text`, `label` or `entities`), Label Studio (`data.text`, `annotations`)."
        )
    _check_text(text, where)
    return text


def _label_studio(record: Record, draft: Draft, name: str, annotator: str | None) -> Note:
    """The note of a task of Label Studio."""
    done = finished(record, draft)
    if annotator == VOTE:
        voters = []
        for _, annotation in done:
            voter = Draft(draft.where, draft.text)
            read_annotation(annotation, voter)
            voters.append(voter.note(name))
        if voters:
            agreed = vote(voters)
            return replace(agreed, problems=(*draft.problems, *agreed.problems))
    chosen = [annotation for by, annotation in done if annotator in (None, VOTE, by)]
    if chosen:
        read_annotation(chosen[0], draft)
    else:
        draft.add_problem(NO_ANNOTATION)
    for _ in range(len(done) - 1):
        draft.add_problem(OTHER_ANNOTATOR)
    return draft.note(name)


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
    """What `clinner suggest` gave the tool as `note_id`, or else the tool's own number."""
    places = [record, *(record.get(key) for key in ("data", "meta"))]
    known = [place for place in places if isinstance(place, dict)]
    found = [place["note_id"] for place in known if place.get("note_id") is not None]
    found += [record.get("id"), *(p.get("id") for p in known[1:] if p is record.get("meta"))]
    return next((str(name) for name in found if name is not None), None)
