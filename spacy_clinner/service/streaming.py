"""Files of any length: a note a line in, what is found a line out, no faster than it is read."""

import asyncio
import codecs
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from spacy_clinner.service.answers import Asked, Made, shape_of
from spacy_clinner.service.bodies import NoteIn, check_length, parse, too_large_line
from spacy_clinner.service.gate import FAILED, log_failure
from spacy_clinner.service.microbatches import QueueFull, n_words
from spacy_clinner.service.problems import Refused, problem
from spacy_clinner.service.state import Service

# Notes of one stream that are computed or wait to be sent.
AHEAD = 64
ENDING = "The service is ending. Lines from here on were not read."
MEDIA_TYPE = "application/x-ndjson"
MEDIA_TYPES = (MEDIA_TYPE, "application/jsonl", "application/json-lines", "application/jsonlines")


@dataclass
class Sent:
    """A line that came.

    number (int): Its number, from 1.
    words (int): Roughly its words.
    made (asyncio.Future[Made] | Refused): What becomes of it.
    """

    number: int
    words: int
    made: "asyncio.Future[Made] | Refused"


@dataclass
class Stream:
    """A stream of one caller.

    request (Request): Whose body is read.
    service (Service): Computes it.
    asked (Asked): What is wanted of each note.
    words (int): Words that are computed or wait to be sent.
    """

    request: Request
    service: Service
    asked: Asked
    words: int = 0
    _left: asyncio.Event = field(default_factory=asyncio.Event)

    async def answers(self) -> AsyncGenerator[bytes]:
        """YIELDS (bytes): A line for each that is read, in order; more are read only when these
        are taken."""
        sent: asyncio.Queue[Sent | None] = asyncio.Queue(AHEAD)
        reading = asyncio.create_task(self._read(sent))
        state = self.request.state
        try:
            while not self._is_gone and (item := await sent.get()) is not None:
                line, words = await self._answer(item)
                state.notes += words is not None
                state.words += words or 0
                self.words -= item.words
                self._left.set()
                yield line
            if not self._is_gone:
                await reading
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await reading
            while not sent.empty():
                item = sent.get_nowait()
                if item is not None and isinstance(item.made, asyncio.Future):
                    item.made.cancel()

    @property
    def _is_gone(self) -> bool:
        # Who hung up is told to who reads on, and what is read is far ahead of what is answered:
        # uvicorn's cycle of a request knows at once.
        cycle = getattr(self.request.receive, "__self__", None)
        return bool(getattr(cycle, "disconnected", False))

    async def _answer(self, item: Sent) -> tuple[bytes, int | None]:
        limit = self.service.limits.seconds
        try:
            if isinstance(item.made, Refused):
                raise item.made
            async with asyncio.timeout(limit):
                made = await item.made
        except TimeoutError:
            refused = Refused(504, f"Not done within {limit:g} seconds.")
        except Refused as error:
            refused = error
        except Exception as error:
            log_failure(self.request.state.id, error)
            refused = Refused(500, FAILED)
        else:
            return made.json + b"\n", made.words
        told = problem(refused, self.request.state.id).model_dump()
        return to_json({"line": item.number, "error": told}) + b"\n", None

    async def _read(self, sent: "asyncio.Queue[Sent | None]") -> None:
        number = 0
        try:
            async for line in lines(self.request, self.service):
                number += 1
                if number == 1 and isinstance(line, bytes):
                    line = line.removeprefix(codecs.BOM_UTF8)
                if isinstance(line, Refused) or line.strip():
                    await sent.put(await self._sent(number, line))
        except ClientDisconnect:
            pass
        except Refused as refused:
            await sent.put(Sent(number + 1, 0, refused))
        except Exception:
            # Whoever waits for the next line learns that there is none.
            await sent.put(None)
            raise
        await sent.put(None)

    async def _sent(self, number: int, line: bytes | Refused) -> Sent:
        try:
            if isinstance(line, Refused):
                raise line
            note = parse(NoteIn, line, "line")
            check_length(note.text, self.service.limits, "text")
        except Refused as refused:
            return Sent(number, 0, refused)
        batches = self.service.batches
        words = n_words(note.text)
        while self.words and self.words + words > 2 * batches.batch:
            self._left.clear()
            await self._left.wait()
        shape = shape_of(self.service.nlp, self.asked, note.id, note.text)
        while True:
            try:
                (made,) = batches.add([note.text], [shape])
            except QueueFull:
                await batches.room()
            else:
                self.words += words
                return Sent(number, words, made)


async def lines(request: Request, service: Service) -> AsyncIterator[bytes | Refused]:
    """Read a body line by line.

    request (Request): The request.
    service (Service): Its limits, and whether it is ending.
    YIELDS (bytes | Refused): The lines; a `Refused` in place of one that is too long.
    RAISES (Refused): 408 when nothing comes for too long; 503 when the service is ending.
    """
    limit = service.limits.body
    rest = bytearray()
    skipping = False
    async for chunk in _chunks(request, service):
        *whole, last = chunk.split(b"\n")
        for part in whole:
            if skipping or len(rest) + len(part) > limit:
                yield too_large_line(service.limits)
            else:
                yield bytes(rest + part)
            rest.clear()
            skipping = False
        if skipping or len(rest) + len(last) > limit:
            # The rest of the line is read, and not kept.
            rest.clear()
            skipping = True
        else:
            rest += last
    if skipping:
        yield too_large_line(service.limits)
    elif rest:
        yield bytes(rest)


async def _chunks(request: Request, service: Service) -> AsyncIterator[bytes]:
    stream = request.stream()
    ending = asyncio.create_task(service.draining.wait())
    try:
        while True:
            # Of who sends without pause something has always come.
            if service.draining.is_set():
                raise Refused(503, ENDING)
            coming = asyncio.ensure_future(anext(stream, None))
            done, _ = await asyncio.wait(
                (coming, ending),
                timeout=service.limits.seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if coming not in done:
                coming.cancel()
                if done:
                    raise Refused(503, ENDING)
                raise Refused(408, f"No line came for {service.limits.seconds:g} seconds.")
            chunk = coming.result()
            if chunk is None:
                return
            yield chunk
    finally:
        ending.cancel()


class LineResponse(Response):
    """An answer that is made while the body is still read, which Starlette's own would read itself
    to see whether the caller is gone.

    answers (Callable[[], AsyncGenerator[bytes]]): Gives the lines.
    seconds (float): How long a caller may take to read a line.
    """

    def __init__(self, answers: Callable[[], AsyncGenerator[bytes]], seconds: float) -> None:
        super().__init__(media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self.answers = answers
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the lines. A caller that does not read them is cut off."""
        head: dict[str, Any] = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        started = False
        async with contextlib.aclosing(self.answers()) as answers:
            async for line in answers:
                # Not before the body is read: callers wait to be told to send it.
                if not started:
                    await send(head)
                    started = True
                async with asyncio.timeout(self.seconds):
                    await send({"type": "http.response.body", "body": line, "more_body": True})
        if not started:
            await send(head)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
