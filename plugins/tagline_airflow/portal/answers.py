"""Answers of the portal: JSON, errors in words, and headers that keep browsers strict."""

from __future__ import annotations

import json
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders

from tagline.errors import (
    DatabaseUnavailable,
    LakeUnavailable,
    ReleaseRefused,
    TaglineError,
    UnknownCustomer,
    UnknownName,
    WrongUsage,
)
from tagline.registry.store import plain, to_json
from tagline_airflow.portal.mount import Application, Receive, Scope, Send

log = logging.getLogger(__name__)

# Nothing but this portal's own files; no inline script or style; shown only inside Airflow itself.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Answer(JSONResponse):
    """A JSON document: instants in ISO 8601, no NaN."""

    def render(self, content: Any) -> bytes:
        """The document as bytes."""
        try:  # nearly always; `to_json` looks at every value by itself
            text = json.dumps(content, ensure_ascii=False, allow_nan=False, default=plain)
        except ValueError:
            text = to_json(content)
        return text.encode()

    def __init__(self, content: Any, status_code: int = 200) -> None:
        super().__init__(content, status_code, {"Cache-Control": "private, no-store"})


def explain_errors(app: FastAPI) -> None:
    """Answer errors as `{"error": kind, "message": sentence}` with a fitting status."""

    async def of_tagline(_request: Request, error: Exception) -> Answer:
        status = next(
            (code for kind, code in _STATUS.items() if isinstance(error, kind)),
            500,
        )
        return Answer({"error": type(error).__name__, "message": str(error)}, status)

    async def unexpected(request: Request, error: Exception) -> Answer:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        message = "the portal failed; the log of Airflow's API server says why"
        return Answer({"error": "Failure", "message": message}, 500)

    app.add_exception_handler(TaglineError, of_tagline)
    app.add_exception_handler(Exception, unexpected)


_STATUS: dict[type[Exception], int] = {
    UnknownName: 404,
    UnknownCustomer: 404,
    ReleaseRefused: 409,
    WrongUsage: 400,
    DatabaseUnavailable: 503,
    LakeUnavailable: 503,
}


class WithHeaders:
    """Adds HEADERS to every answer of an ASGI application."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def add(message: Scope) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, add)
