"""The portal as one FastAPI application, every route of it behind Airflow's authentication."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException

from tagline_airflow.portal import pages
from tagline_airflow.portal.answers import WithHeaders, explain_errors
from tagline_airflow.portal.api import (
    catalogue,
    customers,
    metrics,
    releases,
    session,
    tags,
)
from tagline_airflow.portal.api.deployed import serve
from tagline_airflow.portal.opened import Opened
from tagline_airflow.portal.security import reads

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def portal(opened: Opened) -> FastAPI:
    """The application that shows a deployment; it is mounted below a prefix.

    The last route answers for every address that is none: without it such an address would say
    404 or 405 to someone who has not signed in.
    """
    app = FastAPI(
        title="Tagline portal",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        dependencies=[reads],
    )
    serve(app, opened)
    explain_errors(app)
    app.add_middleware(WithHeaders)
    app.include_router(pages.router)
    for part in (session, catalogue, tags, customers, releases, metrics):
        app.include_router(part.router, prefix="/api")

    @app.api_route("/{path:path}", methods=_METHODS)
    def nothing(path: str) -> None:
        raise HTTPException(404, "there is nothing here")

    return app
