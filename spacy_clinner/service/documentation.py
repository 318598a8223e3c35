"""The API's own documentation: an OpenAPI document, and Swagger UI from a package."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.staticfiles import StaticFiles

from spacy_clinner.service import answers, bodies
from spacy_clinner.service.state import Service

FOLDER = Path(__file__).parent / "docs"
# Where Swagger UI lies; its own pages would load scripts that stand in them, which ours may not.
PACKAGE = ("fastapi_offline", "static")


def add_documentation(app: FastAPI, service: Service) -> None:
    """Serve `/openapi.json`, and Swagger UI at `/docs`, with nothing from elsewhere.

    app (FastAPI): The application.
    service (Service): Its model and limits, which the document tells of.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes
            )
            # Bodies that are read with a limit, and answers that are made of the tables' schema.
            schemas = bodies.schemas(service.limits, service.layers) | answers.schemas()
            found["components"]["schemas"] |= schemas
            for parameter in found["paths"]["/v1/annotate/stream"]["post"]["parameters"]:
                if parameter["name"] == "layers":
                    parameter["schema"] = bodies.layers_schema(service.layers)
            if service.api_key is not None:
                _tell_of_key(found)
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    app.mount("/docs/ui", StaticFiles(packages=[PACKAGE]), name="swagger-ui")
    app.mount("/docs", StaticFiles(directory=FOLDER, html=True), name="docs")


def _tell_of_key(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for operation in operations.values() if path.startswith("/v1/") else ():
            operation["security"] = [{"key": []}]
