"""Processes on this machine."""

import itertools
import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from pathlib import Path

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.engines.power import Power
from spacy_clinner.tables.pieces import Piece
from spacy_clinner.tables.worker import Job, Result, Worker

# Pieces in the queue of each process, so that none waits for the next.
AHEAD = 2
# What a process takes with the models that we release, and some more.
MEMORY, MEMORY_WITH_TORCH = 1_200_000_000, 2_500_000_000
_make: Callable[[], Worker] | None = None


def run_local(pieces: Iterable[Piece], job: Job, power: Power) -> Iterator[Result]:
    """Annotate pieces in this process, or in several.

    pieces (Iterable[Piece]): The pieces.
    job (Job): What is asked.
    power (Power): How many processes and threads.
    YIELDS (Result): In the order of the pieces.
    RAISES (ClinnerError): The model cannot be loaded, or the system ended a process.
    """
    processes = power.processes
    if not processes:
        # As many as there are pieces: one that has none leaves its cores to others.
        pieces = iter(pieces)
        first = list(itertools.islice(pieces, default_processes(power, job)))
        pieces, processes = itertools.chain(first, pieces), max(1, len(first))
    if processes == 1:
        worker = Worker(job, power.threads)
        yield from map(worker, pieces)
        return
    threads = power.threads or max(1, cores() // processes)
    # Not forked: what computes the encoder has threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start, (job, threads)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for piece in pieces:
                waiting.append(pool.submit(_annotate, piece))
                if len(waiting) == AHEAD * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise ClinnerError(
                f"One of {processes} processes was ended by the system, as a rule for want of "
                f"memory. Run the command again with fewer (--processes) or smaller pieces "
                f"(--piece); it goes on where it was."
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def default_processes(power: Power, job: Job) -> int:
    """The number of processes that is fastest.

    power (Power): Tells whether the model needs torch.
    job (Job): Tells whether it runs on a GPU.
    RETURNS (int): On a GPU one. On a CPU one for each core, as far as there is memory: rules and
        tables take as long as the encoder, and threads do not share them.
    """
    if job.gpu_id >= 0:
        return 1
    room = free_memory() // (MEMORY if power.torch_free else MEMORY_WITH_TORCH)
    return max(1, min(cores(), room))


def free_memory() -> int:
    """RETURNS (int): Bytes that processes may take; much where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf8").splitlines()
        found = next(line for line in lines if line.startswith("MemAvailable:"))
        return int(found.split()[1]) * 1024
    except (OSError, StopIteration):
        return sys.maxsize


def cores() -> int:
    """RETURNS (int): The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(job: Job, threads: int) -> None:
    """Begin a process of the pool. The model is loaded by the first piece: what fails here breaks
    the pool without a reason."""
    global _make
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _make = cache(partial(Worker, job, threads))


def _end_with_parent() -> None:
    """A parent that is killed closes no queue: its children would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _annotate(piece: Piece) -> Result:
    assert _make is not None
    return _make()(piece)
