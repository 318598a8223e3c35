"""What the service answers, path by path."""

import asyncio
import hmac
import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from prometheus_client.exposition import choose_encoder
from spacy.language import Language
from spacy.tokens import Doc
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from spacy_clinner.service import bodies
from spacy_clinner.service.examples import examples
from spacy_clinner.service.limits import Limits
from spacy_clinner.service.metrics import Metrics
from spacy_clinner.service.microbatches import MicroBatches, QueueFull
from spacy_clinner.service.model_facts import model_facts
from spacy_clinner.service.problems import ProblemAnswer, Refused
from spacy_clinner.view import MARKS

Format = Literal["clinner", "huggingface", "comprehend-medical", "fhir"]


@dataclass
class Service:
    """What the routes need, as `app.state.service`.

    nlp (Language): The pipeline.
    limits (Limits): What callers may ask.
    metrics (Metrics): What is counted.
    batches (MicroBatches): Computes the notes.
    api_key (str | None): What callers must send; None for nothing.
    draining (bool): The process is about to end.
    facts (dict[str, Any]): What `/v1/model` says.
    """

    nlp: Language
    limits: Limits
    metrics: Metrics
    batches: MicroBatches
    api_key: str | None = None
    draining: bool = False
    facts: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.facts = model_facts(self.nlp, self.limits)

    @property
    def layers(self) -> list[str]:
        """The layers that the model has."""
        return [layer["name"] for layer in self.facts["layers"]]


def service_of(request: Request) -> Service:
    """RETURNS (Service): The service that a request came to."""
    service: Service = request.app.state.service
    return service


Here = Annotated[Service, Depends(service_of)]


def check_key(request: Request, service: Here) -> None:
    """Refuse a request without the key, if there is one.

    RAISES (Refused): 401.
    """
    if service.api_key is None:
        return
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(), service.api_key.encode())
    if kind.lower() != "bearer" or not same:
        raise Refused(
            401,
            "The key is missing or wrong. Send it as Authorization: Bearer KEY.",
            headers={"WWW-Authenticate": "Bearer"},
        )


public = APIRouter()
guarded = APIRouter(prefix="/v1", dependencies=[Depends(check_key)])


@public.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "ok"}


@public.get("/readyz", responses={503: {"model": ProblemAnswer}})
async def readyz(service: Here) -> dict[str, str]:
    """Whether requests should be sent here."""
    if service.draining:
        raise Refused(503, "The service is ending.")
    return {"status": "ready"}


@public.get("/marks.css", include_in_schema=False)
async def marks() -> Response:
    """How findings are marked, as `clinner view` has it."""
    return Response(MARKS, media_type="text/css")


@public.get("/metrics", response_class=Response)
async def metrics(request: Request, service: Here) -> Response:
    """Counts for Prometheus; no text of a note is among them."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    content = await asyncio.to_thread(encode, service.metrics.registry)
    return Response(content, headers={"Content-Type": content_type})


@guarded.get("/model")
async def model(service: Here) -> Response:
    """What the model finds, which version it is, and what it scored on gold."""
    return JSONResponse(service.facts)


@guarded.get("/examples")
async def example_notes() -> Response:
    """Five invented notes to try."""
    return JSONResponse({"examples": examples()})


@guarded.post("/annotate")
async def annotate(
    request: Request,
    service: Here,
    format: Annotated[Format, Query()] = "clinner",  # noqa: ARG001
) -> Response:
    """Annotate notes."""
    body = await bodies.read(request, service.limits)
    asked = bodies.parse(bodies.AnnotateIn, body)
    bodies.check(asked, service.limits, service.layers)

    def shape(doc: Doc) -> tuple[int, str]:
        from spacy_clinner.tables.huggingface import to_entities

        return len(doc.text.split()), json.dumps(to_entities(doc, asked.layers))

    try:
        pending = service.batches.add([note.text for note in asked.notes], shape)
    except QueueFull as full:
        raise Refused(
            503,
            f"Too many words wait already. Try again in {full.seconds} s.",
            headers={"Retry-After": str(full.seconds)},
        ) from None
    try:
        async with asyncio.timeout(service.limits.seconds):
            made = await asyncio.gather(*pending)
    except TimeoutError:
        raise Refused(
            504, f"Not done within {service.limits.seconds:g} seconds. Send fewer notes at once."
        ) from None
    request.state.notes = len(made)
    request.state.words = sum(words for words, _ in made)
    content = "[" + ",".join(found for _, found in made) + "]"
    return Response(content, media_type="application/json")
