r"""The lines of brat's `.ann` files (standoff annotation), both ways.

brat cannot express every note: labels have no spaces, ids begin with the letter of their kind,
and there is no place for codes. What had to be changed to fit is said in a comment, as JSON, on
the annotation concerned: `#7\tclinner T1\t{"codes": ["D003920"], "written": {"codes": []}}`. Other
tools see a comment; the reader here puts back what still stands as it was written.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from itertools import count
from typing import Any

from spacy_clinner.corpora.checks import BREAK, SURFACE_DIFFERS, Annotation, surface_fault
from spacy_clinner.corpora.note import (
    Attribute,
    Comment,
    Equivalence,
    Event,
    Normalization,
    Note,
    NoteSpan,
    Problem,
    Relation,
)
from spacy_clinner.corpora.serialization import decode_field, encode
from spacy_clinner.errors import ClinnerError

UNREADABLE_RESTORATION = "comment of clinner that cannot be read, kept as a comment"
RESTORATION = "clinner"
# The target of a restoration that is about the note as a whole.
WHOLE_NOTE = "note"
# In a restoration, what stands in the line in place of each value; and of a note, the labels that
# annotators choose from, by how they are written.
WRITTEN, NAMES = "written", "names"
# What cannot stand in a label, or in a list of labels in brat's configuration.
NO_LABEL = re.compile(r"[\s:|,<>\[\]#!]")

GAP, ITEM, REST = r"[ \t]+", r"([^ \t]+)", r"(?:[ \t](.*))?"
SPAN = re.compile(
    rf"(T[0-9][^ \t]*){GAP}{ITEM}{GAP}"
    r"([0-9]{1,9}[ \t]+[0-9]{1,9}(?:;[0-9]{1,9}[ \t]+[0-9]{1,9})*)(?:(?: *\t| )(.*))?",
    re.DOTALL,
)
RELATION = re.compile(
    rf"(R[0-9][^ \t]*){GAP}{ITEM}{GAP}([^ \t:]+):{ITEM}{GAP}([^ \t:]+):{ITEM}[ \t]*"
)
EVENT = re.compile(rf"(E[0-9][^ \t]*){GAP}(.+)", re.DOTALL)
ATTRIBUTE = re.compile(rf"([AM][0-9][^ \t]*){GAP}{ITEM}{GAP}{ITEM}{REST}", re.DOTALL)
NORMALIZATION = re.compile(
    rf"(N[0-9][^ \t]*){GAP}{ITEM}{GAP}{ITEM}{GAP}([^ \t:]+):{ITEM}{REST}", re.DOTALL
)
COMMENT = re.compile(rf"(#[0-9][^ \t]*){GAP}{ITEM}{GAP}{ITEM}{REST}", re.DOTALL)
EQUIVALENCE = re.compile(rf"\*{GAP}{ITEM}{GAP}(.+)", re.DOTALL)
# An id that brat accepts, by the letter of its kind.
IDS = {
    NoteSpan: re.compile(r"T[0-9][0-9A-Za-z_.-]*"),
    Event: re.compile(r"E[0-9][0-9A-Za-z_.-]*"),
    Relation: re.compile(r"R[0-9][0-9A-Za-z_.-]*"),
    Attribute: re.compile(r"[AM][0-9][0-9A-Za-z_.-]*"),
    Normalization: re.compile(r"N[0-9][0-9A-Za-z_.-]*"),
    Comment: re.compile(r"#[0-9][0-9A-Za-z_.-]*"),
}
LETTERS = {
    NoteSpan: "T",
    Event: "E",
    Relation: "R",
    Attribute: "A",
    Normalization: "N",
    Comment: "#",
}
# Half of a surrogate pair, which JSON can hold and UTF-8 cannot.
SURROGATE = re.compile("[\ud800-\udfff]")

Placed = tuple[str, Annotation]


def parse_line(line: str) -> Annotation | None:
    """One line of an `.ann` file.

    line (str): Without its end.
    RETURNS (Annotation | None): The annotation, a span's fragments in the order of the line; None
        when the line is none.
    """
    parse = PARSERS.get(line[:1])
    return parse(line) if parse else None


def _span(line: str) -> NoteSpan | None:
    found = SPAN.fullmatch(line)
    if not found:
        return None
    pairs = (pair.split() for pair in found[3].split(";"))
    return NoteSpan(found[1], found[2], tuple((int(s), int(e)) for s, e in pairs), found[4])


def _relation(line: str) -> Relation | None:
    found = RELATION.fullmatch(line)
    return found and Relation(found[1], found[2], found[4], found[6], (found[3], found[5]))


def _event(line: str) -> Event | None:
    found = EVENT.fullmatch(line)
    if not found:
        return None
    pairs = [item.partition(":") for item in re.split(GAP, found[2].strip(" \t"))]
    if not all(role and target for role, _, target in pairs):
        return None
    (label, _, trigger), *arguments = pairs
    return Event(found[1], label, trigger, tuple((role, target) for role, _, target in arguments))


def _attribute(line: str) -> Attribute | None:
    found = ATTRIBUTE.fullmatch(line)
    return found and Attribute(found[1], found[2], found[3], (found[4] or "").strip(" \t") or None)


def _normalization(line: str) -> Normalization | None:
    found = NORMALIZATION.fullmatch(line)
    return found and Normalization(*found.groups(default=""))


def _comment(line: str) -> Comment | None:
    found = COMMENT.fullmatch(line)
    return found and Comment(*found.groups(default=""))


def _equivalence(line: str) -> Equivalence | None:
    found = EQUIVALENCE.fullmatch(line)
    return found and Equivalence(found[1], tuple(re.split(GAP, found[2].strip(" \t"))))


PARSERS: Mapping[str, Callable[[str], Annotation | None]] = {
    "T": _span,
    "R": _relation,
    "E": _event,
    "A": _attribute,
    "M": _attribute,
    "N": _normalization,
    "#": _comment,
    "*": _equivalence,
}


def write_lines(note: Note, name: str, names: Mapping[str, str] | None = None) -> Iterator[str]:
    """A note as the lines of an `.ann` file.

    note (Note): The note.
    name (str): The id that its file name gives it.
    names (Mapping[str, str] | None): What a label means that an annotator gives a span, as
        `brat_names` has it.
    YIELDS (str): Lines without their ends.
    """
    annotations = list_annotations(note)
    brat_ids = _brat_ids(annotations)
    written: dict[str, str] = {}
    for annotation, brat_id in zip(annotations, brat_ids, strict=True):
        if not isinstance(annotation, Equivalence):
            written.setdefault(annotation.id, brat_id)
    no_surfaces = bool(note.spans) and all(span.surface is None for span in note.spans)
    changes: dict[str, dict[str, Any]] = {}
    for annotation, brat_id in zip(annotations, brat_ids, strict=True):
        line = _line(annotation, brat_id, written, note.text)
        yield line
        parsed = parse_line(line)
        if no_surfaces and isinstance(parsed, NoteSpan):
            parsed = replace(parsed, surface=None)
        changed = {
            field.name: encode(getattr(annotation, field.name))
            for field in fields(annotation)
            if getattr(parsed, field.name) != getattr(annotation, field.name)
        }
        if changed:
            stands = {key: encode(getattr(parsed, key)) for key in changed}
            changes[brat_id] = {**changed, WRITTEN: stands}
    whole: dict[str, Any] = {"id": note.id} if note.id != name else {}
    if note.labels is not None:
        whole["labels"] = encode(note.labels)
    if not note.annotated:
        whole["annotated"] = False
    if names:
        whole[NAMES] = dict(names)
    if not note.linked:
        whole["linked"] = False
    if no_surfaces:
        whole["surface"] = None
    if whole:
        changes[WHOLE_NOTE] = whole
    taken = set(brat_ids)
    free = (f"#{n}" for n in count(1) if f"#{n}" not in taken)
    for target, changed in changes.items():
        yield f"{next(free)}\t{RESTORATION} {target}\t{json.dumps(changed)}"


def list_annotations(note: Note) -> list[Annotation]:
    """All annotations of a note, in the order in which they are written."""
    return [
        *note.spans,
        *note.events,
        *note.relations,
        *note.attributes,
        *note.normalizations,
        *note.equivalences,
        *note.comments,
    ]


def _brat_ids(annotations: list[Annotation]) -> list[str]:
    """For each annotation its own id where brat can have it, otherwise a free one.

    An equivalence has none in the file; restorations call the second one "*2".
    """
    own = {a.id for a in annotations if not isinstance(a, Equivalence)}
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
    names: dict[str, None] = {}
    for annotation in annotations:
        if isinstance(annotation, Equivalence):
            name = f"*{next(numbers['*'])}"
        elif IDS[type(annotation)].fullmatch(annotation.id) and annotation.id not in names:
            name = annotation.id
        else:
            letter = LETTERS[type(annotation)]
            name = next(f"{letter}{n}" for n in numbers[letter] if f"{letter}{n}" not in own)
        names[name] = None
    return list(names)


def _line(annotation: Annotation, name: str, names: dict[str, str], text: str) -> str:
    def to(target: str) -> str:
        return names.get(target) or _word(target)

    label = brat_label(annotation.label)
    match annotation:
        case NoteSpan(fragments=fragments, surface=surface):
            offsets = ";".join(f"{start} {end}" for start, end in fragments)
            # A text that is not at the offsets would tell the reader that these are wrong.
            if surface is None or surface_fault(surface, text, fragments) == SURFACE_DIFFERS:
                surface = " ".join(text[start:end] for start, end in fragments)
            return f"{name}\t{label} {offsets}\t{_rest(surface)}"
        case Event(trigger=trigger, arguments=arguments):
            roles = (f" {brat_label(role)}:{to(t)}" for role, t in arguments)
            return f"{name}\t{label}:{to(trigger)}{''.join(roles)}"
        case Relation(head=head, tail=tail, roles=roles):
            first, second = map(brat_label, roles)
            return f"{name}\t{label} {first}:{to(head)} {second}:{to(tail)}"
        case Attribute(target=target, value=value):
            return f"{name}\t{label} {to(target)}" + (f" {_rest(value)}" if value else "")
        case Normalization(target=target, resource=resource, entry=entry):
            resource = _word(resource).replace(":", "_")
            return f"{name}\t{label} {to(target)} {resource}:{_word(entry)}\t" + _rest(
                annotation.text
            )
        case Equivalence(members=members):
            return f"*\t{label} {' '.join(map(to, members)) or '_'}"
        case Comment(target=target):
            label += "_" if label == RESTORATION else ""
            return f"{name}\t{label} {to(target)}\t{_rest(annotation.text)}"


def brat_label(label: str) -> str:
    """A label as brat can have it."""
    return NO_LABEL.sub("_", _word(label))


def brat_names(labels: Iterable[str]) -> dict[str, str]:
    """How brat writes labels.

    labels (Iterable[str]): The labels.
    RETURNS (dict[str, str]): Those that it writes otherwise, by how it writes them.
    RAISES (ClinnerError): It would write two of them alike.
    """
    names: dict[str, str] = {}
    for label in labels:
        if (other := names.setdefault(brat_label(label), label)) != label:
            raise ClinnerError(
                f"brat would write the labels {other!r} and {label!r} alike. Rename one, or "
                f"correct in another tool."
            )
    return {word: label for word, label in names.items() if word != label}


def _word(value: str) -> str:
    return SURROGATE.sub("_", re.sub(r"\s", "_", value)) or "_"


def _rest(value: str) -> str:
    return SURROGATE.sub("?", BREAK.sub(" ", value))


def restore(annotations: list[Placed]) -> tuple[list[Placed], dict[str, Any], list[Problem]]:
    """Put back what `write_lines` had to change.

    annotations (list[tuple[str, Annotation]]): "file:line" and annotation, of one note.
    RETURNS (tuple[list[tuple[str, Annotation]], dict[str, Any], list[Problem]]): The annotations
        without the comments that say so; by their fields the note's own id, if it is not its
        file's name, its labels, if it has any, that nobody annotated it or looked for relations, if
        nobody did; and the comments that could not be read.
    """
    kept: list[Placed] = []
    comments: list[tuple[str, Comment]] = []
    places: dict[str, int] = {}
    equivalences = count(1)
    for where, annotation in annotations:
        if isinstance(annotation, Comment) and annotation.label == RESTORATION:
            comments.append((where, annotation))
        else:
            if isinstance(annotation, Equivalence):
                name = f"*{next(equivalences)}"
            else:
                name = annotation.id
            places.setdefault(name, len(kept))
            kept.append((where, annotation))
    whole: dict[str, Any] = {}
    names: dict[str, str] = {}
    problems = []
    # That of the note first: what is said of one span goes beyond what is said of all.
    for where, comment in sorted(comments, key=lambda placed: placed[1].target != WHOLE_NOTE):
        try:
            changes = dict(json.loads(comment.text))
            if comment.target == WHOLE_NOTE:
                whole |= {
                    name: decode_field(Note, name, changes[name])
                    for name in ("id", "labels", "annotated", "linked")
                    if name in changes
                }
                names = {word: str(label) for word, label in dict(changes.get(NAMES, {})).items()}
                if "surface" in changes:
                    kept = [(at, _without_surface(a)) for at, a in kept]
            else:
                place = places[comment.target]
                at, annotation = kept[place]
                kept[place] = at, _put_back(annotation, changes)
        except (ValueError, TypeError, KeyError, RecursionError):
            problems.append(Problem(where, UNREADABLE_RESTORATION))
            kept.append((where, comment))
    return [(at, _named(a, names)) for at, a in kept], whole, problems


def _named(annotation: Annotation, names: Mapping[str, str]) -> Annotation:
    if isinstance(annotation, NoteSpan) and annotation.label in names:
        return replace(annotation, label=names[annotation.label])
    return annotation


def _without_surface(annotation: Annotation) -> Annotation:
    return replace(annotation, surface=None) if isinstance(annotation, NoteSpan) else annotation


def _put_back(annotation: Annotation, changes: dict[str, Any]) -> Annotation:
    """An annotation with its values, but for those that somebody changed since it was written."""
    written = dict(changes.pop(WRITTEN, {}))
    if "fragments" in changes:
        raise TypeError("offsets are on the line itself")
    kind = type(annotation)
    values = {name: decode_field(kind, name, value) for name, value in changes.items()}
    stands = {name: encode(getattr(annotation, name)) for name in values}
    kept = {
        name: v for name, v in values.items() if written.get(name, stands[name]) == stands[name]
    }
    return replace(annotation, **kept)
