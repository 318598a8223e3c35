from __future__ import annotations

import os
from typing import Annotated

import typer

from spacy_clinner.errors import ClinnerError

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
    import logging
    import sys

    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ClinnerError(
            f"`clinner serve` needs {error.name}, which is not installed. "
            'Install it with: pip install "spacy-clinner[serve]"'
        ) from None
    import spacy

    from spacy_clinner.service import server
    from spacy_clinner.service.app import create_app
    from spacy_clinner.service.limits import Limits

    os.environ.pop(KEY, None)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    limits = Limits(max_body, max_note, max_notes, queue, timeout, batch, wait)
    taken = server.bind(host, port)
    if not server.is_loopback(taken) and not api_key:
        typer.secho(
            f"⚠ {host} can be reached from other machines, and there is no key: whoever reaches it "
            f"may use it. Set {KEY}, or listen on 127.0.0.1.",
            fg="yellow",
            err=True,
        )
    try:
        nlp = spacy.load(model)
    except OSError:
        raise ClinnerError(f"{model}: no such pipeline, neither installed nor a folder.") from None
    nlp.max_length = max(nlp.max_length, max_note)
    # What is compiled when first needed is not for the first caller to wait for.
    nlp("No fever.")
    server.serve(
        create_app(nlp, limits, api_key=api_key or None, cors=cors or ()), taken, seconds=timeout
    )
