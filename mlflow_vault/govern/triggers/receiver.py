"""Receives MLflow's webhooks over HTTP: small requests, short answers, no more than a few at once.

It answers at once and wakes somebody else (`waking`), as MLflow waits for the answer with one of
ten threads.  It speaks plain HTTP: what lies between it and MLflow is for a reverse proxy to hide.
A request has a deadline however slowly it comes, and a size; beyond the number that is served at
once, connections are closed.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.govern.triggers import deliveries
from mlflow_vault.govern.triggers.deliveries import Delivery, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.govern.triggers.deliveries import Deliveries

DEADLINE: Final = 10.0  # seconds for a whole request
AT_ONCE: Final = 32  # connections

_log = logging.getLogger(__name__)


class Receiver(ThreadingHTTPServer):
    """Serves ``POST /`` for MLflow's webhooks, and ``GET /health``.

    Args:
        address: Host and port; port 0 takes one that is free (`server_port` says which).
        judge: Tells MLflow's deliveries from others.
        wake: Called with the registered model's name, empty for any; returns at once.

    Raises:
        OSError: The address cannot be used.
    """

    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def __init__(
        self, address: tuple[str, int], judge: Deliveries, wake: Callable[[str], None]
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.judge, self.wake = judge, wake
        self._places = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(address, _Request)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread, if there is a place for it."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note that a connection failed; most often the other side went away."""
        del request
        _log.debug("A connection from %s failed", client_address, exc_info=True)


class _Request(BaseHTTPRequestHandler):
    """One request; the connection ends with it."""

    server: Receiver
    timeout = DEADLINE

    def setup(self) -> None:
        """Begin, and end in time whatever the other side does."""
        self._deadline = threading.Timer(DEADLINE, self._hang_up)
        self._deadline.daemon = True
        self._deadline.start()
        super().setup()

    def finish(self) -> None:
        """End."""
        self._deadline.cancel()
        super().finish()

    def do_GET(self) -> None:
        """Say that the receiver is there, for whoever looks after it."""
        if self.path == "/health":
            self._reply(Reply(HTTPStatus.OK, "ok"))
        else:
            self._reply(Reply(HTTPStatus.NOT_FOUND, "POST / takes MLflow's webhooks"))

    def do_POST(self) -> None:
        """Take a delivery."""
        reply = self._judged()
        if reply.wakes:  # first: whoever hangs up before the answer does not send it again
            self.server.wake(reply.name)
        self._reply(reply)

    def _judged(self) -> Reply:
        size = self._only("Content-Length")
        if not (size.isascii() and size.isdecimal()):
            return Reply(HTTPStatus.LENGTH_REQUIRED, "say how long it is")
        if len(size) > len(str(deliveries.LARGEST)) or int(size) > deliveries.LARGEST:
            return Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too long")
        body = self.rfile.read(int(size))
        if len(body) != int(size):
            return Reply(HTTPStatus.BAD_REQUEST, "it ended early")
        told = [self._only(name) for name in (deliveries.ID, deliveries.TIMESTAMP)]
        delivery = Delivery(told[0], told[1], self._only(deliveries.SIGNATURE), body)
        return self.server.judge.judge(delivery, time.time())

    def _only(self, name: str) -> str:
        """Return a header that is there once; of two, others may believe the other one."""
        found = self.headers.get_all(name) or []
        return found[0] if len(found) == 1 else ""

    def _reply(self, reply: Reply) -> None:
        body = json.dumps({"said": reply.said}).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Return what the receiver calls itself; no stranger needs to know of which release."""
        return "mlflow-vault"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is Python's
        """Log a request; addresses and paths are spelled so that they stay on their line."""
        _log.debug("%s %s", self.client_address[0], ascii(format % args))

    def _hang_up(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
