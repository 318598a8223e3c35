"""The runtime that computes the encoder: OpenVINO on the CPU."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import RLock
from typing import Any, Literal, TypeVar
from weakref import WeakSet

import numpy as np

from spacy_clinner.architectures.instructions import instructions
from spacy_clinner.cpu.batches import Floats
from spacy_clinner.cpu.dequantize import dequantize
from spacy_clinner.cpu.telemetry import without_telemetry
from spacy_clinner.errors import ClinnerError
from spacy_clinner.tokenization.wordpieces import Ints

Precision = Literal["int8", "bf16", "fp32"]
Result = TypeVar("Result")

# A fork concerns the whole process, and so do these: while this is held there is none, and it ends
# all sessions, whose threads the child would not have.
not_forking = RLock()
_sessions: "WeakSet[Session]" = WeakSet()


class Session:
    """A compiled encoder and the threads that run it.

    xml (bytes): The graph, in OpenVINO's format.
    weights (bytes): Its weights.
    precision (str): What the weights are stored in. "int8" is computed in int8 where the CPU has
        instructions for it; what is left of it, and "bf16", in bfloat16 where the CPU has those;
        everything else in float32 (see `instructions`).
    threads (int): Number of threads; 0 for one on each core.
    """

    def __init__(self, xml: bytes, weights: bytes, precision: Precision, threads: int = 0) -> None:
        with not_forking:
            self._start(xml, weights, precision, threads)
            _sessions.add(self)

    def _start(self, xml: bytes, weights: bytes, precision: Precision, threads: int) -> None:
        openvino = import_openvino()
        core = openvino.Core()
        # Its threads do not survive a fork, and a child that inherits them hangs. With this they
        # end when the last session is closed, and so before any fork: see `_close_before_fork`.
        core.set_property({"FORCE_TBB_TERMINATE": True})
        graph = core.read_model(xml, weights)
        able = instructions()
        if precision == "int8" and not able.int8:
            dequantize(graph)
        bf16 = able.bf16 and precision != "fp32"
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            # Several processes would otherwise all sit on the first cores.
            "ENABLE_CPU_PINNING": False,
        }
        if threads:
            options |= {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": threads}
        self._compiled = core.compile_model(graph, "CPU", options)
        # Twice as many as are computed at once: while a thread waits for the interpreter's lock to
        # pool what it got, the next batch is computed already.
        n_requests = 2 * self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(n_requests):
            self._requests.put(self._compiled.create_infer_request())
        # OpenVINO's bindings set themselves up in the first call of each kind; where two threads
        # make that call at once, one waits for the interpreter's lock and the other for the set-up.
        warm_up = np.ones((1, 1), dtype=np.int64)
        self.run(warm_up, warm_up)
        self._executor = ThreadPoolExecutor(n_requests)
        self.closed = False

    def submit(self, task: Callable[[], Result]) -> "Future[Result]":
        """Have one of the session's threads do a task, which may call `run`."""
        return self._executor.submit(task)

    def run(self, ids: Ints, mask: Ints, reduce: Callable[[Floats], Floats] = np.copy) -> Floats:
        """Compute the vectors of a batch of wordpieces.

        ids (Ints): Wordpiece ids, shape (windows, length).
        mask (Ints): 1 for a wordpiece and 0 for padding, same shape.
        reduce (Callable[[NDArray[float32]], NDArray[float32]]): What to make of the vectors,
            shape (windows, length, width), which are overwritten afterwards.
        RETURNS (NDArray[float32]): What `reduce` made of them.
        RAISES (RuntimeError): The session was closed.
        """
        request = self._requests.get()
        if request is None:
            self._requests.put(None)
            raise RuntimeError("The session is closed.")
        try:
            request.infer([ids, mask], share_inputs=True)
            return reduce(request.get_output_tensor().data)
        finally:
            self._requests.put(request)

    def close(self) -> None:
        """Finish what was submitted, and end all threads."""
        if self.closed:
            return
        self.closed = True
        self._executor.shutdown(wait=True)
        while not self._requests.empty():
            self._requests.get()
        # Whoever asks from now on is told, in place of waiting for ever.
        self._requests.put(None)
        del self._compiled


def _close_before_fork() -> None:
    not_forking.acquire()
    for session in list(_sessions):
        session.close()


if hasattr(os, "register_at_fork"):  # Windows forks nothing
    os.register_at_fork(
        before=_close_before_fork,
        after_in_parent=not_forking.release,
        after_in_child=not_forking.release,
    )


def import_openvino() -> Any:
    """RETURNS (ModuleType): OpenVINO, with nothing sent to its makers.
    RAISES (ClinnerError): It is not installed.
    """
    try:
        with without_telemetry():
            import openvino
    except ImportError:
        raise ClinnerError(
            "clinner_cpu_encoder needs OpenVINO, which is not installed. "
            'Install it with: pip install "spacy-clinner[cpu]"'
        ) from None
    return openvino
