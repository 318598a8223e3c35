"""Notes of different callers, computed together in a thread while the event loop goes on."""

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.reading import Failure, read

log = logging.getLogger("clinner.service")

# While the rules of one batch run, the encoder computes the next.
AT_ONCE = 2
# Batches after which the words that the pipeline met are forgotten, at the latest.
BATCHES_OF_ZONE = 64
# How much a batch counts for the pace, after the next one.
KEPT = 0.8
# What is made of a document while it exists: documents do not outlive their batch.
Shape = Callable[[Doc | Failure], Any]


class QueueFull(Exception):
    """More words wait than may.

    seconds (int): When to try again.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


@dataclass(frozen=True, eq=False)
class Waiting:
    """A note that waits to be computed.

    text (str): The note.
    shape (Callable[[Doc | Failure], Any]): What to make of its document.
    words (int): Its length in words, roughly.
    since (float): When it came, in seconds of the monotonic clock.
    result (asyncio.Future): Gets what `shape` made.
    """

    text: str
    shape: Shape
    words: int
    since: float
    result: "asyncio.Future[Any]"


def n_words(text: str) -> int:
    """Roughly the words of a text, in no time; of one without spaces, what it costs.

    text (str): The text.
    RETURNS (int): 1 and more.
    """
    return max(text.count(" "), len(text) // 8) + 1


class Pace:
    """How long words take, as of the last batches: of each as much as it had words, or a note of a
    word, which takes about as long as one of a hundred, would count for all."""

    def __init__(self) -> None:
        self._words = 0.0
        self._seconds = 0.0

    def add(self, words: int, seconds: float) -> None:
        """Count a batch.

        words (int): Its words.
        seconds (float): The time that it took.
        """
        self._words = KEPT * self._words + words
        self._seconds = KEPT * self._seconds + seconds

    def seconds(self, words: int) -> float:
        """RETURNS (float): How long so many words take; 0 before the first batch."""
        return words * self._seconds / self._words if self._words else 0.0


class MicroBatches:
    """A queue of notes, and the threads that compute them.

    nlp (Language): The pipeline.
    batch (int): Words that are computed together; a longer note stands alone.
    wait (float): Seconds that a note waits for others while nothing is computed.
    queue (int): Words that may wait.
    on_batch (Callable[[int, float], None]): Told the words and seconds of each batch.
    """

    def __init__(
        self,
        nlp: Language,
        *,
        batch: int,
        wait: float,
        queue: int,
        on_batch: Callable[[int, float], None],
    ) -> None:
        self.nlp = nlp
        self.batch = batch
        self.wait = wait
        self.queue = queue
        self.on_batch = on_batch
        self.words = 0
        self._waiting: deque[Waiting] = deque()
        self._computing = 0
        self._ended = False
        self._changed = asyncio.Event()
        self._left = asyncio.Event()
        self._pace = Pace()

    @property
    def notes(self) -> int:
        """The notes that wait."""
        return len(self._waiting)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Compute what comes, until the block ends."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="clinner") as threads:
            task = asyncio.create_task(self._run(threads))
            try:
                yield
            finally:
                self._ended = True
                self._changed.set()
                await task

    def add(self, texts: Sequence[str], shapes: Sequence[Shape]) -> "list[asyncio.Future[Any]]":
        """Queue the notes of a request, all or none.

        texts (Sequence[str]): The notes.
        shapes (Sequence[Callable[[Doc | Failure], Any]]): What to make of the document of each,
            or of why there is none; called in the thread.
        RETURNS (list[asyncio.Future]): What was made of them, in order. Those that are cancelled
            are not computed, unless they are already.
        RAISES (QueueFull): Too many words wait. A request that finds none waiting is never too
            long.
        """
        sizes = [n_words(text) for text in texts]
        if self._waiting and self.words + sum(sizes) > self.queue:
            raise QueueFull(max(1, min(60, round(self._pace.seconds(self.words)))))
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        added = [
            Waiting(text, shape, size, now, loop.create_future())
            for text, shape, size in zip(texts, shapes, sizes, strict=True)
        ]
        self._waiting.extend(added)
        self.words += sum(sizes)
        self._changed.set()
        return [note.result for note in added]

    async def room(self) -> None:
        """Wait until less than half of the queue is taken: for callers with no end of notes."""
        while self.words > self.queue // 2:
            self._left.clear()
            await self._left.wait()

    async def _run(self, threads: ThreadPoolExecutor) -> None:
        while not self._ended:
            if not self._waiting:
                self._changed.clear()
                await self._changed.wait()
                continue
            # New words are forgotten with the zone, or the vocabulary would grow for ever. It ends
            # when no document is left: when nothing waits, or after so many batches.
            with self.nlp.memory_zone():
                left = iter(range(BATCHES_OF_ZONE))
                await asyncio.gather(*(self._work(threads, left) for _ in range(AT_ONCE)))

    async def _work(self, threads: ThreadPoolExecutor, left: Iterator[int]) -> None:
        loop = asyncio.get_running_loop()
        for _ in left:
            if not await self._is_due():
                return
            batch = self._take()
            self._computing += 1
            try:
                await loop.run_in_executor(threads, self._compute, batch, loop)
            finally:
                self._computing -= 1
                self._changed.set()

    async def _is_due(self) -> bool:
        """Wait for a batch: a full one, or, where nothing is computed, of what has come in time.

        RETURNS (bool): False where there is nothing to wait for.
        """
        while not self._ended and self.words < self.batch:
            patience = None
            if not self._computing:
                if not self._waiting:
                    return False
                patience = self._waiting[0].since + self.wait - time.monotonic()
                if patience <= 0:
                    return True
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), patience)
        return not self._ended

    def _take(self) -> list[Waiting]:
        taken: list[Waiting] = []
        room = self.batch
        while self._waiting and (not taken or self._waiting[0].words <= room):
            note = self._waiting.popleft()
            self.words -= note.words
            # Whoever asked is gone, or waits no longer.
            if not note.result.done():
                taken.append(note)
                room -= note.words
        self._left.set()
        return taken

    def _compute(self, batch: list[Waiting], loop: asyncio.AbstractEventLoop) -> None:
        if not batch:
            return
        start = time.perf_counter()
        for note, found in zip(batch, self._read(batch), strict=True):
            made: Any
            try:
                made = note.shape(found)
            except Exception as error:
                made = error
            loop.call_soon_threadsafe(_settle, note.result, made)
        seconds = time.perf_counter() - start
        words = sum(note.words for note in batch)
        self._pace.add(words, seconds)
        self.on_batch(words, seconds)

    def _read(self, batch: list[Waiting]) -> Iterator[Doc | Failure]:
        """What the pipeline makes of each note. What fails is told in the log, without the note."""
        failures: Counter[str] = Counter()
        for found in self._found([note.text for note in batch]):
            if isinstance(found, Failure):
                failures[str(found)] += 1
            yield found
        for failure, count in failures.items():
            log.warning("notes failed: %d, %s", count, failure)

    def _found(self, texts: list[str]) -> Iterator[Doc | Failure]:
        done = 0
        try:
            for found in read(self.nlp, texts, stop=True):
                done += 1
                yield found
        except ClinnerError as error:
            # Such as a budget that is spent: who runs the service can mend it.
            log.error("%s", error)
            yield from read(self.nlp, texts[done:])


def _settle(result: "asyncio.Future[Any]", made: Any) -> None:
    if result.done():
        return
    if isinstance(made, Exception):
        result.set_exception(made)
    else:
        result.set_result(made)
