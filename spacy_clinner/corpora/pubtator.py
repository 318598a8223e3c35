import re
from collections.abc import Iterator
from pathlib import Path

from spacy_clinner.corpora.checks import (
    JUNK_LINE,
    Annotation,
    check_fragments,
    flag_duplicate_ids,
    surface_fault,
    unresolved,
)
from spacy_clinner.corpora.lines import read_lines
from spacy_clinner.corpora.note import Comment, Note, NoteSpan, Problem, Relation
from spacy_clinner.errors import ClinnerError

NO_ABSTRACT = "no abstract line after the title"
OTHER_DOCUMENT = "line of another document, left out"
EXTRA_COLUMN = "columns after the fourth of a relation, left out"
# The label of the comment that keeps the seventh column: the mentions that a composite one
# ("breast and ovarian cancer") stands for.
INDIVIDUAL_MENTIONS = "IndividualMentions"

OFFSET = re.compile(r"[0-9]{1,9}")
TEXT_LINE = re.compile(r"([^|\t]+)\|([ta])\|(.*)", re.DOTALL)

Lines = list[tuple[int, str]]


def read_pubtator(path: Path) -> Iterator[Note]:
    """Read a PubTator file: NCBI-disease, BC5CDR, MedMentions (both editions).

    The text is title, one space, abstract. A label is the fifth column as it stands (in
    MedMentions semantic types, "T047,T033"), codes are the sixth, split at "|". A relation of
    concepts (`CID`) is a `Relation` between codes.

    path (Path): The file, plain or `.gz`.
    YIELDS (Note): One per document.
    RAISES (ClinnerError): The file is missing, empty or not UTF-8, or a mention cannot be read or
        has impossible offsets.
    """
    return flag_duplicate_ids(_note(path, lines) for lines in _documents(path))


def _documents(path: Path) -> Iterator[Lines]:
    lines: Lines = []
    for number, line in read_lines(path):
        text_line = TEXT_LINE.fullmatch(line)
        if text_line and text_line[2] == "t":
            if lines:
                yield lines
            lines = []
        elif not line.strip():
            continue
        elif not lines:
            raise ClinnerError(
                f"{path}:{number}: not PubTator; a document begins with a line `PMID|t|title`."
            )
        lines.append((number, line))
    yield lines


def _note(path: Path, lines: Lines) -> Note:
    (first, title_line), *lines = lines
    source = f"{path}:{first}"
    pmid, title = title_line.split("|t|", 1)
    problems = []
    abstract = TEXT_LINE.fullmatch(lines[0][1]) if lines else None
    if abstract and abstract[1] == pmid:
        text = f"{title} {abstract[3]}"
        del lines[0]
    else:
        text = title
        problems.append(Problem(source, NO_ABSTRACT))
    if not text.strip():
        raise ClinnerError(f"{source}: document {pmid} has no text.")
    spans: list[NoteSpan] = []
    relations: list[Relation] = []
    comments: list[Comment] = []
    places: list[tuple[str, Annotation]] = []
    for number, line in lines:
        where = f"{path}:{number}"
        columns = line.split("\t")
        if len(columns) < 4:
            problems.append(Problem(where, JUNK_LINE))
        elif columns[0] != pmid:
            problems.append(Problem(where, OTHER_DOCUMENT))
        elif len(columns) < 6 and not OFFSET.fullmatch(columns[1]):
            relations.append(Relation(f"R{len(relations) + 1}", columns[1], columns[2], columns[3]))
            places.append((where, relations[-1]))
            if len(columns) > 4:
                problems.append(Problem(where, EXTRA_COLUMN))
        else:
            span = _mention(columns, text, where, f"T{len(spans) + 1}")
            spans.append(span)
            places.append((where, span))
            fault = surface_fault(columns[3], text, span.fragments)
            if fault:
                problems.append(Problem(where, fault, span))
            if len(columns) > 6:
                name, mentions = f"#{len(comments) + 1}", "\t".join(columns[6:])
                comments.append(Comment(name, INDIVIDUAL_MENTIONS, span.id, mentions))
    return Note(
        pmid,
        text,
        tuple(spans),
        tuple(relations),
        comments=tuple(comments),
        source=source,
        problems=(*problems, *unresolved(places)),
    )


def _mention(columns: list[str], text: str, where: str, name: str) -> NoteSpan:
    if len(columns) < 5 or not columns[4].strip() or not all(map(OFFSET.fullmatch, columns[1:3])):
        raise ClinnerError(
            f"{where}: a mention needs the columns PMID, start, end, text, label and code, "
            f"with tabs between them, and whole numbers for the offsets."
        )
    fragments = ((int(columns[1]), int(columns[2])),)
    check_fragments(fragments, text, where)
    codes = columns[5].strip() if len(columns) > 5 else ""
    return NoteSpan(
        name, columns[4], fragments, columns[3], tuple(codes.split("|")) if codes else ()
    )
