"""An S3 API on a free port, in a thread of the test's own, whose answers a test can disturb."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any
from urllib.request import Request, urlopen

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "reader",
    "AWS_SECRET_ACCESS_KEY": "writer",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass
class ObjectStore:
    """The store, with what it does to requests: nothing, unless a test says so."""

    application: Callable[..., Iterable[bytes]]
    url: str = ""
    is_down: bool = False
    holds: str | None = None  # a part of the path of an upload that is kept waiting, then answered
    has_held: Event = field(default_factory=Event)
    goes_on: Event = field(default_factory=Event)
    has_ended: Event = field(default_factory=Event)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        is_upload = environ["REQUEST_METHOD"] == "PUT"
        if is_upload and self.holds and self.holds in environ["PATH_INFO"]:
            self.has_held.set()
            self.goes_on.wait(60)
            try:
                return self.application(environ, start)
            finally:
                self.has_ended.set()
        return self._refused(environ, start) if self.is_down else self.application(environ, start)

    def objects(self, bucket: str) -> list[str]:
        """The keys of all objects of a bucket, without the markers of folders."""
        keys = self._backend().get_bucket(bucket).keys
        return [key for key in keys if not key.endswith("/")]

    def make_bucket(self, name: str) -> None:
        """Create a bucket."""
        self._backend().create_bucket(name, "us-east-1")

    def forget(self) -> None:
        """Drop all buckets with their objects."""
        from moto.s3.models import s3_backends

        s3_backends.reset()

    def require_credentials(self, after: int = 0) -> None:
        """Refuse requests by unknown accounts after so many more."""
        headers = {"Content-Type": "text/plain"}
        request = Request(f"{self.url}/moto-api/reset-auth", str(after).encode(), headers)
        urlopen(request).close()

    @staticmethod
    def _backend() -> Any:
        from moto.core.models import DEFAULT_ACCOUNT_ID
        from moto.s3.models import s3_backends

        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    @staticmethod
    def _refused(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start("503 Service Unavailable", [("Content-Length", "0")])
        return [b""]


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A running store without buckets."""
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):
        def log_request(self, *_: Any) -> None:
            """Say nothing of each request."""

    store = ObjectStore(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, store, threaded=True, request_handler=Quiet)
    store.url = f"http://127.0.0.1:{server.server_port}"
    serving = Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield store
    finally:
        store.goes_on.set()
        server.shutdown()
        serving.join()
        server.server_close()
        # moto keeps its buckets per process: the next store of this process begins without any.
        store.forget()
