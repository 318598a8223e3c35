"""Real HTTP servers that speak OpenAI's chat protocol, as far as tests need it."""

import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def completion(content, finish="stop", tokens=(100, 10)):
    """The body of a chat completion."""
    return json.dumps(
        {
            "choices": [
                {"message": {"role": "assistant", "content": content}, "finish_reason": finish}
            ],
            "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]},
        }
    ).encode()


class Requests:
    """What a server was asked, and how many requests it had at once at most."""

    def __init__(self):
        self.bodies = []
        self.headers = []
        self.at_once = 0
        self._now = 0
        self._lock = threading.Lock()

    def begin(self, body, headers):
        with self._lock:
            self.bodies.append(body)
            self.headers.append(headers)
            self._now += 1
            self.at_once = max(self.at_once, self._now)

    def end(self):
        with self._lock:
            self._now -= 1


@contextmanager
def serving(answer, delay=0.0):
    """A server at (url, Requests). `answer` takes a request's body and the number of requests
    before it, and gives the content, or (status, bytes), or (status, bytes, headers), or None to
    cut the connection."""
    requests = Requests()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            before = len(requests.bodies)
            requests.begin({"path": self.path, **body}, dict(self.headers))
            try:
                time.sleep(delay)
                given = answer(body, before)
            finally:
                requests.end()
            if given is None:
                self.close_connection = True
                self.connection.close()
                return
            status, content, *more = (200, completion(given)) if isinstance(given, str) else given
            self.send_response(status)
            for name, value in (more[0] if more else {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_):
            """A client that went away is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def dripping(first, every=0.05):
    """The url of a server that sends FIRST, and then a byte at a time for as long as it is up."""
    over = threading.Event()

    def drip(connection):
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(first)
                while not over.wait(every):
                    connection.sendall(b"x")
            except OSError:
                """The client has gone away."""

    def accept():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            drips.append(threading.Thread(target=drip, args=(connection,)))
            drips[-1].start()

    drips = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            over.set()
            # An accept() that waits is not ended by close().
            listening.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *drips):
                thread.join()


def text_asked(body):
    """The text that a request asks about."""
    content = body["messages"][-1]["content"]
    return (
        content.removeprefix("Text:\n")
        .removeprefix("### Input Text: ")
        .removesuffix("\n### Output Text:")
    )
