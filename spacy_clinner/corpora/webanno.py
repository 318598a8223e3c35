"""WebAnno TSV 3, which WebAnno and INCEpTION export: a token a line, a layer in some columns."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from spacy_clinner.corpora.annotators import Annotated, of_project
from spacy_clinner.corpora.checks import (
    FEATURE_LEFT_OUT,
    JUNK_LINE,
    RELATION_LEFT_OUT,
    RESULT_LEFT_OUT,
    SURFACE_DIFFERS,
    Annotation,
    flag_duplicate_ids,
    surface_fault,
    unresolved,
)
from spacy_clinner.corpora.inception import PROJECT_FOLDERS, document_id, label_feature
from spacy_clinner.corpora.line_ends import code_points
from spacy_clinner.corpora.lines import decode
from spacy_clinner.corpora.note import Attribute, Note, NoteSpan, Problem, Relation
from spacy_clinner.errors import ClinnerError

FORMAT = "#FORMAT=WebAnno TSV 3"
SPANS, CHAINS, RELATIONS = "#T_SP=", "#T_CH=", "#T_RL="
# A feature of slots has two columns: the roles, and what fills them.
SLOTS = "ROLE_"
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
IN_TEXT = {**CHARACTERS, "f": "\f", "b": "\b"}
NOTHING, UNNAMED = "_", "*"


@dataclass(frozen=True)
class Layer:
    """A layer of the file: how it is declared (`SPANS`, ...), its name and its features."""

    kind: str
    name: str
    features: tuple[str, ...]

    @property
    def width(self) -> int:
        """In how many columns it stands."""
        return max(1, len(self.features))

    @property
    def slots(self) -> set[str]:
        """The features that refer to other annotations."""
        pairs = pairwise(self.features)
        return {name for pair in pairs if pair[0].startswith(SLOTS) for name in pair}

    @property
    def words(self) -> list[str]:
        """The features that have values of their own."""
        return [name for name in self.features if name not in self.slots]


@dataclass
class Mention:
    """An annotation that may go over several tokens."""

    start: int
    end: int
    values: dict[str, str]
    # Start, end and text of each token.
    tokens: list[tuple[int, int, str]] = field(default_factory=list)


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
    or else the only one, or the name of the layer; its other features are attributes. Chains,
    slots and spans of no length are left out, with a problem. What stood between two sentences is
    not in the file: line breaks there.

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
    layers = [_layer(line) for line in lines if line.startswith((SPANS, CHAINS, RELATIONS))]
    found = _Document()
    sentence: list[str] = []
    for number, line in enumerate(lines, 1):
        where = f"{file}:{number}"
        if line.startswith("#Text="):
            sentence.append(_plain(line.removeprefix("#Text="), IN_TEXT))
        elif line and not line.startswith("#"):
            cells = line.split("\t")
            place = PLACE.fullmatch(cells[1]) if len(cells) > 2 else None
            if not TOKEN.fullmatch(cells[0]) or place is None:
                found.problems.append(Problem(where, JUNK_LINE))
                continue
            start, end, token = int(place[1]), int(place[2]), _plain(cells[2], IN_TEXT)
            if sentence:
                _begin(found, start, "\n".join(sentence), token)
                sentence = []
            if not start <= end <= found.length:
                found.problems.append(Problem(where, JUNK_LINE))
                continue
            _read_cells(found, layers, cells, (start, end, token), where)
    return _built(found, {layer.name: layer.words for layer in layers}, file)


def _layer(line: str) -> Layer:
    kind, _, declared = line.partition("=")
    name, *features = declared.split("|")
    return Layer(f"{kind}=", name, tuple(filter(None, features)))


def _begin(found: _Document, start: int, sentence: str, token: str) -> None:
    """Put a sentence where its first token is."""
    # White space may come before it.
    ahead = _units(sentence[: max(0, sentence.find(token))])
    start = max(found.length, start - ahead)
    found.text.append("\n" * (start - found.length))
    found.text.append(sentence)
    found.length = start + _units(sentence)


def _units(text: str) -> int:
    """The length of a text as Java counts it, of whose numbers the offsets are."""
    return len(text) + sum(character > "\uffff" for character in text)


def _read_cells(
    found: _Document,
    layers: list[Layer],
    cells: list[str],
    token: tuple[int, int, str],
    where: str,
) -> None:
    column = 3
    for layer in layers:
        own = cells[column : column + layer.width]
        column += layer.width
        if not own or all(cell == NOTHING for cell in own):
            continue
        if layer.kind == RELATIONS:
            _read_links(found, layer, own, cells[0], where)
        elif layer.kind == CHAINS:
            found.problems.append(Problem(where, RESULT_LEFT_OUT))
        else:
            _read_mentions(found, layer, own, cells[0], token, where)


def _read_mentions(
    found: _Document,
    layer: Layer,
    cells: list[str],
    name: str,
    token: tuple[int, int, str],
    where: str,
) -> None:
    start, end, _ = token
    columns = [BARS.split(cell) for cell in cells]
    for at, cell in enumerate(columns[0]):
        _, number = _value(cell)
        # Without a number it goes over this token alone.
        key = (layer.name, number or f"{name}/{at}")
        values = {}
        for feature, column in zip(layer.features, columns, strict=False):
            value, _ = _value(column[at]) if at < len(column) else (NOTHING, None)
            if value not in (NOTHING, UNNAMED):
                values[feature] = _plain(value)
        if key not in found.mentions and layer.slots.intersection(values):
            found.problems.append(Problem(where, FEATURE_LEFT_OUT))
        words = {feature: value for feature, value in values.items() if feature in layer.words}
        mention = found.mentions.setdefault(key, Mention(start, end, words))
        mention.start, mention.end = min(mention.start, start), max(mention.end, end)
        mention.tokens.append(token)


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


def _plain(value: str, characters: Mapping[str, str] = CHARACTERS) -> str:
    """A value, or a text with its own characters, without the escapes of the format."""
    return ESCAPED.sub(lambda match: characters.get(match[1], match[1]), value)


def _built(found: _Document, features: Mapping[str, Sequence[str]], file: Path) -> Note:
    text = "".join(found.text)
    offset = code_points(text)
    spans: list[NoteSpan] = []
    attributes: list[Attribute] = []
    ids: dict[tuple[str, str], str] = {}
    order = sorted(found.mentions.items(), key=lambda item: (item[1].start, item[1].end))
    problems = found.problems
    for (layer, key), mention in order:
        if mention.start >= mention.end:
            problems.append(Problem(str(file), RESULT_LEFT_OUT))
            continue
        values = dict(mention.values)
        label = values.pop(label_feature(features[layer]), "") or layer.rsplit(".", 1)[-1]
        place = (offset[mention.start], offset[mention.end])
        span = NoteSpan(f"T{len(spans) + 1}", label, (place,), text[slice(*place)])
        spans.append(span)
        places = ((offset[start], offset[end], token) for start, end, token in mention.tokens)
        if any(
            surface_fault(token, text, [(start, end)]) == SURFACE_DIFFERS
            for start, end, token in places
        ):
            problems.append(Problem(str(file), SURFACE_DIFFERS, span))
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
        problems=(*problems, *lost),
    )
