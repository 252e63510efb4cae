"""Servers that fail on purpose: a TCP proxy before a database, and files over HTTP."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from sqlalchemy import URL, make_url

Fault = Literal["none", "hang", "reset", "cut"]
_LINGER = struct.pack("ii", 1, 0)  # close by a reset


def break_off(connection: socket.socket, fault: Fault, over: threading.Event) -> None:
    """What a failing server does to a connection in the middle of an answer."""
    if fault == "hang":
        over.wait()
    if fault == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    with suppress(OSError):
        if fault == "cut":
            connection.shutdown(socket.SHUT_RDWR)
        os.close(connection.detach())  # at once, whoever else still reads from it


@dataclass
class Proxy:
    """Passes TCP connections on to a PostgreSQL server's socket, up to `after` bytes of answers."""

    upstream: str
    fault: Fault = "none"
    after: int = 0
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    over: threading.Event = field(default_factory=threading.Event)

    def url(self, server: str, database: str) -> str:
        """The URL of a database of the server by way of this proxy."""
        there = make_url(server)
        host, port = self.listener.getsockname()
        return URL.create(
            "postgresql", there.username, there.password, host, port, database
        ).render_as_string(hide_password=False)

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.upstream)
            for one, other, counted in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass, args=(one, other, counted), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, counted: bool) -> None:
        passed = 0
        with suppress(OSError):
            while part := one.recv(4096):
                passed += len(part) if counted else 0
                if counted and self.fault != "none" and passed > self.after:
                    self._break_off(other)
                    break
                other.sendall(part)
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _break_off(self, client: socket.socket) -> None:
        if self.fault == "hang":
            self.over.wait()
        if self.fault == "reset":
            # the other thread is woken by the first call, and the last to close sends the reset
            client.shutdown(socket.SHUT_RD)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
            client.close()


@contextmanager
def proxy(server: str) -> Iterator[Proxy]:
    """A proxy before the PostgreSQL server of this URL, which listens on a Unix socket."""
    there = make_url(server)
    folder = there.query.get("host", there.host)
    made = Proxy(f"{folder}/.s.PGSQL.{there.port or 5432}")
    threading.Thread(target=made.serve, daemon=True).start()
    try:
        yield made
    finally:
        made.over.set()
        made.listener.close()


@dataclass
class FileServer:
    """Files by name over HTTP, whole or with a fault in the middle of each."""

    files: dict[str, bytes] = field(default_factory=dict)
    fault: Fault = "none"
    port: int = 0
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def file_server() -> Iterator[FileServer]:
    """An HTTP server of files on a free port."""
    shown = FileServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            content = shown.files.get(self.path.lstrip("/"))
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if not body or not content:
                return
            if shown.fault == "none":
                self.wfile.write(content)
                return
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            break_off(self.connection, shown.fault, shown.over)

        def finish(self) -> None:
            with suppress(OSError, ValueError):  # the connection is broken off
                super().finish()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    shown.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield shown
    finally:
        shown.over.set()
        server.shutdown()
        server.server_close()
