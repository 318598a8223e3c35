"""BioC XML (Comeau et al., 2013)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from spacy_clinner.corpora.checks import (
    UNRESOLVED,
    check_fragments,
    flag_duplicate_ids,
    surface_fault,
)
from spacy_clinner.corpora.lines import read_lines
from spacy_clinner.corpora.note import Note, NoteSpan, Problem, Relation
from spacy_clinner.errors import ClinnerError

CUT_OFF = "the file is cut off after this document, what follows is lost"
LONGEST_NUMBER = 18
NOT_TWO_ENDS = "a relation of other than two ends, left out"


def read_bioc(path: Path) -> Iterator[Note]:
    """Read a BioC XML file.

    The text is that of the passages, each at its offset, with spaces between them. A label is the
    infon `type` of an annotation, codes are its infon `identifier`, split at "|". Spans are `T1`,
    `T2`, … in the order of the file: there an id may be of each passage's own counting, and what a
    relation means is looked for first in its own sentence or passage.

    path (Path): The file, plain or `.gz`. Of a file that is cut off, the whole documents are read.
    YIELDS (Note): One per document.
    RAISES (ClinnerError): The file is missing, empty, not UTF-8 or not BioC, passages overlap, or
        an annotation has no label or impossible offsets.
    """
    return flag_duplicate_ids(_notes(path))


def _notes(path: Path) -> Iterator[Note]:
    last: Note | None = None
    try:
        for document in _documents(path):
            if last is not None:
                yield last
            last = _note(path, document)
    except ParseError:
        if last is None:
            raise ClinnerError(f"{path}: not BioC XML, or cut off in its first document.") from None
        last = replace(last, problems=(*last.problems, Problem(last.source, CUT_OFF)))
    if last is None:
        raise ClinnerError(f"{path}: not BioC XML; no <document> in it.")
    yield last


def _documents(path: Path) -> Iterator[Element]:
    parser: Any = XMLPullParser()
    for _, line in read_lines(path):
        parser.feed(f"{line}\n")
        for _, element in parser.read_events():
            if element.tag == "document":
                yield element
                element.clear()
    parser.close()


def _note(path: Path, document: Element) -> Note:
    name = document.findtext("id", "").strip()
    source = f"{path}: document {name}"
    text = _text(document, source)
    problems: list[Problem] = []
    spans: list[NoteSpan] = []
    names: dict[Element, str] = {}
    for element in document.iter("annotation"):
        names[element] = f"T{len(spans) + 1}"
        span = _span(element, text, source, names[element])
        spans.append(span)
        fault = surface_fault(span.surface or "", text, span.fragments)
        if fault:
            problems.append(Problem(source, fault, span))
    relations: list[Relation] = []
    for element, meant in _relations(document, names, {}):
        ends = [(meant.get(n.get("refid", "")), n.get("role", "")) for n in element.iter("node")]
        if len(ends) != 2:
            problems.append(Problem(source, NOT_TWO_ENDS))
            continue
        (head, first), (tail, second) = ends
        if head is None or tail is None:
            problems.append(Problem(source, UNRESOLVED))
            continue
        label = _infons(element).get("type", "relation")
        roles = (first or "Arg1", second or "Arg2")
        relations.append(Relation(f"R{len(relations) + 1}", label, head, tail, roles))
    return Note(name, text, tuple(spans), tuple(relations), source=source, problems=tuple(problems))


def _text(document: Element, source: str) -> str:
    text = ""
    for passage in document.iter("passage"):
        # Where a passage has no text of its own, its sentences have it.
        parts = [passage] if passage.find("text") is not None else passage.findall("sentence")
        for part in parts:
            offset, words = _whole(part.findtext("offset"), source), part.findtext("text", "")
            if words and offset < len(text):
                raise ClinnerError(
                    f"{source}: a passage at offset {offset} begins before the one in front of it "
                    f"ends, at {len(text)}. Correct the offsets."
                )
            text = text.ljust(offset) + words
    if not text.strip():
        raise ClinnerError(f"{source}: has no text.")
    return text


def _relations(
    part: Element, names: Mapping[Element, str], outside: Mapping[str, str | None]
) -> Iterator[tuple[Element, Mapping[str, str | None]]]:
    """The relations in a part of a document, each with the spans that ids mean where it stands.

    An id that several annotations of the part have means none, but of one in a smaller part.
    """
    inside: dict[str, str | None] = {}
    for element in part.iter("annotation"):
        name = element.get("id", "")
        inside[name] = None if name in inside else names[element]
    meant = {**outside, **inside}
    for child in part:
        if child.tag == "relation":
            yield child, meant
        elif child.tag in ("passage", "sentence"):
            yield from _relations(child, names, meant)


def _span(element: Element, text: str, source: str, name: str) -> NoteSpan:
    infons = _infons(element)
    label = infons.get("type", "")
    places = [
        (_whole(place.get("offset"), source), _whole(place.get("length"), source))
        for place in element.iter("location")
    ]
    if not label or not places:
        raise ClinnerError(f"{source}: annotation {element.get('id')} needs a type and a location.")
    fragments = tuple(sorted((offset, offset + length) for offset, length in places))
    check_fragments(fragments, text, source)
    codes = infons.get("identifier", "")
    surface = element.findtext("text")
    return NoteSpan(name, label, fragments, surface, tuple(codes.split("|")) if codes else ())


def _infons(element: Element) -> dict[str, str]:
    return {i.get("key", ""): (i.text or "").strip() for i in element.findall("infon")}


def _whole(number: str | None, source: str) -> int:
    if number is None or not number.strip().isdecimal() or len(number.strip()) > LONGEST_NUMBER:
        raise ClinnerError(f"{source}: an offset or length is missing or no whole number.")
    return int(number)
