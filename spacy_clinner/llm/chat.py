"""Requests to a server that speaks the chat protocol of OpenAI: vLLM, llama.cpp, Ollama and others.

Nothing is sent to any other address: no redirect is followed, and no proxy taken from the
environment.
"""

import asyncio
import json
import random
import re
import threading
from collections import Counter
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from spacy_clinner.errors import ClinnerError

if TYPE_CHECKING:
    import httpx

RETRIED = frozenset((408, 425, 429, *range(500, 600))) - {501, 505}
LONGEST_WAIT = 60.0
SECONDS = re.compile(r"\d+(\.\d+)?", re.A)
SIGNS_OF_TOKEN = 4
NO_ADDRESS = (
    "clinner_llm: give the address of the server: `base_url` in the config, or the environment "
    "variable CLINNER_LLM_URL, such as http://localhost:8000/v1. Notes are sent nowhere else."
)
WHAT = {
    400: "refuses the request; the passage may be too long for the model (lower `length`)",
    401: "refuses the key; set the environment variable that `key_env` names",
    403: "refuses the key; set the environment variable that `key_env` names",
    404: "knows no such path or model; look at `base_url` (often it ends in /v1) and `model`",
    413: "finds the request too long; lower `length`",
    429: "asks to slow down; lower `concurrency`",
}


