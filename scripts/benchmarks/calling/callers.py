"""Callers that cost little: raw HTTP over connections that are kept."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from calling.service import HOST

PATH = "/v1/annotate"


@dataclass
class Answered:
    """What callers were answered.

    statuses (Counter[int]): How often each status; 0 for a connection that was cut.
    seconds (list[float]): The time of each request.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


class Caller:
    """One caller, with a connection of its own.

    port (int): Where the service listens.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: bytes) -> int:
        """Send a request, and read the answer.

        body (bytes): Its body.
        RETURNS (int): The status; 0 where the connection was cut.
        """
        try:
            # The service ends connections that were idle for long.
            if self._streams is None or self._streams[0].at_eof():
                self._streams = await asyncio.open_connection(HOST, self.port)
            reader, writer = self._streams
            writer.write(head(len(body)) + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            fields = answer.lower()
            length = int(fields.partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0
        if b"connection: close" in fields:
            self.close()
        return int(answer[9:12])

    def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def head(length: int) -> bytes:
    """RETURNS (bytes): What stands before a body of that many bytes."""
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def body(text: str, at: int = 0) -> bytes:
    """RETURNS (bytes): A request for one note."""
    return json.dumps({"notes": [{"id": str(at), "text": text}]}).encode()


async def call(port: int, bodies: Iterable[bytes], callers: int) -> Answered:
    """Send requests, each caller the next when it has its answer.

    port (int): Where the service listens.
    bodies (Iterable[bytes]): The bodies.
    callers (int): How many ask at once.
    RETURNS (Answered): What they were answered.
    """
    found = Answered()
    coming = iter(bodies)

    async def one() -> None:
        caller = Caller(port)
        for sent in coming:
            begin = time.perf_counter()
            status = await caller.ask(sent)
            found.statuses[status] += 1
            found.seconds.append(time.perf_counter() - begin)
        caller.close()

    await asyncio.gather(*(one() for _ in range(callers)))
    return found


async def call_at(
    port: int, bodies: Iterator[bytes], gaps: Iterator[float], seconds: float
) -> Answered:
    """Send requests at their times, whether those before are answered or not.

    port (int): Where the service listens.
    bodies (Iterator[bytes]): The bodies.
    gaps (Iterator[float]): Seconds from one to the next.
    seconds (float): For how long.
    RETURNS (Answered): What they were answered.
    """
    found = Answered()
    idle: list[Caller] = []
    asked: set[asyncio.Task[None]] = set()

    async def one(sent: bytes) -> None:
        caller = idle.pop() if idle else Caller(port)
        begin = time.perf_counter()
        found.statuses[await caller.ask(sent)] += 1
        found.seconds.append(time.perf_counter() - begin)
        idle.append(caller)

    begin = due = time.perf_counter()
    while due - begin < seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(next(bodies)))
        asked.add(task)
        task.add_done_callback(asked.discard)
        due += next(gaps)
    await asyncio.gather(*asked)
    for caller in idle:
        caller.close()
    return found


def percentile(seconds: Sequence[float], share: float) -> float:
    """RETURNS (float): The time that this share of requests took at most."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
