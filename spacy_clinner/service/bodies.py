"""What callers send: read with a limit, checked, refused with the place of what is wrong."""

import asyncio
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request

from spacy_clinner.service.limits import Limits
from spacy_clinner.service.problems import Place, Refused, refused_by_validation

M = TypeVar("M", bound=BaseModel)


class NoteIn(BaseModel):
    """A note to annotate."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(max_length=200, description="Comes back with what is found.")]
    text: Annotated[str, Field(description="The note.")]


class AnnotateIn(BaseModel):
    """Notes to annotate."""

    model_config = ConfigDict(extra="forbid", strict=True)

    notes: Annotated[list[NoteIn], Field(min_length=1, description="The notes.")]
    layers: Annotated[
        list[str] | None,
        Field(
            description="The layers to give; all that hold entities if null. `ents` is `doc.ents`, "
            "`*` every layer."
        ),
    ] = None
    threshold: Annotated[
        float | None,
        Field(
            ge=0, le=1, allow_inf_nan=False, description="The least confidence of what is given."
        ),
    ] = None


async def read(request: Request, limits: Limits) -> bytes:
    """Read the body of a request.

    request (Request): The request.
    limits (Limits): Its size and time.
    RETURNS (bytes): The body.
    RAISES (Refused): 415, 413, 408 or 499: it is no JSON by its type, too large, too slow to come,
        or the caller hung up.
    """
    check_type(request, "application/json")
    stated = request.headers.get("content-length", "0")
    if stated.isdigit() and int(stated) > limits.body:
        raise too_large(limits)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limits.body:
                    raise too_large(limits)
    except TimeoutError:
        raise Refused(408, f"The body did not come within {limits.seconds:g} seconds.") from None
    except ClientDisconnect:
        raise Refused(499, "The caller hung up.") from None
    return bytes(body)


def check_type(request: Request, *kinds: str) -> None:
    """Check what a body is said to be: a browser asks before it sends another site's page's JSON.

    request (Request): The request.
    kinds (str): What it may be.
    RAISES (Refused): 415.
    """
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in kinds:
        raise Refused(415, f"The body is not what it must be: send Content-Type: {kinds[0]}.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refused(415, "The body is compressed: send it as it is, without Content-Encoding.")


def too_large(limits: Limits) -> Refused:
    """RETURNS (Refused): 413."""
    return Refused(
        413,
        f"The body is larger than {limits.body:,} bytes. Send fewer notes at once, or use "
        f"/v1/annotate/stream.",
    )


def too_large_line(limits: Limits) -> Refused:
    """RETURNS (Refused): 413, of a line of a stream."""
    return Refused(
        413, f"The line is larger than {limits.body:,} bytes. Cut the note between two sections."
    )


def parse(model: type[M], body: bytes, what: str = "body") -> M:
    """Check a body.

    model (type[BaseModel]): What it must be.
    body (bytes): JSON.
    what (str): What it is called in a message.
    RETURNS (BaseModel): The body.
    RAISES (Refused): 400 for what is no JSON, 422 for what is something else.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise refused_by_validation(error, what) from None


def check(asked: AnnotateIn, limits: Limits, layers: list[str] | None) -> None:
    """Check a request against the limits and the model.

    asked (AnnotateIn): The request.
    limits (Limits): The limits.
    layers (list[str] | None): The layers that may be asked for; None for any.
    RAISES (Refused): 422, naming what is too much or unknown.
    """
    if len(asked.notes) > limits.notes:
        raise _at(
            "notes",
            f"{len(asked.notes):,} are more than the {limits.notes:,} that a request may hold. "
            f"Send fewer at once, or use /v1/annotate/stream.",
        )
    for at, note in enumerate(asked.notes):
        check_length(note.text, limits, f"notes[{at}].text")
    check_layers(asked.layers, layers)


def check_layers(asked: list[str] | None, layers: list[str] | None) -> None:
    """Check the layers that are asked for.

    asked (list[str] | None): Their names.
    layers (list[str] | None): The layers that may be asked for; None for any.
    RAISES (Refused): 422: the model lacks one.
    """
    if layers is not None and any(layer not in layers for layer in asked or ()):
        raise _at("layers", f"the model has only {', '.join(layers)}.")


def check_length(text: str, limits: Limits, where: str) -> None:
    """Check the length of a note.

    text (str): The note.
    limits (Limits): The limits.
    where (str): Its place, for the message.
    RAISES (Refused): 422: it is too long.
    """
    if len(text) > limits.note:
        raise _at(
            where,
            f"{len(text):,} characters are more than the {limits.note:,} that a note may have. "
            f"Cut it between two sections.",
        )


def _at(where: str, what: str) -> Refused:
    return Refused(422, f"{where}: {what}", [Place(where=where, what=what)])


def schemas(limits: Limits, layers: list[str] | None) -> dict[str, Any]:
    """The JSON schemas of the bodies, by name, for OpenAPI.

    limits (Limits): The limits, which stand in them.
    layers (list[str] | None): The layers that may be asked for; None for any.
    RETURNS (dict[str, Any]): The schemas.
    """
    template = "#/components/schemas/{model}"
    request = AnnotateIn.model_json_schema(ref_template=template)
    note = request.pop("$defs")["NoteIn"]
    note["properties"]["text"]["maxLength"] = limits.note
    request["properties"]["notes"]["maxItems"] = limits.notes
    request["properties"]["layers"] |= {"anyOf": [layers_schema(layers), {"type": "null"}]}
    return {"NoteIn": note, "AnnotateIn": request}


def layers_schema(layers: list[str] | None) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The JSON schema of a choice of layers."""
    which = {} if layers is None else {"enum": layers}
    return {"type": "array", "items": {"type": "string", **which}}
