"""The receiver answers strangers shortly, MLflow at once, and nobody for long."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from mlflow.webhooks.delivery import _generate_hmac_signature

from mlflow_vault.govern.triggers import receiver as module
from mlflow_vault.govern.triggers.deliveries import LARGEST, Deliveries
from mlflow_vault.govern.triggers.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "0123456789abcdef"
BODY = json.dumps({"entity": "model_version", "action": "created", "data": {"name": "m"}})


class Running:
    """A receiver, and what it woke."""

    def __init__(self) -> None:
        self.woke: list[str] = []
        self.server = Receiver(("127.0.0.1", 0), Deliveries([SECRET]), self.woke.append)
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.server.server_port), 10)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        """Ask; return the status and what was said."""
        client = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        client.request(method, path, body, named)
        answer = client.getresponse()
        said = answer.read().decode()
        client.close()
        return answer.status, said


def signed(id_: str = "a", body: str = BODY) -> dict[str, str]:
    """The headers of MLflow's for a body."""
    now = str(int(time.time()))
    return {
        "X_MLflow_Delivery_Id": id_,
        "X_MLflow_Timestamp": now,
        "X_MLflow_Signature": _generate_hmac_signature(SECRET, id_, now, body),
    }


@pytest.fixture
def running() -> Iterator[Running]:
    """A receiver that runs."""
    made = Running()
    yield made
    made.close()


def test_taken(running: Running) -> None:
    """A delivery wakes once."""
    headers = signed()

    first = running.ask("POST", "/", BODY.encode(), **headers)
    second = running.ask("POST", "/", BODY.encode(), **headers)

    assert first == (202, '{"said": "taken"}')
    assert second == (409, '{"said": "taken before"}')
    assert running.woke == ["m"]


def test_strangers(running: Running) -> None:
    """Whoever has no secret hears little and wakes nobody."""
    assert running.ask("GET", "/health") == (200, '{"said": "ok"}')
    assert running.ask("GET", "/")[0] == 404
    assert running.ask("PUT", "/")[0] == 501
    assert running.ask("POST", "/", BODY.encode())[0] == 401
    assert running.ask("POST", "/", BODY.encode(), **signed("b", "other"))[0] == 401
    assert running.woke == []


def test_lengths(running: Running) -> None:
    """A body without a length, or with too large a one, is not even read."""
    assert running.ask("POST", "/", b"", Content_Length=str(LARGEST + 1))[0] == 413
    assert running.ask("POST", "/", b"", Content_Length="9" * 100)[0] == 413
    assert running.ask("POST", "/", b"", Content_Length="-1")[0] == 411
    with running.connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert b" 411 " in raw.recv(1000)


def test_twice_the_header(running: Running) -> None:
    """A header that stands there twice is none."""
    headers = signed()
    lines = [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    lines += [lines[2], f"Content-Length: {len(BODY)}"]
    with running.connect() as raw:
        raw.sendall("\r\n".join(["POST / HTTP/1.0", *lines, "", BODY]).encode())

        assert b" 401 " in raw.recv(1000)


def test_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request has a deadline, however busily it dawdles."""
    monkeypatch.setattr(module, "DEADLINE", 0.3)
    running = Running()
    started = time.monotonic()
    with running.connect() as raw:
        raw.sendall(b"POST / HTTP/1.0\r\n")
        try:
            while time.monotonic() < started + 10:
                raw.sendall(b"X-A: b\r\n")
                time.sleep(0.05)
        except OSError:
            pass
    running.close()

    assert time.monotonic() - started < 5


def test_crowd(running: Running) -> None:
    """Beyond so many connections others are closed, and places come back."""
    crowd = [running.connect() for _ in range(module.AT_ONCE)]
    time.sleep(0.3)
    with running.connect() as late:
        late.settimeout(5)
        assert late.recv(10) == b""
    for one in crowd:
        one.close()
    time.sleep(0.3)

    assert running.ask("GET", "/health")[0] == 200


def test_two_lengths(running: Running) -> None:
    """A request that two readers could end at two places is refused, and one is read of each."""
    lines = [f"{name.replace('_', '-')}: {text}" for name, text in signed().items()]
    sizes = [f"Content-Length: {len(BODY)}", "Content-Length: 3"]
    whole = "\r\n".join(["POST / HTTP/1.1", "Host: x", *lines, *sizes, "", BODY])
    chunked = "\r\n".join(["POST / HTTP/1.1", *lines, "Transfer-Encoding: chunked", "", "5\r\n"])
    for said in (whole, whole.replace("3", "") + whole, chunked):
        with running.connect() as connection:
            connection.sendall(said.encode())
            with suppress(ConnectionError):
                assert b" 411 " in connection.recv(100)
    assert running.woke == []
