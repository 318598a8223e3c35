"""Run a pipeline over texts so that one that fails costs no other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from spacy.language import Language
from spacy.tokens import Doc

from spacy_clinner.errors import ClinnerError

# A text that fails is looked for among as many as a component may have buffered.
BUFFERED = 128
# A stream ends before these many characters: components hold more than a hundred documents at once
# with all their vectors, a gigabyte for three notes of a megabyte.
CHARACTERS = 2_000_000
# How spaCy calls what runs a component over a stream, and what cuts a text into tokens.
RUNS_COMPONENT, RUNS_TOKENIZER = "_pipe", ("_ensure_doc", "make_doc")
# Where `clinner_llm`, which raises nothing, says of a document that it got no answer about it.
REPORT, ERROR = "clinner_llm", "error"


@dataclass(frozen=True)
class Failure:
    """Why a text has no document: the kind of the error, and the component that raised it."""

    kind: str
    component: str

    def __str__(self) -> str:
        return f"{self.kind} in {self.component}"


DROPPED = Failure("dropped by an error handler", "the pipeline")
UNANSWERED = Failure("RequestFailed", REPORT)


def read(nlp: Language, texts: Sequence[str], stop: bool = False) -> Iterator[Doc | Failure]:
    """Run a pipeline over texts.

    When it raises, what it buffered is halved until the text that fails stands alone. Of very long
    texts only a few are in memory at once.

    nlp (Language): The pipeline.
    texts (Sequence[str]): The texts.
    stop (bool): Whether to raise what no text is to blame for and its user can mend, such as a
        budget that is spent; else each text that it costs is a failure.
    YIELDS (Doc | Failure): One for each text, in order. A failure, too, where `clinner_llm` left a
        document as it was.
    RAISES (ClinnerError): As `stop` says.
    """
    todo = [*_stretches(texts)][::-1]
    while todo:
        start, end = todo.pop()
        done = start
        stream = nlp.pipe(((texts[at], at) for at in range(start, end)), as_tuples=True)
        try:
            for doc, at in stream:
                yield from (DROPPED for _ in range(done, at))
                yield UNANSWERED if ERROR in doc.user_data.get(REPORT, {}) else doc
                done = at + 1
        except Exception as error:
            if stop and isinstance(error, ClinnerError):
                raise
            if end - done == 1:
                yield Failure(type(error).__name__, raised_in(error.__traceback__))
            else:
                middle = done + min((end - done) // 2, BUFFERED)
                todo += [(middle, end), (done, middle)]
        else:
            yield from (DROPPED for _ in range(done, end))


def _stretches(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where to cut texts, so that none but a single text has more than `CHARACTERS`."""
    start = characters = 0
    for at, text in enumerate(texts):
        characters += len(text)
        if at > start and characters > CHARACTERS:
            yield start, at
            start, characters = at, len(text)
    yield start, len(texts)


def raised_in(traceback: TracebackType | None) -> str:
    """The name of the component that an error comes from.

    traceback (TracebackType | None): The error's.
    RETURNS (str): The name in the pipeline; "tokenizer" or "pipeline" for what is none.
    """
    found = "pipeline"
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_name == RUNS_COMPONENT and "proc" in frame.f_locals:
            found = str(frame.f_locals["name"])
        elif frame.f_code.co_name in RUNS_TOKENIZER:
            found = "tokenizer"
        traceback = traceback.tb_next
    return found
