"""Clients that lie about what they send, send it slowly, too often or not to its end.

Nothing of theirs is committed or left, others are served meanwhile, and the server's memory
does not follow what they ask for.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import pytest

ROUTE: Final = "/api/2.0/mlflow-artifacts/artifacts/"
WHOLE: Final = b"0123456789"
LARGE: Final = np.random.default_rng(5).bytes(24 << 20)


def connected(server: Any) -> socket.socket:
    """Open a connection to *server*."""
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=30)


def head(path: str, *lines: str, method: str = "PUT") -> bytes:
    """Return how a request begins."""
    return "\r\n".join(
        [f"{method} {ROUTE}{path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]
    ).encode()


def said(server: Any, request: bytes, *, end: bool = True) -> bytes:
    """Send *request* as it is, *end* there, and return how the answer begins."""
    with closing(connected(server)) as client:
        try:
            client.sendall(request)
            if end:
                client.shutdown(socket.SHUT_WR)
            return client.recv(4096)
        except OSError:  # the server has hung up
            return b""


def settled(server: Any, path: str) -> bytes | None:
    """Return what *path* holds once the server has noticed that a client went away."""
    time.sleep(0.3)
    answer = server.artifact("GET", path)
    return answer.content if answer.ok else None


def peak(server: Any) -> int:
    """Return the most memory, in bytes, that a process of *server* ever had."""
    most = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getpgid(int(status.parent.name)) == server.group:
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                most = max(most, int(lines.get("VmHWM", "0 kB").split()[0]) << 10)
        except (ProcessLookupError, FileNotFoundError):
            continue
    return most


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=" + ",".join(f"{at}-{at}" for at in range(1000)),
        "bytes=" + ",".join(["0-"] * 1000),
        "bytes=0-5,3-8,0-9",
        f"bytes=0-{'9' * 400}",
        f"bytes={'9' * 400}-",
        f"bytes={'9' * 18}-",
        f"bytes=-{'9' * 18}",
        "bytes=-0",
        "bytes=--5",
        "bytes=-5--1",
        "bytes=+1-2",
        "bytes= 1 - 2 ",
        "bytes=0x1-0x2",
        "bytes=1e0-2e0",
        "bytes=NaN-NaN",
        "bytes=\u0661-\u0662".encode().decode("latin-1"),
        "bytes=",
        "bytes",
        "=",
        "",
    ],
)
def test_ranges(streaming: Any, asked: str) -> None:
    """No range makes an error of the server's, or gives bytes that the file has not there."""
    streaming.artifact("PUT", "hostile/range", data=WHOLE)

    answer = streaming.artifact("GET", "hostile/range", headers={"Range": asked.strip()})

    assert answer.status_code in {200, 206, 400, 416}
    if answer.status_code == 206:
        span = answer.headers["Content-Range"].removeprefix("bytes ").partition("/")[0]
        first, last = map(int, span.split("-"))
        assert answer.content == WHOLE[first : last + 1]
    elif answer.status_code == 200:
        assert answer.content == WHOLE


@pytest.mark.parametrize("header", ["Range", "If-Range", "Content-Type", "X-Any"])
def test_huge_headers(server: Any, header: str) -> None:
    """A header of megabytes is refused or ignored, and the server goes on."""
    server.artifact("PUT", "hostile/header", data=WHOLE)

    answer = said(server, head("hostile/header", f"{header}: {'x' * (4 << 20)}", method="GET"))

    assert answer[:12] in {b"", b"HTTP/1.1 400", b"HTTP/1.1 431", b"HTTP/1.1 200"}
    assert server.artifact("GET", "hostile/header").content == WHOLE


