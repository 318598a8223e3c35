"""BioC XML (Comeau et al., 2013)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from spacy_clinner.corpora.checks import (
    Annotation,
    check_fragments,
    flag_duplicate_ids,
    surface_fault,
    unresolved,
)
from spacy_clinner.corpora.lines import read_lines
from spacy_clinner.corpora.note import Note, NoteSpan, Problem, Relation
from spacy_clinner.errors import ClinnerError

CUT_OFF = "the file is cut off after this document, what follows is lost"
NOT_TWO_ENDS = "a relation of other than two ends, left out"


def read_bioc(path: Path) -> Iterator[Note]:
    """Read a BioC XML file.

    The text is that of the passages, each at its offset, with spaces between them. A label is the
    infon `type` of an annotation, codes are its infon `identifier`, split at "|".

    path (Path): The file, plain or `.gz`. Of a file that is cut off, the whole documents are read.
    YIELDS (Note): One per document.
    RAISES (ClinnerError): The file is missing, empty, not UTF-8 or not BioC, or an annotation has
        no label or impossible offsets.
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
    text = ""
    for passage in document.iter("passage"):
        # Where a passage has no text of its own, its sentences have it.
        parts = [passage] if passage.find("text") is not None else passage.findall("sentence")
        for part in parts:
            text = text.ljust(_whole(part.findtext("offset"), source)) + part.findtext("text", "")
    if not text.strip():
        raise ClinnerError(f"{source}: has no text.")
    problems: list[Problem] = []
    spans: list[NoteSpan] = []
    for element in document.iter("annotation"):
        span = _span(element, text, source, f"T{len(spans) + 1}")
        spans.append(span)
        fault = surface_fault(span.surface or "", text, span.fragments)
        if fault:
            problems.append(Problem(source, fault, span))
    relations: list[Relation] = []
    for element in document.iter("relation"):
        ends = [(node.get("refid", ""), node.get("role", "")) for node in element.iter("node")]
        if len(ends) != 2:
            problems.append(Problem(source, NOT_TWO_ENDS))
            continue
        (head, first), (tail, second) = ends
        label = _infons(element).get("type", "relation")
        name_ = f"R{len(relations) + 1}"
        relations.append(Relation(name_, label, head, tail, (first or "Arg1", second or "Arg2")))
    annotations: list[Annotation] = [*spans, *relations]
    return Note(
        name,
        text,
        tuple(spans),
        tuple(relations),
        source=source,
        problems=(*problems, *unresolved((source, a) for a in annotations)),
    )


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
    return NoteSpan(
        element.get("id") or name,
        label,
        fragments,
        element.findtext("text"),
        tuple(codes.split("|")) if codes else (),
    )


def _infons(element: Element) -> dict[str, str]:
    return {i.get("key", ""): (i.text or "").strip() for i in element.findall("infon")}


def _whole(number: str | None, source: str) -> int:
    if number is None or not number.strip().isdecimal():
        raise ClinnerError(f"{source}: an offset or length is missing or no whole number.")
    return int(number)
