"""WebAnno TSV 3, which WebAnno and INCEpTION export: a token a line, a layer in some columns."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from spacy_clinner.corpora.annotators import Annotated, of_project
from spacy_clinner.corpora.checks import (
    JUNK_LINE,
    RELATION_LEFT_OUT,
    Annotation,
    flag_duplicate_ids,
    unresolved,
)
from spacy_clinner.corpora.inception import PROJECT_FOLDERS, document_id, label_feature
from spacy_clinner.corpora.line_ends import code_points
from spacy_clinner.corpora.lines import decode
from spacy_clinner.corpora.note import Attribute, Note, NoteSpan, Problem, Relation
from spacy_clinner.errors import ClinnerError

FORMAT = "#FORMAT=WebAnno TSV 3"
SPANS, RELATIONS = "#T_SP=", "#T_RL="
# The column of a relation that says where its other end is.
BASE = "BT_"
TOKEN = re.compile(r"(\d+)-(\d+)(\.\d+)?")
PLACE = re.compile(r"(\d+)-(\d+)")
# "1-3[2_0]": the token of the other end, its number and ours; no numbers where there is one only.
END = re.compile(r"(\d+-\d+(?:\.\d+)?)(?:\[(\d+)_(\d+)\])?")
VALUE = re.compile(r"(.*?)(?:\[(\d+)\])?", re.DOTALL)
BARS = re.compile(r"(?<!\\)\|")
ESCAPED = re.compile(r"\\(.)")
CHARACTERS = {"n": "\n", "t": "\t", "r": "\r"}
NOTHING, UNNAMED = "_", "*"


@dataclass(frozen=True)
class Layer:
    """A layer of the file: its name, its features, and whether it is one of relations."""

    name: str
    features: tuple[str, ...]
    is_relation: bool

    @property
    def width(self) -> int:
        """In how many columns it stands."""
        return max(1, len(self.features))


@dataclass
class Mention:
    """An annotation that may go over several tokens."""

    start: int
    end: int
    values: dict[str, str]


@dataclass
class _Document:
    """What is read of a file."""

    text: list[str] = field(default_factory=list)
    length: int = 0
    mentions: dict[tuple[str, str], Mention] = field(default_factory=dict)
    links: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_webanno(path: Path) -> Iterator[Note]:
    """Read WebAnno TSV 3.

    Every annotation of a span layer is a span, with its label from the feature `label` or `value`,
    or else the only one, or the name of the layer; its other features are attributes. Chains and
    slots are left out. What stood between two sentences is not in the file: line breaks there.

    path (Path): A file, or a folder of `.tsv` files at any depth.
    YIELDS (Note): One per file; its id is the file's name, in the folder `annotation` or `curation`
        of a project the name of the document's folder.
    RAISES (ClinnerError): A file cannot be read, or is not in this format.
    """
    files = _files(path)
    found = [(file, _note(file)) for file in files]
    named = [
        (file, _of_folder(file, note) if file.parent.parent.name in PROJECT_FOLDERS else note)
        for file, note in found
    ]
    return flag_duplicate_ids(note for _, note in of_project(named))


def webanno_by_annotator(path: Path) -> Iterator[Annotated]:
    """Read WebAnno TSV 3 of a project: for each document a folder, with a file for each annotator,
    `annotation/note.txt/anna.tsv`.

    path (Path): As `read_webanno` takes it.
    YIELDS (tuple[str | None, Note]): As `of_project`; the id of a note is the name of the folder.
    RAISES (ClinnerError): As `read_webanno`.
    """
    yield from of_project([(file, _of_folder(file, _note(file))) for file in _files(path)])


def _of_folder(file: Path, note: Note) -> Note:
    return replace(note, id=document_id(file.parent.name))


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise ClinnerError(f"{path}: missing.")
    files = [path] if path.is_file() else sorted(path.rglob("*.tsv"))
    if not files:
        raise ClinnerError(f"{path}: no .tsv file there.")
    return files


def _note(file: Path) -> Note:
    # Notes hold other characters at which `str.splitlines` cuts.
    lines = decode(file.read_bytes(), file).replace("\r\n", "\n").split("\n")
    if not lines[0].startswith(FORMAT):
        raise ClinnerError(f"{file}: no WebAnno TSV 3, which begins with {FORMAT!r}.")
    layers = [_layer(line) for line in lines if line.startswith((SPANS, RELATIONS))]
    found = _Document()
    sentence: list[str] = []
    for number, line in enumerate(lines, 1):
        where = f"{file}:{number}"
        if line.startswith("#Text="):
            sentence.append(_plain(line.removeprefix("#Text=")))
        elif line and not line.startswith("#"):
            cells = line.split("\t")
            place = PLACE.fullmatch(cells[1]) if len(cells) > 2 else None
            if not TOKEN.fullmatch(cells[0]) or place is None:
                found.problems.append(Problem(where, JUNK_LINE))
                continue
            start, end = int(place[1]), int(place[2])
            if sentence:
                _begin(found, start, "\n".join(sentence))
                sentence = []
            if not start <= end <= found.length:
                found.problems.append(Problem(where, JUNK_LINE))
                continue
            _read_cells(found, layers, cells, (start, end), where)
    return _built(found, {layer.name: layer.features for layer in layers}, file)


def _layer(line: str) -> Layer:
    kind, _, declared = line.partition("=")
    name, *features = declared.split("|")
    return Layer(name, tuple(filter(None, features)), f"{kind}=" == RELATIONS)


def _begin(found: _Document, start: int, sentence: str) -> None:
    """Put a sentence where its first token is."""
    found.text.append("\n" * (start - found.length))
    found.text.append(sentence)
    found.length = max(start, found.length) + _units(sentence)


def _units(text: str) -> int:
    """The length of a text as Java counts it, of whose numbers the offsets are."""
    return len(text) + sum(character > "\uffff" for character in text)


def _read_cells(
    found: _Document, layers: list[Layer], cells: list[str], place: tuple[int, int], where: str
) -> None:
    column = 3
    for layer in layers:
        own = cells[column : column + layer.width]
        column += layer.width
        if not own or all(cell == NOTHING for cell in own):
            continue
        if layer.is_relation:
            _read_links(found, layer, own, cells[0], where)
        else:
            _read_mentions(found, layer, own, cells[0], place)


def _read_mentions(
    found: _Document, layer: Layer, cells: list[str], token: str, place: tuple[int, int]
) -> None:
    columns = [BARS.split(cell) for cell in cells]
    for at, cell in enumerate(columns[0]):
        _, number = _value(cell)
        # Without a number it goes over this token alone.
        key = (layer.name, number or f"{token}/{at}")
        values = {}
        for name, column in zip(layer.features, columns, strict=False):
            value, _ = _value(column[at]) if at < len(column) else (NOTHING, None)
            if value not in (NOTHING, UNNAMED):
                values[name] = _plain(value)
        mention = found.mentions.setdefault(key, Mention(*place, values))
        mention.start, mention.end = min(mention.start, place[0]), max(mention.end, place[1])


def _read_links(found: _Document, layer: Layer, cells: list[str], token: str, where: str) -> None:
    columns = [BARS.split(cell) for cell in cells]
    base = next((f for f in layer.features if f.startswith(BASE)), "")
    names = [f for f in layer.features if f != base]
    for at, cell in enumerate(columns[-1]):
        other = END.fullmatch(cell)
        if other is None:
            found.problems.append(Problem(where, RELATION_LEFT_OUT))
            continue
        cells_of = zip(names, columns, strict=False)
        values = {name: column[at] for name, column in cells_of if at < len(column)}
        label = values.get(label_feature(names), NOTHING)
        if label in (NOTHING, UNNAMED):
            label = "relation"
        head = other[2] if other[2] not in (None, "0") else other[1]
        tail = other[3] if other[3] not in (None, "0") else token
        found.links.append((_plain(_value(label)[0]), base.removeprefix(BASE), head, tail, where))


def _value(cell: str) -> tuple[str, str | None]:
    match = VALUE.fullmatch(cell)
    return (cell, None) if match is None else (match[1], match[2])


def _plain(value: str) -> str:
    """A value without the escapes of the format."""
    return ESCAPED.sub(lambda match: CHARACTERS.get(match[1], match[1]), value)


def _built(found: _Document, features: Mapping[str, Sequence[str]], file: Path) -> Note:
    text = "".join(found.text)
    offset = code_points(text)
    spans: list[NoteSpan] = []
    attributes: list[Attribute] = []
    ids: dict[tuple[str, str], str] = {}
    order = sorted(found.mentions.items(), key=lambda item: (item[1].start, item[1].end))
    for (layer, key), mention in order:
        values = dict(mention.values)
        label = values.pop(label_feature(features[layer]), "") or layer.rsplit(".", 1)[-1]
        place = (offset[mention.start], offset[mention.end])
        span = NoteSpan(f"T{len(spans) + 1}", label, (place,), text[slice(*place)])
        spans.append(span)
        ids[layer, key] = span.id
        # A relation names a mention of one token by the token.
        ids.setdefault((layer, key.partition("/")[0]), span.id)
        for feature, value in values.items():
            attributes.append(Attribute(f"A{len(attributes) + 1}", feature, span.id, value))
    relations = [
        Relation(f"R{at}", label, ids.get((base, head), head), ids.get((base, tail), tail))
        for at, (label, base, head, tail, _) in enumerate(found.links, 1)
    ]
    annotations: Iterable[Annotation] = [*spans, *attributes, *relations]
    lost = unresolved((str(file), annotation) for annotation in annotations)
    return Note(
        document_id(file.name),
        text,
        tuple(spans),
        tuple(relations),
        tuple(attributes),
        source=str(file),
        problems=(*found.problems, *lost),
    )
