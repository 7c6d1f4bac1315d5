"""One request over HTTP, to whom the operator named: bounded in time and size, and never led on.

Redirects are not followed: what was meant for one place, a signature or a token with it, goes to no
other.  Messages name a place by its host alone, since a path or a user may be a secret.
"""

from __future__ import annotations

import base64
import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from mlflow_vault.errors import InvalidInputError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST: Final = 1 << 20  # bytes of an answer
TIMEOUT: Final = 10.0  # seconds
_STEP: Final = 1 << 16
_SPACE: Final = 0x20


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of HTTP, and what proves who asks.

    Attributes:
        url: Without credentials.
        shown: What messages call it.
        headers: With credentials.
    """

    url: str = field(repr=False)
    shown: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, url: str, what: str) -> Endpoint:
        """Read an address; a user and a password in it become a header.

        Raises:
            InvalidInputError: It is no address of HTTP; the message does not repeat it.
        """
        wrong = InvalidInputError(f"{what} is no address: expected http://... or https://...")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise wrong from None
        odd = not url.isascii() or any(ord(letter) <= _SPACE for letter in url)
        if parts.scheme not in {"http", "https"} or not host or odd:
            raise wrong
        place = f"[{host}]" if ":" in host else host
        place = f"{place}:{port}" if port is not None else place
        made = cls(parts._replace(netloc=place).geturl(), f"{parts.scheme}://{place}")
        if parts.username is None:
            return made
        who = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        return made.adding(Authorization=f"Basic {base64.b64encode(who).decode()}")

    def adding(self, **headers: str) -> Endpoint:
        """Return this with more headers."""
        return replace(self, headers={**self.headers, **headers})

    def below(self, path: str) -> Endpoint:
        """Return what lies at *path* below this."""
        parts = urlsplit(self.url)
        return replace(self, url=parts._replace(path=parts.path.rstrip("/") + path).geturl())


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    body: bytes


def post(
    endpoint: Endpoint, body: bytes, headers: Mapping[str, str], *, timeout: float = TIMEOUT
) -> Response:
    """Post *body*; return whatever is answered, errors of HTTP and redirects included.

    Raises:
        StorageError: Nothing came back in time, or too much.
    """
    request = urllib.request.Request(  # noqa: S310 - `Endpoint` knows http and https alone
        endpoint.url, data=body, headers={**endpoint.headers, **headers}, method="POST"
    )
    line = _Line(time.monotonic() + timeout)
    try:
        with line, line.open(request, timeout) as response:
            found = Response(int(response.status), _read(response, endpoint))
            if line.is_cut():
                raise StorageError(f"{endpoint.shown} does not answer in time")
            return found
    # Of a host that is none, such as a..b, there is a `UnicodeError`.
    except (OSError, http.client.HTTPException, ValueError) as cause:
        if isinstance(cause, StorageError):
            raise
        if line.is_cut():
            raise StorageError(f"{endpoint.shown} does not answer in time") from None
        # What failed may repeat the address, or a header: only its kind is told.
        reason = getattr(cause, "reason", cause)
        told = getattr(reason, "strerror", None) or type(reason).__name__
        raise StorageError(f"{endpoint.shown} cannot be reached: {told}") from None


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Leave the redirect as the answer."""


class _Line:
    """The connections of one request, which are cut when its time is over.

    A timeout is of each single read, and whoever sends a byte now and then never runs into it.
    """

    def __init__(self, until: float) -> None:
        self._until = until
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(max(0.0, until - time.monotonic()), self._cut)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def is_cut(self) -> bool:
        """Whether the time is over, so that what was read may lack its end."""
        return time.monotonic() >= self._until

    def hold(self, connection: socket.socket) -> None:
        """Cut *connection* in time, which may be now."""
        self._sockets.append(connection)
        if self.is_cut():
            raise TimeoutError

    def open(self, request: urllib.request.Request, timeout: float) -> Any:
        """Send *request*; return what is answered, an error of HTTP included."""
        line = self

        class Plain(http.client.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                line.hold(self.sock)

        class Covered(http.client.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                line.hold(self.sock)

        class Http(urllib.request.HTTPHandler):
            def http_open(self, req: urllib.request.Request) -> Any:
                return self.do_open(Plain, req)

        class Https(urllib.request.HTTPSHandler):
            def https_open(self, req: urllib.request.Request) -> Any:
                return self.do_open(Covered, req)

        try:
            return urllib.request.build_opener(_Stay, Http, Https).open(request, timeout=timeout)
        except urllib.error.HTTPError as answered:
            return answered

    def _cut(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _read(response: Any, endpoint: Endpoint) -> bytes:
    found = bytearray()
    while piece := response.read1(_STEP):
        found += piece
        if len(found) > LARGEST:
            raise StorageError(f"{endpoint.shown} answers more than {LARGEST:,} bytes")
    return bytes(found)
