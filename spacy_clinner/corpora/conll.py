import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from spacy_clinner.corpora.checks import flag_duplicate_ids
from spacy_clinner.corpora.lines import read_lines
from spacy_clinner.corpora.note import Note, NoteSpan, Problem
from spacy_clinner.errors import ClinnerError

NOT_BEGUN = "continues a span that was not begun, read as its beginning"
NOT_ENDED = "span begun and not ended, read up to the last tag of it"

DOCUMENT = "-DOCSTART-"
# "-DOCSTART- (26797704)" names the document; "-DOCSTART- -X- O O" does not.
DOCUMENT_ID = re.compile(r"-DOCSTART-\s+\((.+)\)\s*")
SPACES = re.compile(" +")
TAG = re.compile(r"O|([BIEULS])-(.+)")
# BIOES writes BILUO's last and unit otherwise.
BILUO = {"B": "B", "I": "I", "L": "L", "U": "U", "E": "L", "S": "U"}


@dataclass(slots=True)
class Word:
    """line (int): Its line. prefix (str): B, I, L, U or O. label (str): "" when outside."""

    line: int
    text: str
    prefix: str
    label: str


@dataclass(slots=True)
class Document:
    id: str
    line: int
    sentences: list[list[Word]] = field(default_factory=lambda: [[]])


def read_conll(path: Path) -> Iterator[Note]:
    """Read a file of columns, one word per line: IOB, IOB2 or BILUO (BIOES) tags.

    Columns are separated by tabs, or else by spaces; the first is the word, the last its tag. An
    empty line ends a sentence, a `-DOCSTART-` line begins a document; without one the file is one
    document. The text is the words with a space between them and the sentences with a newline
    between them.

    path (Path): The file, plain or `.gz`.
    YIELDS (Note): One per document.
    RAISES (ClinnerError): The file is missing, empty or not UTF-8, a column is missing, a tag
        cannot be read, or a document holds no word.
    """
    return flag_duplicate_ids(_note(path, doc) for doc in _documents(path))


def _documents(path: Path) -> Iterator[Document]:
    stem = path.name.split(".")[0]
    document, count, columns = Document(stem, 1), 0, 0
    for number, line in read_lines(path):
        if line.startswith(DOCUMENT):
            if count or any(document.sentences):
                yield document
            count += 1
            name = DOCUMENT_ID.fullmatch(line)
            document = Document(name[1] if name else f"{stem}-{count}", number)
        elif not line.strip():
            if document.sentences[-1]:
                document.sentences.append([])
        else:
            cells = line.split("\t") if "\t" in line else SPACES.split(line.strip(" "))
            columns = columns or len(cells)
            wrong = len(cells) != columns or columns < 2
            if wrong or not cells[0].strip():
                found = f"found {len(cells)}" if wrong else "the word is blank"
                raise ClinnerError(
                    f"{path}:{number}: expected {max(columns, 2)} columns, the word first and "
                    f"its tag, with tabs or spaces between them; {found}."
                )
            document.sentences[-1].append(_word(path, number, cells))
    yield document


def _word(path: Path, number: int, cells: list[str]) -> Word:
    tag = TAG.fullmatch(cells[-1].strip())
    if tag is None:
        raise ClinnerError(
            f"{path}:{number}: the tag is not O, nor B-, I-, L- (E-) or U- (S-) with a label. "
            f"The tag is the last column."
        )
    return Word(number, cells[0], BILUO[tag[1]] if tag[1] else "O", tag[2] or "")


def _note(path: Path, document: Document) -> Note:
    sentences = [sentence for sentence in document.sentences if sentence]
    if not sentences:
        raise ClinnerError(f"{path}:{document.line}: document {document.id} holds no word.")
    # Whether an I- may begin a span depends on the scheme, which the tags give away.
    prefixes = {word.prefix for sentence in sentences for word in sentence}
    biluo = bool(prefixes & {"L", "U"})
    begins_with_b = biluo or any(
        word.prefix == "B" and previous != word.label
        for sentence in sentences
        for previous, word in zip(["", *(word.label for word in sentence)], sentence, strict=False)
    )
    spans: list[NoteSpan] = []
    problems: list[Problem] = []
    offset = 0
    for sentence in sentences:
        starts = []
        for word in sentence:
            starts.append(offset)
            offset += len(word.text) + 1
        for first, last in _runs(sentence):
            fragment = (starts[first], starts[last] + len(sentence[last].text))
            begin, end = sentence[first], sentence[last]
            span = NoteSpan(f"T{len(spans) + 1}", begin.label, (fragment,))
            spans.append(span)
            if begins_with_b and begin.prefix in "IL":
                problems.append(Problem(f"{path}:{begin.line}", NOT_BEGUN, span))
            if biluo and end.prefix in "BI":
                problems.append(Problem(f"{path}:{end.line}", NOT_ENDED, span))
    text = "\n".join(" ".join(word.text for word in sentence) for sentence in sentences)
    source = f"{path}:{document.line}"
    seen = tuple(problems)
    return Note(document.id, text, tuple(spans), linked=False, source=source, problems=seen)


def _runs(sentence: list[Word]) -> Iterator[tuple[int, int]]:
    """First and last word of every span."""
    first: int | None = None
    for i, word in enumerate(sentence):
        continues = word.prefix in "IL" and first is not None
        if not (continues and word.label == sentence[i - 1].label):
            if first is not None:
                yield first, i - 1
            first = None if word.prefix == "O" else i
        if word.prefix in "LU" and first is not None:
            yield first, i
            first = None
    if first is not None:
        yield first, len(sentence) - 1
