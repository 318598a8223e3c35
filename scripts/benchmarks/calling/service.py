"""A service in a process of its own, on this machine's loop-back address."""

import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from spacy_clinner.errors import ClinnerError

SERVED = Path(__file__).parent / "served.py"
HOST = "127.0.0.1"
PATIENCE = 120.0


@dataclass(frozen=True)
class Service:
    """A running service.

    port (int): Where it listens.
    process (Popen): Its process.
    ready (float): Seconds from the start of its process until `/readyz` answered.
    """

    port: int
    process: "subprocess.Popen[bytes]"
    ready: float

    def resident(self) -> int:
        """RETURNS (int): Its resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf8")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def processor_seconds(self) -> float:
        """RETURNS (float): The time that all its threads computed."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf8").split()
        return (int(fields[13]) + int(fields[14])) / 100


@contextmanager
def serving(model: str, folder: Path, options: Sequence[str] = ()) -> Iterator[Service]:
    """Start a service; it ends with the block.

    model (str): What it serves.
    folder (Path): Gets its log.
    options (Sequence[str]): Further options of `clinner serve`.
    YIELDS (Service): The service, ready.
    RAISES (ClinnerError): It does not start, or does not end with 0.
    """
    with closing(socket.create_server((HOST, 0))) as free:
        port = free.getsockname()[1]
    log = folder / "service.log"
    command = [sys.executable, "-P", str(SERVED), "serve", model, "--port", str(port), *options]
    with log.open("w", encoding="utf8") as errors:
        begin = time.perf_counter()
        with subprocess.Popen(command, stderr=errors) as process:
            try:
                _wait(process, port, log)
                yield Service(port, process, time.perf_counter() - begin)
                process.send_signal(signal.SIGTERM)
                if (code := process.wait(PATIENCE)) != 0:
                    raise ClinnerError(f"The service ended with {code} after SIGTERM, not with 0.")
            finally:
                process.kill()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.perf_counter() + PATIENCE
    while time.perf_counter() < until and process.poll() is None:
        try:
            with closing(http.client.HTTPConnection(HOST, port, timeout=5)) as connection:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
        except OSError:
            time.sleep(0.005)
    tail = " ".join(log.read_text(encoding="utf8")[-1000:].split())
    raise ClinnerError(f"The service does not start: {tail}")
