"""Real servers in processes of their own."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

for package in ("fastapi", "fastapi_offline", "httpx", "prometheus_client", "pyarrow", "uvicorn"):
    pytest.importorskip(package, reason=f"{package} is missing: pip install .[serve,test]")

import httpx  # noqa: E402

SERVED = Path(__file__).parent / "served.py"
LISTENS = re.compile(r"listening on (http://\S+)")


@dataclass
class Server:
    """A running service."""

    url: str
    process: subprocess.Popen
    log: Path

    def client(self, **options):
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def logged(self):
        return self.log.read_text(encoding="utf8")

    def end(self, seconds=30):
        """SIGTERM, and what the process ends with."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def running(folder, model, *options, env=None):
    """A service of a model, listening; it ends with the block."""
    log = folder / f"{time.monotonic_ns()}.log"
    arguments = [sys.executable, str(SERVED), "serve", str(model), *map(str, options)]
    if "--port" not in arguments:
        arguments += ["--port", "0"]
    with log.open("w", encoding="utf8") as errors:
        process = subprocess.Popen(arguments, stderr=errors, env=dict(os.environ, **(env or {})))
    try:
        yield Server(_url(process, log), process, log)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()


def _url(process, log):
    # A machine that does ten other things is no failure.
    for _ in range(6000):
        told = LISTENS.search(log.read_text(encoding="utf8"))
        if told:
            return told[1]
        assert process.poll() is None, log.read_text(encoding="utf8")
        time.sleep(0.05)
    raise AssertionError(log.read_text(encoding="utf8"))


def notes(*texts):
    """The body of a request."""
    return {"notes": [{"id": str(at), "text": text} for at, text in enumerate(texts)]}
