"""Downloads that stream: ``mlflow server --app-name vault``.

An ordinary server fetches a whole artifact to its own disk before it sends the first byte,
and knows no ranges.  This app is that server with one difference: a download through the
proxy is read from the vault as it is sent, piece by verified piece, and may be of a range.

    GET .../mlflow-artifacts/artifacts/<path>
      MLflow's route (is it served, is the path safe, which workspace)
        -> `get_local_path` raises `Streaming`  -> `answer` sends the bytes

What cannot be verified is never sent as if it were whole: the length is announced first, so
a failure on the way breaks the connection, and a client sees that something is missing.

The tag of a download is the file's digest: a client that continues one with ``If-Range``
never joins two versions.  We do not offer MLflow's own ranges (`MultipartDownloadMixin`):
after a failed range its client asks for the address again and goes on, and where the file
was overwritten meanwhile it would join both without noticing.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import (
    get_registered_artifact_repositories,
)
from mlflow.utils.mime_type_utils import _guess_mime_type
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse

from mlflow_vault.errors import StorageError
from mlflow_vault.plugin.artifact_repo import VaultArtifactRepository
from mlflow_vault.plugin.guard import HostPolicy
from mlflow_vault.plugin.translate import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from mlflow_vault.format.entry import Entry
    from mlflow_vault.vault import Vault

_RANGE: Final = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")


class Streaming(Exception):  # noqa: N818 - not an error: the way out of MLflow's route
    """Raised where MLflow would go on to fetch a file whole.

    Attributes:
        vault: Holds the file.
        path: Its path from the vault's root.
    """

    def __init__(self, vault: Vault, path: str) -> None:
        super().__init__(path)
        self.vault, self.path = vault, path


class StreamedArtifactRepository(VaultArtifactRepository):
    """The repository of a server that streams."""

    def get_local_path(self, artifact_path: str) -> None:
        """Leave MLflow's route by `Streaming`; elsewhere do as ever.

        The route runs on the event loop.  What MLflow serves from threads (its pages and
        traces) knows nothing of `Streaming` and goes on fetching whole files.
        """
        super().get_local_path(artifact_path)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise Streaming(*self.place(artifact_path))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks of a file of *size* bytes.

    Attributes:
        start: The first byte.
        stop: One past the last one.
        partial: Whether the request named a range at all.
    """

    start: int
    stop: int
    partial: bool


def plan_range(header: str | None, size: int) -> Wanted | None:
    """Read a ``Range`` header; None if it lies outside the file.

    Several ranges at once, and what is no range of bytes, get the whole file, as HTTP allows.

    >>> plan_range("bytes=-3", 10)
    Wanted(start=7, stop=10, partial=True)
    """
    found = _RANGE.fullmatch(header or "")
    if found is None:
        return Wanted(0, size, partial=False)
    first, last, suffix = found.groups()
    if suffix is not None:
        start, stop = max(size - int(suffix), 0), size
    else:
        start, stop = int(first), min(int(last) + 1 if last else size, size)
        if last and int(last) < start:
            return Wanted(0, size, partial=False)
    return Wanted(start, stop, partial=True) if start < stop else None


async def answer(request: Request, wanted: Exception) -> Response:
    """Send the file that *wanted*, a `Streaming`, names, or the range that was asked for."""
    assert isinstance(wanted, Streaming)  # noqa: S101 - what this was registered for
    try:
        return await run_in_threadpool(_answer, request, wanted)
    except MlflowException as error:
        return JSONResponse(
            json.loads(error.serialize_as_json()), status_code=error.get_http_status_code()
        )


def _answer(request: Request, wanted: Streaming) -> Response:
    with translated(HostPolicy.from_environment(os.environ).hidden()):
        entry = wanted.vault.entry(wanted.path)
        tag = f'"{entry.digest}"'
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Disposition": f"attachment; filename*=UTF-8''{_name(wanted.path)}",
            "ETag": tag,
            "X-Content-Type-Options": "nosniff",
        }
        asked = request.headers.get("range")
        if request.headers.get("if-range", tag) != tag:
            asked = None
        span = plan_range(asked, entry.size)
        if span is None:
            headers["Content-Range"] = f"bytes */{entry.size}"
            return Response(status_code=416, headers=headers)
        pieces = _pieces(wanted, entry, span)
        first = next(pieces, b"")  # what fails here can still be said properly
    headers["Content-Length"] = str(span.stop - span.start)
    if span.partial:
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{entry.size}"
    return StreamingResponse(
        chain((first,), pieces),
        status_code=206 if span.partial else 200,
        headers=headers,
        media_type=_guess_mime_type(wanted.path),
    )


def _pieces(wanted: Streaming, entry: Entry, span: Wanted) -> Iterator[bytes]:
    """Yield the range; the last piece only if the file is still the one that was announced."""
    held = b""
    for piece in wanted.vault.iter_file(wanted.path, span.start, span.stop):
        if held:
            yield held
        held = piece
    if wanted.vault.entry(wanted.path).digest != entry.digest:
        raise StorageError(f"{wanted.path} was replaced while it was read; read it again")
    if held:
        yield held


def _name(path: str) -> str:
    return quote(path.rpartition("/")[2], safe="")


def create_app() -> Any:
    """Make MLflow's server with streamed downloads; ``--app-name vault`` calls this.

    Under gunicorn or waitress, which cannot stream, it is MLflow's server as it is.
    """
    from mlflow.server import app as flask_app  # noqa: PLC0415 - importing it starts a server

    if os.environ.get("_MLFLOW_SGI_NAME") != "uvicorn":
        return flask_app

    from mlflow.server.fastapi_app import create_fastapi_app  # noqa: PLC0415 - as above

    repositories = get_registered_artifact_repositories()
    for scheme, repository in list(repositories.items()):
        if repository is VaultArtifactRepository:
            repositories[scheme] = StreamedArtifactRepository
    app = create_fastapi_app(flask_app)
    app.add_exception_handler(Streaming, answer)
    return app
