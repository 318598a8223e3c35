"""A process for each system, of which one works at a time."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from spacy_clinner.errors import ClinnerError

WORKER = Path(__file__).parent / "worker.py"
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
Kind = Literal["huggingface", "spacy", "bare"]


@dataclass(frozen=True)
class System:
    """What a worker runs.

    name (str): Its name in the results.
    kind (str): "huggingface", "spacy" or "bare".
    path (str): The model's folder.
    batch_size (int): Notes at once, for "huggingface".
    threads (int): Threads; 0 for what each library takes by itself, one on each core.
    without_torch (bool): Run as where torch and transformers are not installed.
    """

    name: str
    kind: Kind
    path: str
    batch_size: int = 0
    threads: int = 0
    without_torch: bool = False


@dataclass(frozen=True)
class Worker:
    """A running system.

    system (System): What it runs.
    process (Popen): Its process.
    log (Path): The process' error output.
    loaded (float): Seconds from the start of its process until the system was loaded.
    ready (float): Seconds until it had read a first short note.
    torch_threads (int | None): Threads of torch, where it uses it.
    """

    system: System
    process: "subprocess.Popen[str]"
    log: Path
    loaded: float
    ready: float
    torch_threads: int | None

    def read(self, texts: Path, zone: bool = False) -> dict[str, Any]:
        """Have it read texts.

        texts (Path): A JSON file, a list of texts.
        zone (bool): Whether in a memory zone.
        RETURNS (dict[str, Any]): `seconds`, `entities`, `negated`, and `resident` and `peak` memory
            in bytes.
        RAISES (ClinnerError): Its process has ended.
        """
        assert self.process.stdin is not None
        request = json.dumps({"texts": str(texts), "zone": zone}) + "\n"
        # `_reply` says why its process has ended. Nothing may stay in a buffer: that would be
        # written when the pipe is closed, and fail again.
        with suppress(BrokenPipeError):
            os.write(self.process.stdin.fileno(), request.encode())
        return _reply(self.system, self.process, self.log)


@contextmanager
def started(system: System, folder: Path) -> Iterator[Worker]:
    """A system's process, loaded; it ends with the block.

    system (System): What to run.
    folder (Path): Gets the process' error output.
    YIELDS (Worker): The running system.
    RAISES (ClinnerError): It does not start; the message holds the end of its error output.
    """
    log = folder / f"{system.name}.log"
    with log.open("w", encoding="utf8") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            # -P: the folder of the worker is none to import from.
            [sys.executable, "-P", WORKER, json.dumps(asdict(system))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(os.environ, system.threads),
            encoding="utf8",
        )
        with process:
            try:
                _reply(system, process, log)
                loaded = time.perf_counter() - begin
                first = _reply(system, process, log)
                ready = time.perf_counter() - begin
                yield Worker(system, process, log, loaded, ready, first["torch_threads"])
            finally:
                process.kill()


def _environment(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    kept = {name: value for name, value in environment.items() if name not in THREAD_VARIABLES}
    if threads:
        kept |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    return kept | {"HF_HUB_OFFLINE": "1"}


def _reply(system: System, process: "subprocess.Popen[str]", log: Path) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if line:
        reply: dict[str, Any] = json.loads(line)
        return reply
    code = process.wait()
    tail = " ".join(log.read_text(encoding="utf8", errors="replace")[-1000:].split())
    if code < 0:
        tail = f"ended by signal {-code}; 9 as a rule means too little memory. {tail}"
    raise ClinnerError(f"{system.name} ({system.path}) does not run: {tail}")