class RequestFailed(ClinnerError):
    """A request that got no usable answer; `status` is the server's, 0 where it gave none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class BudgetSpent(ClinnerError):
    """No tokens are left to ask with."""


@dataclass(frozen=True)
class Address:
    """Whom to ask.

    base_url (str): The address before "/chat/completions".
    model (str): The model's name there.
    key (str): What is sent as bearer token; "" for none.
    """

    base_url: str
    model: str
    key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            whole = False
        if not whole:
            raise ClinnerError(NO_ADDRESS)
        if not (self.key.isascii() and self.key.isprintable()):
            raise ClinnerError(
                "clinner_llm: the key holds a line break or another character that no header can. "
                "Look at the environment variable that `key_env` names."
            )
        if parts.username or parts.password:
            raise ClinnerError(
                "clinner_llm: the address must hold no password. Give the key by the environment "
                "variable that `key_env` names."
            )
        if "?" in self.base_url or "#" in self.base_url:
            raise ClinnerError(
                "clinner_llm: the address must have nothing behind the path, neither ? nor #. Give "
                "a key by the environment variable that `key_env` names."
            )
        if not self.model:
            raise ClinnerError(
                "clinner_llm: give the name of the model: `model` in the config, or the "
                "environment variable CLINNER_LLM_MODEL."
            )

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self.base_url.rstrip('/')}/chat/completions"


@dataclass(frozen=True)
class Patience:
    """How long to try.

    timeout (float): Seconds to wait for a whole answer.
    tries (int): How often to ask at most.
    first_wait (float): Seconds before the second try; before each further one twice as many.
    """

    timeout: float = 60.0
    tries: int = 4
    first_wait: float = 1.0


@dataclass(frozen=True)
class Reply:
    """An answer.

    content (str): What the model wrote.
    cut (bool): It was stopped before its end, by the most tokens that it may write.
    asked (int), answered (int): Tokens of the request and of the answer; where the server does not
        say, a quarter of the characters.
    """

    content: str
    cut: bool = False
    asked: int = 0
    answered: int = 0


class Budget:
    """Counts tokens, and stops when there are too many.

    limit (int): How many may be spent; 0 for any number. Requests that are under way when they are
        spent still count on top.
    """

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.spent: Counter[str] = Counter()
        self._lock = threading.Lock()

    def check(self) -> None:
        """Stop where nothing is left.

        RAISES (BudgetSpent): So it is.
        """
        spent = self.spent["asked"] + self.spent["answered"]
        if self.limit and spent >= self.limit:
            raise BudgetSpent(
                f"clinner_llm: {spent:,} tokens are spent of a `budget` of {self.limit:,}. Raise "
                f"it, and go on; with a `cache`, what was asked already costs nothing."
            )

    def add(self, reply: Reply) -> None:
        """Count an answer."""
        with self._lock:
            self.spent.update(requests=1, asked=reply.asked, answered=reply.answered)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


class Chat:
    """Connections to a server, for several threads.

    address (Address): Whom to ask.
    patience (Patience): How long to try.
    budget (Budget): What may be spent.
    connections (int): How many at once.
    RAISES (ClinnerError): httpx is missing, or nothing can be sent to the address.
    """

    def __init__(
        self, address: Address, patience: Patience, budget: Budget, connections: int = 1
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise ClinnerError(
                'clinner_llm needs httpx: pip install "spacy-clinner[llm]".'
            ) from None
        try:
            _ = httpx.URL(address.url).host
        except (httpx.InvalidURL, UnicodeError):
            raise ClinnerError(NO_ADDRESS) from None
        self.address = address
        self.patience = patience
        self.budget = budget
        headers = {"Authorization": f"Bearer {address.key}"} if address.key else {}
        # Only what is asynchronous can be stopped at any time: a blocking client's time-outs begin
        # anew with each byte.
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=None,
            limits=httpx.Limits(max_connections=connections),
            trust_env=False,
            follow_redirects=False,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._stopped = threading.Event()
        self._posts: set[Future[httpx.Response]] = set()
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Wait for no answer any more: whoever asks, or has asked, is told that it failed."""
        with self._lock:
            self._stopped.set()
            posts = list(self._posts)
        for post in posts:
            post.cancel()

    def close(self) -> None:
        """Close the connections."""
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def ask(self, body: dict[str, Any]) -> Reply:
        """Ask, and ask again where that may help.

        body (dict[str, Any]): The request, without the model's name.
        RETURNS (Reply): The answer.
        RAISES (RequestFailed): There was none. BudgetSpent: Nothing may be asked any more.
        """
        last = self.patience.tries - 1
        for attempt in range(self.patience.tries):
            self.budget.check()
            try:
                reply = self._once(body)
            except _Passing as failed:
                if attempt == last:
                    raise self._failed(failed.reason, failed.status, attempt + 1) from None
                wait = failed.wait
                if wait is None:
                    # Not all at once again, where many failed at once.
                    wait = self.patience.first_wait * 2.0**attempt * random.uniform(0.75, 1.25)
                self._stopped.wait(wait)
            else:
                self.budget.add(reply)
                return reply
        raise ClinnerError("clinner_llm: `tries` must be 1 or more.")

    def _once(self, body: dict[str, Any]) -> Reply:
        import httpx

        with self._lock:
            if self._stopped.is_set():
                raise self._failed("was no longer waited for", 0, 1)
            post = asyncio.run_coroutine_threadsafe(self._post(body), self._loop)
            self._posts.add(post)
        try:
            answer = post.result()
        except CancelledError:
            raise self._failed("was no longer waited for", 0, 1) from None
        except TimeoutError:
            reason = f"gave no answer within {self.patience.timeout:g} s (raise `timeout`?)"
            raise _Passing(reason) from None
        except httpx.ConnectError:
            raise _Passing("cannot be reached; is it up?") from None
        except (httpx.TransportError, httpx.DecodingError):
            raise _Passing("cut the connection") from None
        finally:
            self._posts.discard(post)
        status = answer.status_code
        if status in RETRIED:
            wait = seconds_to_wait(answer.headers.get("retry-after", ""))
            raise _Passing(WHAT.get(status, f"failed ({status})"), status, wait)
        if status != 200:
            reason = WHAT.get(status, "gave no answer")
            raise self._failed(reason, status, 1)
        reply = _read(answer.content, len(json.dumps(body)))
        if reply is None:
            raise self._failed("answered with what is no chat completion", 0, 1)
        return reply

    async def _post(self, body: dict[str, Any]) -> "httpx.Response":
        async with asyncio.timeout(self.patience.timeout):
            return await self._client.post(
                self.address.url, json={"model": self.address.model, **body}
            )

    def _failed(self, reason: str, status: int, tried: int) -> RequestFailed:
        code = f" ({status})" if status and str(status) not in reason else ""
        times = f", tried {tried} times" if tried > 1 else ""
        return RequestFailed(f"{self.address.url} {reason}{code}{times}.", status)


class _Passing(Exception):
    """A failure that may pass; `wait` is for how long the server asks to wait, if it says so."""

    def __init__(self, reason: str, status: int = 0, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.wait = wait


def seconds_to_wait(written: str) -> float | None:
    """How long a server asks to wait.

    written (str): Its Retry-After: seconds, or a date.
    RETURNS (float | None): Seconds, at most `LONGEST_WAIT`; None where it is neither.
    """
    if SECONDS.fullmatch(written):
        return min(float(written), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(written)
    except (ValueError, OverflowError):
        return None
    zoned = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, min((zoned - datetime.now(UTC)).total_seconds(), LONGEST_WAIT))


def _read(content: bytes, asked: int) -> Reply | None:
    """A chat completion; None where it is none."""
    try:
        data = json.loads(content)
        choice = data["choices"][0]
        written = choice["message"]["content"] or ""
        usage = data.get("usage") or {}
        tokens = (
            int(usage.get("prompt_tokens") or asked // SIGNS_OF_TOKEN),
            int(usage.get("completion_tokens") or len(written) // SIGNS_OF_TOKEN),
        )
        return Reply(str(written), choice.get("finish_reason") == "length", *tokens)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
