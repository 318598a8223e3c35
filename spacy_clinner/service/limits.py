"""What one caller may ask of the service, and what all of them together."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of the service. Each has its own answer, named here by its status.

    body (int): Bytes of a request's body, and of a line of a stream (413).
    note (int): Characters of a note (422).
    notes (int): Notes of a request (422).
    queue (int): Words that wait for their turn, of all callers (503 with Retry-After).
    seconds (float): Time to read a body (408), and to compute a request (504).
    batch (int): Words that are computed together.
    wait (float): Milliseconds that a note waits for others to be computed with.
    """

    body: int = 4 * 1024 * 1024
    note: int = 200_000
    notes: int = 200
    queue: int = 200_000
    seconds: float = 60.0
    batch: int = 4_000
    wait: float = 3.0
