"""What Airflow is told of the portal, without importing it.

Airflow reads the plugin in every process, also in each task; only the API server ever serves the
portal. So the application is built when it gets its first request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from threading import Lock
from typing import Any

PREFIX = "/tagline"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class BuiltOnFirstRequest:
    """An ASGI application that `build` makes when it is first asked for something."""

    def __init__(self, build: Callable[[], Application]) -> None:
        self._build = build
        self._built: Application | None = None
        self._lock = Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self._built is None:
            with self._lock:
                self._built = self._built or self._build()
        await self._built(scope, receive, send)


def _build() -> Application:
    from tagline_airflow.portal.application import portal
    from tagline_airflow.portal.opened import Opened

    return portal(Opened())


FASTAPI_APP = {"app": BuiltOnFirstRequest(_build), "url_prefix": PREFIX, "name": "tagline portal"}

NAV_ENTRY = {
    "name": "Tags 标签",
    # Relative to Airflow's own base address, so that it holds below a path of a proxy too.
    "href": f"{PREFIX.removeprefix('/')}/",
    "destination": "nav",
    "url_route": "tags",
    "nav_top_level": True,
    # No icon of its own: Airflow's default follows its colours, a picture would not.
}
