"""Static files under one hash: what the browser may keep for a year, and what it must ask for.

Owns the address of every static file and how it is sent. Must never know a page. The hash is of
the whole tree and stands in the path, so that our ES modules may import each other by relative
addresses and still change address together. Files are compressed once, at start-up.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

STATIC_FOLDER: Final = Path(__file__).parent / "static"

_COMPRESSED_SUFFIXES: Final = {".css", ".js", ".svg", ".json", ".webmanifest"}
_FILE_MAX_BYTES: Final = 4_000_000
_HASH_CHARS: Final = 12
_KEEP: Final = "public, max-age=31536000, immutable"
_ASK: Final = "no-cache"


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    compressed: bytes | None
    media_type: str


class Assets:
    """The static tree, read into memory (it is about 1 MB) when the application starts."""

    def __init__(self, folder: Path = STATIC_FOLDER) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): _load(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.stat().st_size <= _FILE_MAX_BYTES
        }
        digest = hashlib.sha256()
        for name, asset in self._files.items():
            digest.update(name.encode() + b"\0" + asset.content)
        self.version = digest.hexdigest()[:_HASH_CHARS]

    def url(self, name: str) -> str:
        """Address of a file, e.g. `css/theme.css`."""
        return f"/static/{self.version}/{name}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI application mounted at `/static`."""
        if scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        below = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        version, _, name = below.partition("/")
        asset = self._files.get(name)
        if asset is None:
            raise HTTPException(404)
        # An old page in an open tab still gets the file, but must not keep it under the old hash.
        headers = {
            "Cache-Control": _KEEP if version == self.version else _ASK,
            "Vary": "Accept-Encoding",
        }
        content = asset.content
        if asset.compressed and "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            content = asset.compressed
            headers["Content-Encoding"] = "gzip"
        await Response(content, media_type=asset.media_type, headers=headers)(scope, receive, send)


def _load(path: Path) -> _Asset:
    content = path.read_bytes()
    wanted = path.suffix in _COMPRESSED_SUFFIXES
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _Asset(content, gzip.compress(content, 9, mtime=0) if wanted else None, media_type)
