"""The page's files, all from the package."""

from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from spacy_clinner.view import MARKS

FOLDER = Path(__file__).parent / "page"


def add_page(app: FastAPI) -> None:
    """Serve the page at `/`: every path that nothing else answers is one of its files.

    app (FastAPI): The service.
    """
    app.add_route("/marks.css", marks, include_in_schema=False)
    # Not a mount at "/", which would take what the API answers with 405.
    app.router.default = Files(directory=FOLDER, html=True)


class Files(StaticFiles):
    """Files that a browser asks for again each time, lest it mix those of two versions."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The answer to a request for one of the files."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def marks(_: Request) -> Response:
    """How findings are marked, as `clinner view` has it."""
    return Response(MARKS, media_type="text/css", headers={"Cache-Control": "no-cache"})
