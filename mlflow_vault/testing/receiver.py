"""A real server of HTTP that answers what it is told to, and remembers what it was sent.

For tests of what sends: alerts, questions to Prometheus.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Sent:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Receiver:
    """Answers with each of `answers` in turn, the last one again and again."""

    url: str = ""
    answers: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    wait: float = 0

    def answer(self, *statuses: int, body: bytes = b"ok", **headers: str) -> None:
        """Say what is answered from now on."""
        self.answers[:] = [(status, body, headers) for status in statuses]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Receive on a port of this machine."""
    receiver = Receiver(answers=[(200, b"ok", {})])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            receiver.sent.append(Sent(self.path, dict(self.headers), body))
            time.sleep(receiver.wait)
            more = len(receiver.answers) > 1
            status, said, headers = receiver.answers.pop(0) if more else receiver.answers[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def do_GET(self) -> None:
            receiver.sent.append(Sent(self.path, dict(self.headers), b""))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Say nothing of clients that go away."""

    server = Server(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
