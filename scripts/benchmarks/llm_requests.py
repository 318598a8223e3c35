"""How much faster `clinner_llm` is with several requests at once, against a server that takes its
time with each."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any

import spacy
import typer

from spacy_clinner.cli import run

ANSWER = json.dumps({"entities": [{"text": "fever", "label": "PROBLEM"}]})
COMPLETION = json.dumps(
    {
        "choices": [{"message": {"content": ANSWER}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 600, "completion_tokens": 20},
    }
).encode()


def main(
    notes: Annotated[int, typer.Option(help="How many short notes")] = 200,
    delay: Annotated[float, typer.Option(help="Seconds that the server takes for each")] = 0.2,
    at_once: Annotated[int, typer.Option(help="Requests at once")] = 16,
) -> None:
    """Time the notes one at a time, and several at once."""
    seconds = {}
    with server(delay) as url:
        for count in (at_once, 1):
            seconds[count] = measure(url, count, notes)
            typer.echo(f"{count} at once: {notes} notes in {seconds[count]:.1f} s")
    typer.echo(f"{seconds[1] / seconds[at_once]:.1f} times as fast")


def measure(url: str, at_once: int, notes: int) -> float:
    """Seconds for the notes."""
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "clinner.Tokenizer.v1"}}})
    nlp.add_pipe("clinner_llm", config={"base_url": url, "model": "m", "concurrency": at_once})
    began = time.perf_counter()
    found = [len(doc.ents) for doc in nlp.pipe(f"Note {at}. Has a fever." for at in range(notes))]
    assert found == [1] * notes
    return time.perf_counter() - began


@contextmanager
def server(delay: float) -> Iterator[str]:
    """A server that gives the same answer to all, after `delay` seconds."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(delay)
            self.send_response(200)
            self.send_header("Content-Length", str(len(COMPLETION)))
            self.end_headers()
            self.wfile.write(COMPLETION)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing to say."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    served = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}/v1"
    served.shutdown()
    served.server_close()


if __name__ == "__main__":
    run(main)
