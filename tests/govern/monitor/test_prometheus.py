"""One value comes from Prometheus, or a reason why there is none; nothing else comes of asking."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.govern.monitor.prometheus import TOKEN_FILE, URL, endpoint_of, filled, query
from mlflow_vault.govern.monitor.web import LARGEST, Endpoint

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_vault.testing.receiver import Receiver

AT: Final = 1_700_000_000.1


def told(kind: str, result: object, **more: object) -> bytes:
    """What the API answers."""
    data = {"resultType": kind, "result": result}
    return json.dumps({"status": "success", "data": data, **more}).encode()


def vector(*values: object) -> bytes:
    """A vector of series."""
    return told("vector", [{"metric": {"v": str(at)}, "value": [AT, value]} for at, value in
                           enumerate(values)])  # fmt: skip


def endpoint(receiver: Receiver, **more: str) -> Endpoint:
    """Where the receiver is, as the environment says it."""
    found = endpoint_of({URL: receiver.url, **more})
    assert found is not None
    return found


def test_vector(receiver: Receiver) -> None:
    """A vector of one element is a value; the query arrives as it is."""
    receiver.answer(200, body=vector("0.25"), Content_Type="application/json")

    found = query(endpoint(receiver), 'sum(rate(errors{v="3"}[5m])) & more')

    assert (found.value, found.time, found.source) == (0.25, None, receiver.url)
    assert receiver.sent[0].path == "/api/v1/query"
    assert parse_qs(receiver.sent[0].body.decode()) == {
        "query": ['sum(rate(errors{v="3"}[5m])) & more']
    }


def test_scalar(receiver: Receiver) -> None:
    """So is a scalar; what is no number stays none."""
    receiver.answer(200, body=told("scalar", [AT, "NaN"]))

    assert math.isnan(query(endpoint(receiver), "scalar(x)").value or 0)


NOTHING: Final[list[tuple[int, bytes, str]]] = [
    (200, vector(), "finds nothing"),
    (200, vector("1", "2"), "finds 2 series: aggregate them"),
    (200, told("matrix", []), "answered a matrix"),
    (200, told("string", [AT, "up"]), "answered a string"),
    (200, told("scalar", [AT, "many"]), "what Prometheus would not"),
    (200, told("scalar", [AT]), "what Prometheus would not"),
    (200, told("vector", "0"), "what Prometheus would not"),
    (200, told("vector", {"a": 1}), "what Prometheus would not"),
    (200, told("vector", [{"value": [AT, None]}]), "what Prometheus would not"),
    (200, b'{"status": "success"}', "what Prometheus would not"),
    (200, b"<html>login</html>", "no JSON"),
    (200, b"[" * 100_000, "no JSON"),
    (200, b"[]", "no JSON"),
    (200, b"x" * (LARGEST + 1), "answers more than"),
    (302, b"", "answered 302"),
    (503, b"busy", "answered 503"),
    (
        400,
        b'{"status":"error","errorType":"bad_data","error":"parse error"}',
        "answered 400, bad_data: parse error",
    ),
]


@pytest.mark.parametrize(("status", "body", "reason"), NOTHING)
def test_nothing(status: int, body: bytes, reason: str, receiver: Receiver) -> None:
    """Whatever else is answered says nothing, and why."""
    receiver.answer(status, body=body)

    found = query(endpoint(receiver), "up")

    assert found.value is None
    assert reason in found.reason
    assert len(found.reason) < 500


def test_redirects(receiver: Receiver) -> None:
    """A redirect is not followed: what proves who asks is for one place."""
    receiver.answer(307, Location=f"{receiver.url}/elsewhere")

    found = query(endpoint(receiver), "up")

    assert found.value is None
    assert [sent.path for sent in receiver.sent] == ["/api/v1/query"]


def test_nobody_there() -> None:
    """Where nobody listens there is no value, and the reason says so."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    found = query(Endpoint.parse(f"http://127.0.0.1:{port}", "it"), "up")

    assert found.value is None
    assert f"127.0.0.1:{port} cannot be reached: Connection refused" in found.reason


