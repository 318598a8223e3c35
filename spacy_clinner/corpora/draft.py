"""A note in the making, from the JSON record of a tool."""

from dataclasses import dataclass, field
from typing import Any

from spacy_clinner.corpora.checks import (
    LINE_ENDS,
    LINE_ENDS_LOST,
    NO_ANNOTATION,
    RELATION_LEFT_OUT,
    SURFACE_DIFFERS,
    UTF16,
    check_fragments,
    surface_fault,
)
from spacy_clinner.corpora.line_ends import from_utf16, recount
from spacy_clinner.corpora.note import Attribute, Fragment, Note, NoteSpan, Problem, Relation
from spacy_clinner.errors import ClinnerError

Record = dict[str, Any]


@dataclass
class Draft:
    """A note in the making.

    labels (tuple[str, ...] | None): The labels that were looked for, where these are not all.
    annotated (bool): Whether somebody annotated it.
    linked (bool): Whether anybody looked for relations.
    seconds (float | None): How long its annotator took.
    names (dict[str, str]): The record's own id of a span to ours.
    """

    where: str
    text: str
    spans: list[NoteSpan] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    labels: tuple[str, ...] | None = None
    annotated: bool = True
    linked: bool = True
    seconds: float | None = None
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
        given = plain(surface or "")
        if surface and surface_fault(given, self.text, fragments) == SURFACE_DIFFERS:
            fault = SURFACE_DIFFERS
            for count, reason in ((recount, LINE_ENDS), (from_utf16, UTF16)):
                if moved := count(self.text, fragments, given):
                    fragments, fault = moved, reason
                    break
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
        """A link between spans by the record's own ids of them; a problem where one is no span."""
        head, tail = (self.names.get(str(end)) for end in (head, tail))
        if head is None or tail is None:
            self.add_problem(RELATION_LEFT_OUT)
            return
        name = label if isinstance(label, str) and label else "relation"
        self.relations.append(Relation(f"R{len(self.relations) + 1}", name, head, tail))

    def add_attribute(self, label: str, target: str, value: Any) -> None:
        name = f"A{len(self.attributes) + 1}"
        self.attributes.append(Attribute(name, label, target, str(value)))

    def add_problem(self, reason: str) -> None:
        self.problems.append(Problem(self.where, reason))

    def set_unannotated(self) -> None:
        """Nobody annotated the note."""
        self.annotated = False
        self.add_problem(NO_ANNOTATION)

    def note(self, name: str) -> Note:
        return Note(
            name,
            self.text,
            tuple(self.spans),
            tuple(self.relations),
            tuple(self.attributes),
            labels=self.labels,
            annotated=self.annotated,
            linked=self.linked,
            seconds=self.seconds,
            source=self.where,
            problems=tuple(self.problems),
        )


def plain(words: str) -> str:
    """The words of a span: Label Studio writes "\\n" out, and squeezes white space."""
    return words.replace("\\n", " ")


def record_(item: Any, where: str) -> Record:
    """A JSON object; raises where it is none."""
    if not isinstance(item, dict):
        raise ClinnerError(f"{where}: expected a JSON object, found {type(item).__name__}.")
    return item


def list_(value: Any, where: str) -> list[Any]:
    """A list, empty for null; raises where it is none."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ClinnerError(f"{where}: expected a list, found {type(value).__name__}.")
    return value


def dicts(value: Any, where: str) -> list[Record]:
    """A list of JSON objects; raises where it is none."""
    return [record_(item, where) for item in list_(value, where)]
