"""The page and its files: HTML, style, script and texts, from the folder `static` alone."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

FOLDER = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript", ".json": "application/json", ".svg": "image/svg+xml"}
router = APIRouter()


@dataclass(frozen=True)
class File:
    """A file as it is sent."""

    body: bytes
    media_type: str
    tag: str


@lru_cache(maxsize=1)
def files() -> Mapping[str, File]:
    """Every file by its path below the folder; nothing else can be asked for."""
    return {
        path.relative_to(FOLDER).as_posix(): _read(path)
        for path in sorted(FOLDER.rglob("*"))
        if path.is_file()
    }


@router.get("/")
def page(request: Request) -> Response:
    """The one page; its script shows what the address names after the hash."""
    return _answer(request, "index.html")


@router.get("/static/{name:path}")
def static(request: Request, name: str) -> Response:
    """A file that the page needs."""
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    file = files().get(name)
    if file is None:
        raise HTTPException(404, f"there is no file {name!r}")
    headers = {"ETag": file.tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)


def _read(path: Path) -> File:
    body = path.read_bytes()
    guessed = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    return File(body, guessed or "application/octet-stream", tag)
