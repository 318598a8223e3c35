"""What is said of a document and its spans: plain data, kept beside the text it was said of.

Everything stands in one sheet in `doc.user_data`, with offsets into the sheet's own copy of the
text. Its key has the form that spaCy shifts in `Span.as_doc` and `Doc.from_docs`,
`("._.", name, start, end)`, so that a document made of others finds the sheets of all of them, each
where its text begins. It then takes over what was said of words that are there (`sheets.py`): what
is left of a sheet whose text was cut off is never mistaken for a judgement of other words.

A sheet is replaced in parts and never changed inside: documents that spaCy makes of one share them.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary
from zlib import crc32

from spacy.attrs import ORTH, SPACY
from spacy.tokens import Doc, Span

from spacy_clinner.annotation.sheets import Entry, Sheet, join_sheets
from spacy_clinner.annotation.spans import all_spans

# There is no extension of this name. After it stand checksums of the sheet's text, so that two
# sheets never have the same key, and of the tokens that the text was of: putting the text of a
# document together takes ten times as long as looking at its tokens.
NAME = "clinner_sheet"
# What is said of a span under its label, and of no other one with the same offsets.
OF_LABEL = frozenset({"confidence", "layer", "codes", "semantic_group", "color", "match"})

Key = tuple[str, str, int, int]
# The sheets that were compared with the text of their document, which takes time. Not in the
# document: spaCy would copy it to documents with other texts.
_settled: "WeakKeyDictionary[Doc, tuple[Key, Sheet]]" = WeakKeyDictionary()


def sheet_of(doc: Doc) -> Sheet | None:
    """The sheet of a document.

    doc (Doc): The document. Sheets that it has from others are joined to one.
    RETURNS (Sheet | None): The sheet, whose text is that of the document; None where nothing was
        ever said. To be read only.
    """
    data = _data(doc)
    known = _settled.get(doc)
    if known is not None and data.get(known[0]) is known[1]:
        found: Sheet = known[1]
        return found
    keys = _keys(data)
    if not keys:
        return None
    only: Sheet = data[keys[0]]
    if len(keys) == 1 and keys[0] == _key(doc, only["text"]):
        _settled[doc] = keys[0], only
        return only
    text = doc.text
    if len(keys) == 1 and keys[0][2] == 0 and only["text"] == text:
        return _put(doc, only)
    return _put(doc, join_sheets(text, [(key[2], data[key]) for key in keys]))


def _data(doc: Doc) -> dict[Any, Any]:
    """The user data of a document; by spaCy's own type of it, keys were strings."""
    data: dict[Any, Any] = doc.user_data
    return data


def _key(doc: Doc, text: str) -> Key:
    """The key of a sheet whose text is that of a document."""
    checksum = crc32(text.encode("utf8", "surrogatepass"))
    tokens = crc32(doc.to_array([ORTH, SPACY]).tobytes())
    return "._.", f"{NAME}_{checksum:08x}{tokens:08x}", 0, len(text)


def _keys(data: Mapping[Any, Any]) -> list[Key]:
    return [
        key
        for key in data
        if isinstance(key, tuple)
        and len(key) == 4
        and key[0] == "._."
        and str(key[1]).startswith(NAME)
    ]


def _put(doc: Doc, sheet: Sheet) -> Sheet:
    """Make a sheet, which has the document's text, its only one."""
    data = _data(doc)
    own = _key(doc, sheet["text"])
    for key in _keys(data):
        if key != own:
            del data[key]
    data[own] = sheet
    _settled[doc] = (own, sheet)
    return sheet


def _writable(doc: Doc) -> Sheet:
    found = sheet_of(doc)
    if found is not None:
        return found
    return _put(doc, {"text": doc.text, "spans": {}})


def set_sheet(doc: Doc, sheet: Sheet) -> None:
    """Give a document a sheet in place of what it has.

    doc (Doc): The document.
    sheet (Sheet): The sheet; where its text is another one, what fits is taken of it.
    """
    text = doc.text
    same = sheet["text"] == text
    _put(doc, Sheet(**sheet) if same else join_sheets(text, [(0, sheet)]))


def values(span: Span) -> Mapping[str, Any]:
    """What is said of a span, as plain data by name.

    A span that nobody spoke of, and that stands where one of another label or id stood that the
    document no longer has, is taken for that one with a new label; an unlabelled slice, for the
    words alone. Neither has a confidence.

    span (Span): The span.
    RETURNS (Mapping[str, Any]): To be read only; empty where nothing is said.
    """
    sheet = sheet_of(span.doc)
    if sheet is None:
        return {}
    entries = sheet["spans"].get(_place(span), ())
    for label, span_id, said in entries:
        if label == span.label_ and span_id == span.id_:
            return said
    return _inherited(span, entries) if entries else {}


def _inherited(span: Span, entries: Iterable[Entry]) -> Mapping[str, Any]:
    candidates = list(entries)
    if span.label or span.id:
        here = (span.start_char, span.end_char)
        there = {
            (other.label_, other.id_)
            for other in all_spans(span.doc)
            if (other.start_char, other.end_char) == here
        }
        candidates = [entry for entry in candidates if (entry[0], entry[1]) not in there]
    same_label = [entry for entry in candidates if entry[0] == span.label_]
    said = [entry[2] for entry in same_label or candidates]
    return {
        name: value
        for name, value in (said[0] if said else {}).items()
        if all(name in other and other[name] == value for other in said[1:])
        and (same_label or name not in OF_LABEL)
    }


def write(doc: Doc, said: Iterable[tuple[Span, Mapping[str, Any]]]) -> None:
    """Say something of spans, on top of what is said of them.

    doc (Doc): The document.
    said (Iterable[tuple[Span, Mapping[str, Any]]]): Spans of it, each with plain data by name.
    """
    sheet = _writable(doc)
    spans = dict(sheet["spans"])
    for span, new in said:
        place, label, span_id = _place(span), span.label_, span.id_
        if place not in spans:
            spans[place] = [(label, span_id, dict(new))]
            continue
        others: list[Entry] = []
        old: Mapping[str, Any] = {}
        for entry in spans.get(place, ()):
            if entry[0] == label and entry[1] == span_id:
                old = entry[2]
            else:
                others.append(entry)
        spans[place] = [*others, (label, span_id, {**old, **new})]
    sheet["spans"] = spans


def set_values(span: Span, **said: Any) -> None:
    """Say something of one span; see `write`, which is faster for many.

    span (Span): The span.
    said: Plain data by name.
    """
    write(span.doc, [(span, said)])


def set_relations(doc: Doc, relations: list[Any]) -> None:
    """Replace the relations of a document, as `sheets.py` describes them."""
    _writable(doc)["relations"] = relations


def set_sections(doc: Doc, sections: list[Any]) -> None:
    """Replace the sections of a document, as `sheets.py` describes them."""
    _writable(doc)["sections"] = sections


def _place(span: Span) -> str:
    return f"{span.start_char}:{span.end_char}"
