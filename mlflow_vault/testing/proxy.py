"""A bad network: an HTTP proxy that stands before a real server and fails as planned.

    with FaultyProxy(server_url, [Mishap(Trouble.LOST, at=3, method="PUT")]) as proxy:
        ...  # a client set to `proxy.url`
    assert proxy.struck

Requests go on to the server byte for byte, `Host` and signature included.  What a wrapper around
a `Store` cannot do happens here: half a body, a reset, an answer that comes too late.  The same
plan on the same requests fails in the same place.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from html import escape
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_PATIENCE: Final = 60  # seconds for the server behind
# Hops say these to each other; they are not passed on.
_OF_A_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class Trouble(Enum):
    """What goes wrong with one request, and whether the server saw it."""

    LATE = auto()  # the server did it, and its answer comes after `Mishap.seconds`
    LOST = auto()  # the server did it, and its answer never comes: the connection ends
    TRUNCATED = auto()  # the server did it, and half the body of its answer comes
    RESET = auto()  # the server never saw it: the connection is reset
    SILENT = auto()  # the server never saw it, and nothing is answered until the client gives up
    REFUSED = auto()  # the server never saw it, and `Mishap.status` is answered


@dataclass(frozen=True, slots=True)
class Mishap:
    """One thing that goes wrong: at the *at*-th request (from 1) that fits, and those after.

    Attributes:
        trouble: What goes wrong.
        at: Which of the fitting requests it strikes first.
        times: How many in a row it strikes.
        method: Only requests by this method, any if empty.
        part: Only paths that have this in them.
        status: What a refusal says.
        code: S3's word for it.  Like AWS, a refusal repeats the request that was signed.
        seconds: How late.
    """

    trouble: Trouble
    at: int = 1
    times: int = 1
    method: str = ""
    part: str = ""
    status: int = 503
    code: str = "Planned"
    seconds: float = 0.0

    def fits(self, method: str, path: str) -> bool:
        """Say whether such a request is counted towards `at`."""
        return self.method in {"", method} and self.part in path


class FaultyProxy:
    """A proxy on this machine, in threads; a context.

    Args:
        target: The server's URL, ``http://host:port``.
        plan: What goes wrong.  Where two strike one request, the first listed does.
        withheld: Headers, in lower case, that never reach the server.

    Attributes:
        url: Where it listens.
        counts: Requests, by their method.
        struck: What has gone wrong so far, in order.
    """

    def __init__(
        self, target: str, plan: Iterable[Mishap] = (), withheld: Collection[str] = ()
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.struck: list[Mishap] = []
        self._fitting = [(mishap, [0]) for mishap in plan]
        self._lock = threading.Lock()
        self._target = urlsplit(target).netloc
        self._withheld = frozenset(withheld)
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="faulty-proxy", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def strike(self, method: str, path: str) -> Mishap | None:
        """Count a request and return what goes wrong with it."""
        strikes = None
        with self._lock:
            self.counts[method] += 1
            for mishap, seen in self._fitting:
                if mishap.fits(method, path):
                    seen[0] += 1
                    due = mishap.at <= seen[0] < mishap.at + mishap.times
                    strikes = strikes or (mishap if due else None)
            if strikes is not None:
                self.struck.append(strikes)
        return strikes

    def ask(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes, str]:
        """Ask the server; return its status, headers, body and the length it named."""
        connection = HTTPConnection(self._target, timeout=_PATIENCE)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                if name.lower() not in self._withheld | _OF_A_HOP:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            length = answer.getheader("Content-Length") or ""
            found = answer.read()
            return answer.status, answer.getheaders(), found, length
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, proxy: FaultyProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that give up are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        self._pass_on()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's name
        """Say nothing."""

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        mishap = self.server.proxy.strike(self.command, self.path)
        trouble = mishap.trouble if mishap else None
        if trouble is Trouble.RESET:
            self._hang_up(rudely=True)
        elif mishap and trouble is Trouble.REFUSED:
            refusal = _refusal(mishap.code, str(self.headers))
            self._answer(mishap.status, [], refusal, str(len(refusal)))
        elif trouble is Trouble.SILENT:
            self.connection.settimeout(_PATIENCE)
            self.connection.recv(1)
            self._hang_up(rudely=False)
        else:
            self._answer_of_server(body, mishap)

    def _answer_of_server(self, body: bytes, mishap: Mishap | None) -> None:
        trouble = mishap.trouble if mishap else None
        try:
            status, headers, found, length = self.server.proxy.ask(
                self.command, self.path, self.headers.items(), body
            )
        except (OSError, HTTPException):
            self._hang_up(rudely=False)
            return
        if trouble is Trouble.LOST:
            self._hang_up(rudely=False)
            return
        if mishap and trouble is Trouble.LATE:
            time.sleep(mishap.seconds)
        if trouble is Trouble.TRUNCATED:
            self._answer(status, headers, found[: len(found) // 2], length or str(len(found)))
            self._hang_up(rudely=False)
            return
        self._answer(status, headers, found, length if self.command == "HEAD" else "")

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, length: str
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _OF_A_HOP:
                self.send_header(name, value)
        if status not in {204, 304}:
            self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _hang_up(self, *, rudely: bool) -> None:
        self.close_connection = True
        if rudely:
            # Closed while it lingers, and before anything ends it, a connection is reset.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            socket.close(self.connection.detach())
        else:
            self.connection.shutdown(socket.SHUT_RDWR)


def _refusal(code: str, signed: str) -> bytes:
    said = f"<Code>{code}</Code><Message>a planned fault</Message>"
    return f"<Error>{said}<CanonicalRequest>{escape(signed)}</CanonicalRequest></Error>".encode()