@pytest.mark.parametrize(
    ("lines", "body", "kept"),
    [
        (["Content-Length: 5"], b"hello, and more than that", b"hello"),
        (["Content-Length: 50"], b"hello", None),
        (["Content-Length: -5"], b"hello", None),
        (["Content-Length: five"], b"hello", None),
        (["Content-Length: 5", "Content-Length: 50"], b"hello", None),
        (["Content-Length: 99999999999999999999"], b"hello", None),
        (["Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (["Transfer-Encoding: chunked"], b"5\r\nhello\r\n", None),
        (["Transfer-Encoding: chunked"], b"50\r\nhello\r\n", None),
        (["Transfer-Encoding: chunked"], b"-5\r\nhello\r\n0\r\n\r\n", None),
        (["Transfer-Encoding: chunked"], b"xyz\r\nhello\r\n0\r\n\r\n", None),
        (["Transfer-Encoding: chunked"], b"f" * 40 + b"\r\nhello\r\n", None),
    ],
)
def test_bodies(server: Any, lines: list[str], body: bytes, kept: bytes | None) -> None:
    """What a client says of its body is held against it: only a whole body is committed."""
    path = f"hostile/{secrets.token_hex(8)}"

    said(server, head(path, *lines) + body, end=kept is None)

    assert settled(server, path) == kept
    assert server.artifact("GET", f"{path}/x").status_code == 404


def test_slow_uploads(server: Any) -> None:
    """Uploads that stall hold up nobody, and when they break off they leave what was there."""
    server.artifact("PUT", "hostile/slow", data=WHOLE)
    clients = [connected(server) for _ in range(20)]
    for client in clients:
        client.sendall(head("hostile/slow", "Content-Length: 1000000") + b"x" * 1000)

    began = time.monotonic()
    assert server.artifact("PUT", "hostile/quick", data=WHOLE).ok
    assert server.artifact("GET", "hostile/slow").content == WHOLE
    waited = time.monotonic() - began
    for client in clients:
        client.close()

    assert waited < 100
    assert settled(server, "hostile/slow") == WHOLE
    assert [file for file in (server.folder / "tmp").rglob("*") if file.is_file()] == []
    assert list((server.folder / "destination" / "tmp").iterdir()) == []


def test_uploads_to_one_path(server: Any) -> None:
    """Of uploads to one path at the same time one is kept, whole; none is half another."""
    bodies = [bytes([number]) * 200_000 for number in range(8)]
    codes: list[int] = []

    def put(body: bytes) -> None:
        codes.append(server.artifact("PUT", "hostile/contested", data=body).status_code)

    threads = [threading.Thread(target=put, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert codes == [200] * 8
    assert server.artifact("GET", "hostile/contested").content in bodies


def test_downloads_that_nobody_reads(streaming: Any) -> None:
    """Clients that go away in the middle of a download leave nothing, and others are served."""
    assert streaming.artifact("PUT", "hostile/large", data=LARGE).ok
    for _ in range(4):
        with closing(connected(streaming)) as client:
            client.sendall(head("hostile/large", method="GET"))
            assert client.recv(100).startswith(b"HTTP/1.1 200")

    assert streaming.artifact("GET", "hostile/large").content == LARGE
    assert [file for file in (streaming.folder / "tmp").rglob("*") if file.is_file()] == []


def test_uploads_that_nobody_ends(streaming: Any) -> None:
    """What clients send and do not end waits on the disk, not in the server's memory."""
    assert streaming.artifact("PUT", "hostile/large", data=LARGE).ok
    before = peak(streaming)

    clients = [connected(streaming) for _ in range(8)]
    for number, client in enumerate(clients):
        client.sendall(head(f"hostile/{number}", "Content-Length: 90000000") + LARGE[: 8 << 20])
    time.sleep(0.5)
    after = peak(streaming)
    for client in clients:
        client.close()

    assert [settled(streaming, f"hostile/{number}") for number in (0, 7)] == [None, None]
    assert before > 0
    assert after - before < 32 << 20  # of 64 MiB that were sent
    assert streaming.artifact("PUT", "hostile/again", data=LARGE).ok  # the spool is free again
