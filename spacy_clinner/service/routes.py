"""What the service answers, path by path."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from spacy_clinner.service import bodies, streaming
from spacy_clinner.service.answers import Asked, Format, Made, joined, shape_of
from spacy_clinner.service.examples import examples
from spacy_clinner.service.key import is_same
from spacy_clinner.service.microbatches import QueueFull
from spacy_clinner.service.problems import Place, ProblemAnswer, Refused
from spacy_clinner.service.state import Service


async def service_of(request: Request) -> Service:
    """RETURNS (Service): The service that a request came to."""
    service: Service = request.app.state.service
    return service


Here = Annotated[Service, Depends(service_of)]


async def check_key(request: Request, service: Here) -> None:
    """Refuse a request without the key, if there is one.

    RAISES (Refused): 401.
    """
    if service.api_key is None:
        return
    # Headers are read as Latin-1: encoded as such they are the bytes that came.
    kind, _, given = request.headers.get("authorization", "").encode("latin1").partition(b" ")
    if not is_same(given.strip(b" \t"), service.api_key) or kind.lower() != b"bearer":
        raise Refused(
            401,
            "The key is missing or wrong. Send it as Authorization: Bearer KEY.",
            headers={"WWW-Authenticate": "Bearer"},
        )


async def check_parameters(request: Request) -> None:
    """Refuse parameters of the address that would mean nothing, as bodies are.

    RAISES (Refused): 422.
    """
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    if request.query_params.keys() - set(known):
        place = Place(where="query", what=f"only {', '.join(known)} may stand in the address")
        raise Refused(422, f"{place.where}: {place.what}.", [place])


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ProblemAnswer} for status in statuses}


def _json(schema: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{schema}"}}


public = APIRouter()
guarded = APIRouter(prefix="/v1", dependencies=[Depends(check_key)], responses=_problems(401))


# HEAD too: some that check health ask so.
@public.head("/healthz", include_in_schema=False)
@public.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "ok"}


@public.head("/readyz", include_in_schema=False)
@public.get("/readyz", responses=_problems(503))
async def readyz(service: Here) -> dict[str, str]:
    """Whether requests should be sent here."""
    if service.draining.is_set():
        raise Refused(503, "The service is ending.")
    return {"status": "ready"}


@public.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request, service: Here) -> Response:
    """Counts for Prometheus; no text of a note is among them."""
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    content = await asyncio.to_thread(encode, service.metrics.registry)
    return Response(content, headers={"Content-Type": content_type})


@guarded.get("/model")
async def model(service: Here) -> dict[str, Any]:
    """What the model finds, which version it is, and what it scored on gold."""
    return service.facts


@guarded.get("/examples")
async def example_notes() -> dict[str, list[dict[str, str]]]:
    """Five invented notes to try."""
    return {"examples": examples()}


@guarded.post(
    "/annotate",
    response_class=JSONResponse,
    dependencies=[Depends(check_parameters)],
    responses={
        200: {
            "description": "By note what was found, in the order of the request: as `clinner "
            "annotate` writes it, or with `format` a list in the shape of another service.",
            "content": {"application/json": {"schema": {"anyOf": [
                {"$ref": "#/components/schemas/Annotated"}, {"type": "array"},
            ]}}},
        },
        **_problems(400, 408, 413, 415, 422, 500, 503, 504),
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": _json("AnnotateIn")}}
    },
)  # fmt: skip
async def annotate(
    request: Request, service: Here, format: Annotated[Format, Query()] = "clinner"
) -> Response:
    """Find the entities of notes, what is asserted of each, and the modifiers linked to it."""
    body = await bodies.read(request, service.limits)
    sent = bodies.parse(bodies.AnnotateIn, body)
    bodies.check(sent, service.limits, service.layers)
    layers = None if sent.layers is None else tuple(sent.layers)
    asked = Asked(format, layers, sent.threshold or 0.0)
    made = await _made(request, service, asked, sent.notes)
    request.state.notes = len(made)
    request.state.words = sum(note.words for note in made)
    return Response(joined(asked, [note.json for note in made]), media_type="application/json")


async def _made(
    request: Request, service: Service, asked: Asked, notes: list[bodies.NoteIn]
) -> list[Made]:
    """Compute the notes of a request, unless the caller hangs up or the time is over."""
    shapes = [shape_of(service.nlp, asked, note.id, note.text) for note in notes]
    try:
        pending = asyncio.gather(*service.batches.add([note.text for note in notes], shapes))
    except QueueFull as full:
        raise Refused(
            503,
            f"Too many words wait already. Try again in {full.seconds} s.",
            headers={"Retry-After": str(full.seconds)},
        ) from None
    gone = asyncio.create_task(_gone(request))
    try:
        async with asyncio.timeout(service.limits.seconds):
            await asyncio.wait((pending, gone), return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        raise Refused(
            504, f"Not done within {service.limits.seconds:g} seconds. Send fewer notes at once."
        ) from None
    else:
        if not pending.done():
            raise Refused(499, "The caller hung up.")
        return pending.result()
    finally:
        gone.cancel()
        pending.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@guarded.post(
    "/annotate/stream",
    response_class=Response,
    dependencies=[Depends(check_parameters)],
    responses={
        200: {
            "description": "A line for each line of the request, in order: a note as in "
            "`/v1/annotate`, or `{\"line\": ..., \"error\": ...}`.",
            "content": {streaming.MEDIA_TYPE: _json("Note")},
        },
        **_problems(415, 422),
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {streaming.MEDIA_TYPE: _json("NoteIn")}}
    },
)  # fmt: skip
async def annotate_stream(
    request: Request,
    service: Here,
    format: Annotated[Format, Query()] = "clinner",
    layers: Annotated[list[str] | None, Query()] = None,
    threshold: Annotated[float, Query(ge=0, le=1, allow_inf_nan=False)] = 0.0,
) -> Response:
    """Annotate a file of any length, a note a line. Read the answer while you send: nothing is read
    that is ahead of what you take."""
    bodies.check_type(request, *streaming.MEDIA_TYPES)
    bodies.check_layers(layers, service.layers)
    asked = Asked(format, None if layers is None else tuple(layers), threshold)
    stream = streaming.Stream(request, service, asked)
    return streaming.LineResponse(stream.answers, service.limits.seconds)
