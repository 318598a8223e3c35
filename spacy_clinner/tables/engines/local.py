"""Processes on this machine."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from spacy_clinner.errors import ClinnerError
from spacy_clinner.tables.engines.power import Power
from spacy_clinner.tables.pieces import Piece
from spacy_clinner.tables.worker import Job, Result, Worker

# Pieces in the queue of each process, so that none waits for the next.
AHEAD = 2
_worker: Worker | None = None


def run_local(pieces: Iterable[Piece], job: Job, power: Power) -> Iterator[Result]:
    """Annotate pieces in this process, or in several.

    pieces (Iterable[Piece]): The pieces.
    job (Job): What is asked.
    power (Power): How many processes and threads.
    YIELDS (Result): In the order of the pieces.
    RAISES (ClinnerError): The model cannot be loaded, or the system ended a process.
    """
    processes = power.processes or default_processes(job)
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


def default_processes(job: Job) -> int:
    """The number of processes that is fastest.

    job (Job): Tells whether on a GPU.
    RETURNS (int): One for each core, as long as there is memory for them.
    """
    return 1 if job.gpu_id >= 0 else cores()


def cores() -> int:
    """RETURNS (int): The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(job: Job, threads: int) -> None:
    """Load the model, in a process of the pool."""
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = Worker(job, threads)


def _end_with_parent() -> None:
    """A parent that is killed closes no queue: its children would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _annotate(piece: Piece) -> Result:
    assert _worker is not None
    return _worker(piece)
