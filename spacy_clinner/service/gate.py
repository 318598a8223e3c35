"""What every request passes: it gets an id, a line in the log, its counts, and headers that keep a
page from loading or sending anything elsewhere."""

import logging
import time
import traceback
from uuid import uuid4

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spacy_clinner.service.metrics import Metrics
from spacy_clinner.service.problems import Refused, answer

log = logging.getLogger("clinner.service")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI has its pictures in its style sheet.
POLICY_OF_DOCS = POLICY.replace("img-src 'self'", "img-src 'self' data:")
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FAILED = "The service failed. Its log says more under this id."
# Who hung up before the answer, as web servers commonly log it.
CLIENT_GONE = 499


class Gate:
    """ASGI middleware around the whole service.

    app (ASGIApp): The service.
    metrics (Metrics): Where requests are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = uuid4().hex[:16]
        state = scope.setdefault("state", {})
        state |= {"id": request_id, "notes": 0, "words": 0}
        started = time.perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                if scope["path"].startswith("/docs"):
                    headers["Content-Security-Policy"] = POLICY_OF_DOCS
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/v1/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        try:
            await self.app(scope, receive, send_marked)
        except Exception as error:
            log_failure(request_id, error)
            if status:
                # Half an answer must not look like a whole one: where it is not ended, the server
                # cuts the connection.
                return
            await answer(Refused(500, FAILED), request_id)(scope, receive, send_marked)
        finally:
            self._note(scope, status or CLIENT_GONE, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        state = scope["state"]
        # The path that was asked for could be anything, also something of a note.
        route = getattr(scope.get("route"), "path", None) or "other"
        self.metrics.requests.labels(route, status).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        if state["notes"]:
            self.metrics.notes.labels(route).inc(state["notes"])
            self.metrics.words.labels(route).inc(state["words"])
        log.info(
            "%s %s %s %d notes=%d words=%d ms=%.0f",
            state["id"], scope["method"], route, status, state["notes"], state["words"],
            1000 * seconds,
        )  # fmt: skip


def log_failure(request_id: str, error: Exception) -> None:
    """Write down where the service failed.

    request_id (str): What the log names the request.
    error (Exception): The error.
    """
    # Neither the message of an error nor what variables held: both may quote a note.
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    places = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in frames[::-1])
    log.error("%s failed: %s in %s", request_id, type(error).__name__, places)
