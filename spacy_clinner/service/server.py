"""Run the service: listen, answer until told to end, finish what is running."""

import contextlib
import ipaddress
import logging
import signal
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from spacy_clinner.errors import ClinnerError

log = logging.getLogger("clinner.service")


class Server(uvicorn.Server):
    """A server that tells its application when it is to end."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say where."""
        await super().startup(sockets)
        if self.started and sockets:
            log.info("listening on %s", address(sockets[0]))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Finish what is running."""
        app: FastAPI = self.config.app  # type: ignore[assignment]
        app.state.service.draining.set()
        super().handle_exit(sig, frame)


def bind(host: str, port: int) -> socket.socket:
    """Take a port, so that one that is taken is told before the model is loaded.

    host (str): An address, or a name of this machine.
    port (int): The port; 0 for any that is free.
    RETURNS (socket.socket): A socket that does not listen yet.
    RAISES (ClinnerError): The port is taken, or the address is none of this machine.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(where)
    except (OSError, UnicodeError) as error:
        # A name that no host can have is no error of the system.
        why = error.strerror if isinstance(error, OSError) else "no name of a host"
        raise ClinnerError(
            f"{host}:{port}: cannot listen there ({why}). Name another --host or --port."
        ) from None
    return taken


def address(taken: socket.socket) -> str:
    """RETURNS (str): The address of a socket, as a browser takes it."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(taken: socket.socket) -> bool:
    """RETURNS (bool): Whether only this machine reaches a socket."""
    return ipaddress.ip_address(taken.getsockname()[0]).is_loopback


def serve(app: FastAPI, taken: socket.socket, *, seconds: float) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is running.

    app (FastAPI): The service.
    taken (socket.socket): Where to listen.
    seconds (float): How long what is running may take to finish.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        ws="none",
        access_log=False,
        server_header=False,
        # Longer than proxies keep a connection, so that none sends on one that is just ended.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(seconds)),
    )
    # uvicorn raises the signal again when all is finished; to have finished is no failure.
    before = {which: signal.signal(which, _finished) for which in (signal.SIGTERM, signal.SIGINT)}
    try:
        with contextlib.closing(taken):
            Server(config).run(sockets=[taken])
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


def _finished(sig: int, frame: FrameType | None) -> None:
    pass
