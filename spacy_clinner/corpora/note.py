from dataclasses import dataclass, field

Fragment = tuple[int, int]


@dataclass(frozen=True, slots=True)
class NoteSpan:
    """A labelled mention.

    id (str): Unique within its note ("T3" in brat).
    label (str): The label as the corpus writes it; schemes rename it later.
    fragments (tuple[tuple[int, int], ...]): Character offsets (start, end) into `Note.text`, in
        reading order; more than one for a discontinuous span.
    surface (str | None): The text that the corpus file gives for the span, when it gives one. It
        differs from the text at the offsets when the file's offsets are wrong.
    codes (tuple[str, ...]): Concept identifiers (CUI, MeSH, OMIM), in the file's order.
    """

    id: str
    label: str
    fragments: tuple[Fragment, ...]
    surface: str | None = None
    codes: tuple[str, ...] = ()

    @property
    def start(self) -> int:
        return self.fragments[0][0]

    @property
    def end(self) -> int:
        return self.fragments[-1][1]


@dataclass(frozen=True, slots=True)
class Relation:
    """A labelled link; `head` and `tail` are ids of spans or events, in brat's order."""

    id: str
    label: str
    head: str
    tail: str
    roles: tuple[str, str] = ("Arg1", "Arg2")


@dataclass(frozen=True, slots=True)
class Attribute:
    """A property of a span, event or relation; `value` is None for a flag that is simply set."""

    id: str
    label: str
    target: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A trigger span with arguments, brat's `E1 Type:T3 Role:T4`."""

    id: str
    label: str
    trigger: str
    arguments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Equivalence:
    """An unordered group of ids, brat's `*\tEquiv T1 T2 T3` (MACCROBAT: `*\tOVERLAP E1 E2`)."""

    label: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Normalization:
    """A link from a span or event to an entry of an external resource, brat's `N1`."""

    id: str
    label: str
    target: str
    resource: str
    entry: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """An annotator's remark, brat's `#1`."""

    id: str
    label: str
    target: str
    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a source file that could not be read as it stands, kept for the loss report.

    where (str): "file:line".
    reason (str): What is wrong, in words that hold no note text.
    span (NoteSpan | None): The mention concerned, when there is one.
    """

    where: str
    reason: str
    span: NoteSpan | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """One document of any corpus: the record that every reader yields and every writer takes.

    id (str): Unique within its corpus (file stem, PMID).
    text (str): The text; every offset is in characters into it.
    labels (tuple[str, ...] | None): The labels that were looked for in it, as the corpus writes
        them, where that differs from note to note; None for all that the corpus annotates.
    annotated (bool): Whether somebody annotated it: one that nobody opened, or that was skipped,
        has no spans, or those of a model, and says nothing of what stands in it.
    linked (bool): Whether anybody looked for relations; False where its record has no place for
        them, as that of words and their tags.
    seconds (float | None): How long its annotators took, where a tool measured it.
    source (str): The file it came from, for reports.
    problems (tuple[Problem, ...]): What the reader met and could not keep as written.
    """

    id: str
    text: str
    spans: tuple[NoteSpan, ...] = ()
    relations: tuple[Relation, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    events: tuple[Event, ...] = ()
    equivalences: tuple[Equivalence, ...] = ()
    normalizations: tuple[Normalization, ...] = ()
    comments: tuple[Comment, ...] = ()
    labels: tuple[str, ...] | None = None
    annotated: bool = True
    linked: bool = True
    seconds: float | None = field(default=None, compare=False)
    source: str = field(default="", compare=False)
    problems: tuple[Problem, ...] = field(default=(), compare=False)
