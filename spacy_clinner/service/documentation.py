"""The API's own documentation: an OpenAPI document, and Swagger UI from a package."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.staticfiles import StaticFiles

from spacy_clinner.service import answers, bodies

FOLDER = Path(__file__).parent / "docs"
# Where Swagger UI lies; its own pages would load scripts that stand in them, which ours may not.
PACKAGE = ("fastapi_offline", "static")


def add_documentation(app: FastAPI) -> None:
    """Serve `/openapi.json`, and Swagger UI at `/docs`, with nothing from elsewhere.

    app (FastAPI): The service.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes
            )
            # Bodies that are read with a limit, and answers that are made of the tables' schema.
            found["components"]["schemas"] |= bodies.schemas() | answers.schemas()
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    app.mount("/docs/ui", StaticFiles(packages=[PACKAGE]), name="swagger-ui")
    app.mount("/docs", StaticFiles(directory=FOLDER, html=True), name="docs")
