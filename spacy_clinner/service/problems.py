"""What a caller is told when a request cannot be answered: one form, never the text of a note."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

# A list of thousands of wrong notes has as many wrong places, of which the first say enough.
MOST_PLACES = 20


class Place(BaseModel):
    """A part of a request that is wrong."""

    where: str
    what: str


class Problem(BaseModel):
    """Why a request was refused, or failed."""

    id: str
    status: int
    message: str
    places: list[Place] = []


class ProblemAnswer(BaseModel):
    """The body of every answer with a status of 400 and more."""

    error: Problem


class Refused(Exception):
    """A request that is not answered.

    status (int): The HTTP status.
    message (str): What is wrong and what to do.
    places (Sequence[Place]): The parts of the request that are wrong.
    headers (Mapping[str, str]): Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        places: Sequence[Place] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.places = list(places)
        self.headers = dict(headers or {})


def refused_by_validation(
    error: ValidationError | RequestValidationError, what: str = "body"
) -> Refused:
    """A body or a parameter that is not what it must be.

    error (ValidationError | RequestValidationError): What pydantic found.
    what (str): What was to be JSON, for the message.
    RETURNS (Refused): 400 for JSON that is none, 422 for everything else, with `MOST_PLACES` at
        most.
    """
    # What was sent stays out of the answer: it may be a note.
    if isinstance(error, ValidationError):
        faults: Sequence[Any] = error.errors(include_url=False, include_input=False)
    else:
        faults = error.errors()
    if faults[0]["type"] == "json_invalid":
        fault = faults[0]["ctx"]["error"]
        # The parser says "... at line 1 column 2".
        found, _, where = fault.rpartition(" at ")
        places = [Place(where=where, what=found)]
        return Refused(400, f"The {what} is no JSON: {fault}.", places)
    told = dict.fromkeys((_path(_known(fault)) or f"the {what}", fault["msg"]) for fault in faults)
    places = [Place(where=where, what=what) for where, what in told]
    further = f" There are {len(places) - 1} further places." if len(places) > 1 else ""
    message = f"{places[0].where}: {places[0].what}.{further}"
    return Refused(422, message, places[:MOST_PLACES])


def _known(fault: Mapping[str, Any]) -> Sequence[str | int]:
    """Where a fault is, without a word of the caller's: a key that is unknown may be anything."""
    loc: Sequence[str | int] = fault["loc"]
    return loc[:-1] if fault["type"] == "extra_forbidden" else loc


def _path(loc: Sequence[str | int]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "".join(parts).removeprefix(".")


def problem(refused: Refused, request_id: str) -> Problem:
    """RETURNS (Problem): What a caller is told of a request that was refused."""
    return Problem(
        id=request_id, status=refused.status, message=refused.message, places=refused.places
    )


def answer(refused: Refused, request_id: str) -> Response:
    """The answer to a request that was refused.

    refused (Refused): Why.
    request_id (str): What the log names the request.
    RETURNS (Response): The answer, which is JSON.
    """
    content = ProblemAnswer(error=problem(refused, request_id)).model_dump()
    return JSONResponse(content, refused.status, headers=refused.headers)


async def on_refused(request: Request, error: Exception) -> Response:
    """Answer a `Refused`, as FastAPI's exception handlers do."""
    assert isinstance(error, Refused)
    return answer(error, request.state.id)


async def on_invalid(request: Request, error: Exception) -> Response:
    """Answer parameters that are not what they must be."""
    assert isinstance(error, RequestValidationError)
    return answer(refused_by_validation(error), request.state.id)


async def on_http(request: Request, error: Exception) -> Response:
    """Answer what the framework itself refuses, such as an unknown path."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return answer(Refused(error.status_code, f"{error.detail}.", headers=headers), request.state.id)
