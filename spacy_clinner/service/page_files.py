"""The page's files, all from the package."""

from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from spacy_clinner.view import MARKS

FOLDER = Path(__file__).parent / "page"


def add_page(app: FastAPI) -> None:
    """Serve the page at `/`: every path that nothing else answers is one of its files.

    app (FastAPI): The service.
    """
    app.add_route("/marks.css", marks, include_in_schema=False)
    # Not a mount at "/", which would take what the API answers with 405.
    app.router.default = StaticFiles(directory=FOLDER, html=True)


async def marks(_: Request) -> Response:
    """How findings are marked, as `clinner view` has it."""
    return Response(MARKS, media_type="text/css")
