"""`clinner_cpu_encoder`: the transformer of the CPU edition, without torch and transformers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import srsly
from spacy import util
from spacy.language import Language
from spacy.pipeline.pipe import Pipe
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import get_current_ops

from spacy_clinner.cpu.batches import Floats, WordpieceBatch, make_batches
from spacy_clinner.cpu.exported import PARTS, Encoder, read_tokenizer
from spacy_clinner.cpu.session import Session, not_forking
from spacy_clinner.errors import ClinnerError
from spacy_clinner.pipeline.settings import Configured, Setting
from spacy_clinner.pipeline.streams import finish
from spacy_clinner.tokenization.windows import SpanGetter
from spacy_clinner.tokenization.wordpieces import Window, cut_windows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Windows that are sorted and packed together: enough to fill batches of equal lengths, and few
# enough that what a document of a million characters needs at once stays small.
WINDOWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Ahead:
    """A batch of documents whose vectors are being computed.

    docs (list[Doc]): The documents.
    encoding (Encoding | None): Their vectors, on their way; None where that failed to start.
    failure (Exception | None): What the stream raised after them.
    """

    docs: list[Doc]
    encoding: "Encoding | None"
    failure: Exception | None


class Encoding:
    """Vectors of a batch of documents, on their way.

    session (Session): Computes them.
    docs (Sequence[Doc]): The documents.
    width (int): Length of a vector.
    """

    def __init__(self, session: Session, docs: Sequence[Doc], width: int) -> None:
        self.ends = np.cumsum([len(doc) for doc in docs])
        self._session = session
        # An array for each document: one that is kept does not keep the others' vectors, and
        # memory that is taken in smaller pieces is used again, without asking the system for it.
        self._vectors: list[Floats] = [np.zeros((len(doc), width), np.float32) for doc in docs]
        self._n_pieces: Floats = np.zeros(int(self.ends[-1]), dtype=np.float32)
        self._lock = Lock()
        self._tasks: list[Future[None]] = []

    def add(self, batch: WordpieceBatch) -> None:
        """Start computing a batch of wordpieces of the documents."""
        if not len(batch.rows):  # white space has no wordpieces
            return
        self._n_pieces[batch.rows] += batch.n_pieces()
        self._tasks.append(self._session.submit(partial(self._compute, batch)))

    def _compute(self, batch: WordpieceBatch) -> None:
        sums = self._session.run(batch.ids, batch.mask, batch.pool)
        doc = np.searchsorted(self.ends, batch.rows, side="right")
        cuts = np.flatnonzero(np.diff(doc)) + 1
        rows = np.split(batch.rows, cuts)
        # A token that several windows hold is written by several threads.
        with self._lock:
            for at, within, part in zip(
                doc[np.append(0, cuts)].tolist(), rows, np.split(sums, cuts), strict=True
            ):
                vectors = self._vectors[at]
                vectors[within - (self.ends[at] - len(vectors))] += part

    def result(self) -> list[Floats]:
        """Wait for the vectors.

        RETURNS (List[NDArray[float32]]): By document the mean of each token's wordpieces, shape
            (tokens, width); zeros for a token that has none, such as white space.
        """
        for task in self._tasks:
            task.result()
        counts = np.split(self._n_pieces, self.ends[:-1])
        for vectors, n_pieces in zip(self._vectors, counts, strict=True):
            many = np.flatnonzero(n_pieces > 1.0)
            vectors[many] /= n_pieces[many, None]
        return self._vectors


@Language.factory(
    "clinner_cpu_encoder",
    assigns=["doc.tensor"],
    default_config={
        # The registry "span_getters" exists only where spacy-transformers is installed.
        "get_spans": {"@misc": "clinner.line_windows.v1"},
        "threads": 0,
        "batch_pieces": 2048,
    },
)
def create_cpu_encoder(
    nlp: Language, name: str, get_spans: SpanGetter, threads: int, batch_pieces: int
) -> "CPUEncoder":
    """Create the component; see `CPUEncoder`."""
    return CPUEncoder(
        nlp.vocab, name, get_spans=get_spans, threads=threads, batch_pieces=batch_pieces, nlp=nlp
    )


class CPUEncoder(Pipe, Configured):
    """Compute token vectors with OpenVINO, and write them to `doc.tensor`.

    Takes the place of the `transformer` component of a trained pipeline: components that listen
    to it by `spacy.Tok2VecListener.v1` find the same vectors, the mean of each token's
    wordpieces, there. It is made by `clinner optimize` and cannot be trained. Several threads may
    use it at once, from the first document on.

    vocab (Vocab): The shared vocabulary.
    name (str): The component's name.
    get_spans (Callable[[List[Doc]], List[List[Span]]]): Cuts documents into windows.
    threads (int): Threads of the runtime; 0 for one on each core. With `nlp.pipe(n_process=...)`
        every process has that many.
    batch_pieces (int): Wordpieces that are computed at once, padding included.
    nlp (Language | None): The pipeline, whose config has these settings. `threads`, from the next
        session on, and `batch_pieces` may be changed through the attributes of their names.
    """

    threads = Setting[int]()
    batch_pieces = Setting[int]()

    def __init__(
        self,
        vocab: Vocab,
        name: str = "transformer",
        *,
        get_spans: SpanGetter,
        threads: int = 0,
        batch_pieces: int = 2048,
        nlp: Language | None = None,
    ) -> None:
        self.vocab = vocab
        self.name = name
        self.get_spans = get_spans
        self.nlp = nlp
        self.settings = {"threads": threads, "batch_pieces": batch_pieces}
        self._encoder: Encoder | None = None
        self._session: Session | None = None
        self._tokenizer: Tokenizer | None = None
        # Where the heads compute: on a GPU after `spacy.prefer_gpu()`, which this one does not use.
        self._ops: Any = get_current_ops()
        self.use(self.settings)

    def use(self, settings: dict[str, Any]) -> None:
        """Stop at settings that are out of range; see `Configured.use`."""
        for option, least in (("threads", 0), ("batch_pieces", 1)):
            value = settings[option]
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ClinnerError(
                    f"{self.name}: `{option}` must be a whole number of at least {least}; got "
                    f"{value!r}."
                )

    @property
    def encoder(self) -> Encoder:
        """The exported encoder; set it to replace it.

        RAISES (ClinnerError): There is none yet.
        """
        if self._encoder is None:
            raise ClinnerError(
                f"{self.name}: clinner_cpu_encoder has no encoder. It is not added by hand: "
                "`clinner optimize MODEL OUT` makes a pipeline with one from a trained pipeline."
            )
        return self._encoder

    @encoder.setter
    def encoder(self, encoder: Encoder) -> None:
        self.close()
        self._encoder = encoder
        self._tokenizer = None

    @property
    def session(self) -> Session:
        """The running session; started when first needed, in each process for itself."""
        with not_forking:
            if self._session is None or self._session.closed:
                encoder = self.encoder
                self._session = Session(
                    encoder.xml, encoder.weights, encoder.precision, threads=self.threads
                )
            return self._session

    @property
    def tokenizer(self) -> "Tokenizer":
        """The wordpiece tokenizer."""
        with not_forking:
            if self._tokenizer is None:
                self._tokenizer = read_tokenizer(self.encoder.tokenizer)
            return self._tokenizer

    def close(self) -> None:
        """End the session and its threads; the next document starts another."""
        with not_forking:
            if self._session is not None:
                self._session.close()
                self._session = None

    def __call__(self, doc: Doc) -> Doc:
        """Set the vectors of a document.

        doc (Doc): The document.
        RETURNS (Doc): The same document.
        """
        self.set_annotations([doc], self.predict([doc]))
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Set the vectors of a stream of documents.

        While the components behind this one work on a batch, the next is computed already; no
        document but the last of a batch waits for that. When the stream raises, the documents
        before it come first. A document that fails goes to the error handler, alone.

        stream (Iterable[Doc]): The documents.
        batch_size (int): The number of documents to buffer.
        YIELDS (Doc): The same documents, in order.
        """
        stream = iter(stream)
        batch = self._read(stream, batch_size)
        while batch.docs:
            following: Ahead | None = None
            for number, doc in enumerate(self._finish(batch), 1):
                if 1 < number == len(batch.docs) and batch.failure is None:
                    following = self._read(stream, batch_size)
                yield doc
            if batch.failure is not None:
                break
            batch = following or self._read(stream, batch_size)
        if batch.failure is not None:
            raise batch.failure

    def _read(self, stream: Iterator[Doc], batch_size: int) -> Ahead:
        docs: list[Doc] = []
        failure: Exception | None = None
        try:
            # One by one: what came before a failure is kept.
            for doc in islice(stream, batch_size):
                docs.append(doc)
        except Exception as error:
            failure = error
        encoding: Encoding | None = None
        if docs:
            # A failure to start comes again, document by document, when they are asked for.
            with suppress(Exception):
                encoding = self.start(docs)
        return Ahead(docs, encoding, failure)

    def _finish(self, batch: Ahead) -> Iterator[Doc]:
        def predict(docs: list[Doc]) -> list[Floats]:
            if docs is batch.docs and batch.encoding is not None:
                return batch.encoding.result()
            return self.predict(docs)

        return finish(self, batch.docs, predict)

    def start(self, docs: Sequence[Doc]) -> Encoding:
        """Start computing the vectors of documents, in the session's threads.

        docs (Sequence[Doc]): The documents.
        RETURNS (Encoding): Gives the vectors when asked for its `result`.
        """
        session = self.session
        encoding = Encoding(session, docs, self.encoder.width)
        windows: list[Window] = []
        for doc, spans, end in zip(docs, self.get_spans(list(docs)), encoding.ends, strict=True):
            windows += cut_windows(doc, spans, int(end) - len(doc))
        try:
            for start in range(0, len(windows), WINDOWS_AT_ONCE):
                for batch in self.batches(windows[start : start + WINDOWS_AT_ONCE]):
                    encoding.add(batch)
        except RuntimeError:
            # Another thread has forked the process, or changed `threads`: begin anew.
            if session.closed:
                return self.start(docs)
            raise
        return encoding

    def batches(self, windows: Sequence[Window]) -> Iterator[WordpieceBatch]:
        """Cut windows into wordpieces and pack them; see `make_batches`."""
        return make_batches(windows, self.tokenizer, self.encoder.max_length, self.batch_pieces)

    def predict(self, docs: Iterable[Doc]) -> list[Floats]:
        """Compute the vectors of documents, without modifying them.

        docs (Iterable[Doc]): The documents.
        RETURNS (List[NDArray[float32]]): By document, shape (tokens, width).
        """
        docs = list(docs)
        return self.start(docs).result() if docs else []

    def set_annotations(self, docs: Iterable[Doc], vectors: Iterable[Floats]) -> None:
        """Write `doc.tensor`.

        docs (Iterable[Doc]): The documents.
        vectors (Iterable[NDArray[float32]]): What `predict` returned for them.
        """
        on_cpu = self._ops.device_type == "cpu"
        for doc, tensor in zip(docs, vectors, strict=True):
            doc.tensor = tensor if on_cpu else self._ops.asarray(tensor)  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        # A session cannot leave its process.
        options = {"get_spans": self.get_spans, **self.settings}
        return _restore, (self.vocab, self.name, options, self._encoder)

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialise the component."""
        parts = self.encoder.parts() | {"settings": srsly.json_dumps(self.settings).encode()}
        return util.to_bytes({name: partial(parts.__getitem__, name) for name in parts}, exclude)

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "CPUEncoder":
        """Load the component from bytes."""
        parts: dict[str, bytes] = {}
        setters: dict[str, Callable[[bytes], Any]] = {
            name: partial(parts.__setitem__, name) for name in PARTS
        }
        setters["settings"] = lambda settings: self.take(srsly.json_loads(settings))
        util.from_bytes(bytes_data, setters, exclude)
        self.encoder = Encoder.of(parts)
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the component to a folder."""
        parts = self.encoder.parts()
        writers: dict[str, Callable[[Path], None]] = {
            name: partial(_write, content) for name, content in parts.items()
        }
        util.to_disk(path, writers, exclude)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "CPUEncoder":
        """Load the component from a folder."""
        parts: dict[str, bytes] = {}
        readers: dict[str, Callable[[Path], None]] = {
            name: partial(_read, parts, name) for name in PARTS
        }
        util.from_disk(path, readers, exclude)
        self.encoder = Encoder.of(parts)
        if self.nlp is not None:
            # Editions of before say nothing of training; components that are added to one learn.
            config = self.nlp.config
            for key, usual in Language.default_config.copy().items():
                config[key] = {**usual, **config.get(key, {})}
        return self


def _restore(
    vocab: Vocab, name: str, options: dict[str, Any], encoder: Encoder | None
) -> CPUEncoder:
    component = CPUEncoder(vocab, name, **options)
    if encoder is not None:
        component.encoder = encoder
    return component


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _read(parts: dict[str, bytes], name: str, path: Path) -> None:
    parts[name] = path.read_bytes()
