"""The service as an ASGI application."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from spacy.language import Language
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

import spacy_clinner
from spacy_clinner.service import origins, problems, routes
from spacy_clinner.service.documentation import add_documentation
from spacy_clinner.service.gate import Gate
from spacy_clinner.service.key import check_sendable
from spacy_clinner.service.limits import Limits
from spacy_clinner.service.metrics import Metrics
from spacy_clinner.service.microbatches import MicroBatches
from spacy_clinner.service.page_files import add_page
from spacy_clinner.service.state import Service


def create_app(
    nlp: Language,
    limits: Limits | None = None,
    *,
    api_key: str | None = None,
    cors: Sequence[str] = (),
) -> FastAPI:
    """Create the service.

    nlp (Language): The pipeline that it runs.
    limits (Limits | None): What callers may ask of it; None for the defaults.
    api_key (str | None): What callers must send as `Authorization: Bearer KEY`; None for nothing.
    cors (Sequence[str]): The origins whose pages may call it, besides its own.
    RETURNS (FastAPI): The application. `app.state.service.draining.set()` makes it end streams and
        call itself not ready.
    RAISES (ClinnerError): No header can hold the key, or no browser sends an origin.
    """
    check_sendable(api_key)
    for origin in cors:
        origins.check(origin)
    limits = limits or Limits()
    metrics = Metrics()
    batches = MicroBatches(
        nlp,
        batch=limits.batch,
        wait=limits.wait / 1000,
        queue=limits.queue,
        on_batch=metrics.note_batch,
    )
    metrics.watch_queue(lambda: batches.words, lambda: batches.notes)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with batches.running():
            yield

    app = FastAPI(
        title="clinner",
        summary="Clinical entities, their assertion and modifiers, as JSON.",
        version=spacy_clinner.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.service = Service(nlp, limits, metrics, batches, api_key)
    app.include_router(routes.public)
    app.include_router(routes.guarded)
    add_documentation(app, app.state.service)
    add_page(app)
    app.add_exception_handler(problems.Refused, problems.on_refused)
    app.add_exception_handler(RequestValidationError, problems.on_invalid)
    app.add_exception_handler(HTTPException, problems.on_http)
    if cors:
        _allow(app, cors)
    app.add_middleware(Gate, metrics=metrics)
    return app


def _allow(app: FastAPI, cors: Sequence[str]) -> None:
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(cors),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
    )
