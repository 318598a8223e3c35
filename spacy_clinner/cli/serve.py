from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spacy_clinner.errors import ClinnerError

if TYPE_CHECKING:
    from spacy.language import Language

KEY = "CLINNER_API_KEY"


def command(
    model: Annotated[str, typer.Argument(help="An installed pipeline, or its folder")],
    host: Annotated[str, typer.Option(help="Where to listen")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any that is free", min=0, max=65535)] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(envvar=KEY, help="What callers send as Authorization: Bearer KEY"),
    ] = None,
    cors: Annotated[
        list[str] | None, typer.Option(help="An origin whose pages may call, such as https://a.b")
    ] = None,
    max_body: Annotated[int, typer.Option(help="Bytes of a body", min=1)] = 4 * 1024 * 1024,
    max_note: Annotated[int, typer.Option(help="Characters of a note", min=1)] = 200_000,
    max_notes: Annotated[int, typer.Option(help="Notes of a request", min=1)] = 200,
    queue: Annotated[int, typer.Option(help="Words that may wait", min=1)] = 200_000,
    timeout: Annotated[float, typer.Option(help="Seconds for a request", min=0.001)] = 60.0,
    batch: Annotated[int, typer.Option(help="Words computed together", min=1)] = 4_000,
    wait: Annotated[
        float, typer.Option(help="Milliseconds to wait for more to compute together", min=0)
    ] = 3.0,
) -> None:
    """Serve MODEL: an API for programs at /v1, and a page for people at /."""
    import math
    from concurrent.futures import ThreadPoolExecutor

    for name, value in (("--timeout", timeout), ("--wait", wait)):
        if not math.isfinite(value):
            raise ClinnerError(f"{name} {value}: no time. Give a number.")
    check_installed()
    from spacy_clinner.service import origins, server
    from spacy_clinner.service.key import check_sendable
    from spacy_clinner.service.limits import Limits

    check_sendable(api_key)
    for origin in cors or ():
        origins.check(origin)
    log_to_stderr()
    # Before the model is loaded, so that a port that is taken is told at once.
    taken = server.bind(host, port)
    if not server.is_loopback(taken) and not api_key:
        typer.secho(
            f"⚠ {host} can be reached from other machines, and there is no key: whoever reaches it "
            f"may use it. Set {KEY}, or listen on 127.0.0.1.",
            fg="yellow",
            err=True,
        )
    nlp = load(model, max_note)
    with ThreadPoolExecutor(1) as thread:
        # What is compiled when first needed is not for the first caller to wait for.
        warm = thread.submit(nlp, "No fever.")
        from spacy_clinner.service.app import create_app

        warm.result()
    limits = Limits(max_body, max_note, max_notes, queue, timeout, batch, wait)
    app = create_app(nlp, limits, api_key=api_key or None, cors=cors or ())
    server.serve(app, taken, seconds=timeout)


def check_installed() -> None:
    """Check for the extra.

    RAISES (ClinnerError): One of its packages is missing.
    """
    from importlib.util import find_spec

    for name in ("fastapi", "fastapi_offline", "prometheus_client", "pyarrow", "uvicorn"):
        if find_spec(name) is None:
            raise ClinnerError(
                f"`clinner serve` needs {name}, which is not installed. "
                'Install it with: pip install "spacy-clinner[serve]"'
            )


def log_to_stderr() -> None:
    """Let the service tell what it does, and all others only of something wrong."""
    import logging
    import sys

    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("clinner.service").setLevel(logging.INFO)


def load(model: str, max_note: int) -> Language:
    """Load a pipeline.

    model (str): Its name or folder.
    max_note (int): Characters of the longest note.
    RETURNS (Language): The pipeline.
    RAISES (ClinnerError): There is none, or it cannot be loaded.
    """
    from spacy_clinner.tables import pipelines

    pipelines.find(model)
    nlp = pipelines.load(model)
    nlp.max_length = max(nlp.max_length, max_note)
    return nlp