def test_silence(receiver: Receiver) -> None:
    """Who does not answer in time has said nothing."""
    receiver.wait = 0.5

    found = query(endpoint(receiver), "up", timeout=0.1)

    assert found.value is None
    assert "does not answer in time" in found.reason


def test_credentials(receiver: Receiver, tmp_path: Path) -> None:
    """A user and a password, or a token, are sent in a header and shown nowhere."""
    host = receiver.url.removeprefix("http://")
    (tmp_path / "token").write_text("s3cret-token\n")
    receiver.answer(500, body=b"{}")

    basic = endpoint_of({URL: f"http://me:p%40ss@{host}/prom/"})
    token = endpoint(receiver, **{TOKEN_FILE: str(tmp_path / "token")})

    assert basic is not None
    for one in (basic, token):
        said = query(one, "up").reason + repr(one) + str(one)
        assert not any(secret in said for secret in ("p%40ss", "p@ss", "s3cret", "bWU6", "me:"))
    first, second = receiver.sent
    assert first.path == "/prom/api/v1/query"
    assert first.headers["Authorization"] == "Basic bWU6cEBzcw=="
    assert second.headers["Authorization"] == "Bearer s3cret-token"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://host",
        "prometheus:9090",
        "http://",
        "http://host:port",
        "http://[::1",
        "http://a\nb",
        "http://me:hunter2@",
        "http://me:hunter2@host/\u00e9",
    ],
)
def test_no_address(url: str) -> None:
    """Only addresses of HTTP are asked, and an error repeats none."""
    with pytest.raises(InvalidInputError, match=f"{URL} is no address") as found:
        endpoint_of({URL: url})

    assert "hunter2" not in str(found.value)
    assert endpoint_of({}) is None


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"", "empty"), (b"a\nb", "one line"), (b"\xff", "text"), ("\u00e9".encode(), "ASCII")],
)
def test_no_token(body: bytes, why: str, tmp_path: Path) -> None:
    """A token is one line of text; an error does not repeat it."""
    (tmp_path / "token").write_bytes(body)

    with pytest.raises(InvalidInputError, match=why):
        endpoint_of({URL: "http://host", TOKEN_FILE: str(tmp_path / "token")})


def test_filled() -> None:
    """What stands for the version is filled in, and nothing that only looks like it."""
    names = {"model": "a/b c", "number": "3", "stage": "production", "digest": "b3:00"}

    found = filled('x{m="$model",v="$number",s="$stage",d="$digest",r=~"a$"} > $numbers', names)

    assert found == 'x{m="a/b c",v="3",s="production",d="b3:00",r=~"a$"} > $numbers'


@given(st.text())
def test_no_name_ends_its_text(name: str) -> None:
    """Whatever a model is called, nothing in it ends the text that it stands in."""
    names: dict[str, Any] = dict.fromkeys(("number", "stage", "digest"), "")

    found = filled('"$model"', {**names, "model": name})[1:-1]

    assert not set(found) & set("\"'`{}()\n,")
    assert found.isascii()
    raw = name.encode("utf-8", "backslashreplace")
    assert found.encode().decode("unicode_escape").encode("latin-1") == raw


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-More: ", b"HTTP/1.1 200 OK\r\n\r\n{"])
def test_drops(head: bytes) -> None:
    """Who sends a byte now and then does not keep us waiting, in the head or in the body."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def drop() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(head)
                for _ in range(200):
                    connection.sendall(b" ")
                    time.sleep(0.02)

        dropping = threading.Thread(target=drop)
        dropping.start()
        started = time.monotonic()

        found = query(Endpoint.parse(f"http://127.0.0.1:{port}", "it"), "up", timeout=0.2)

        assert time.monotonic() - started < 2
        dropping.join()
    assert found.reason == f"http://127.0.0.1:{port} does not answer in time"


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example"])
def test_no_host(host: str) -> None:
    """A host that no name service could know is told, and no stray error."""
    found = query(Endpoint.parse(f"http://{host}/secret", "it"), "up")

    assert found.reason.startswith(f"http://{host} cannot be reached: ")
    assert "secret" not in found.reason
