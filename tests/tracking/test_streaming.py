"""`mlflow server --app-name vault` sends artifacts as it reads them, and knows ranges."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import requests
from mlflow.exceptions import MlflowException

BODY = np.random.default_rng(2).bytes(64 << 20)


@pytest.fixture(scope="session")
def large(streaming_server: Any) -> str:
    """A file of 64 MiB on the server; its path."""
    assert streaming_server.artifact("PUT", "r/large.bin", data=BODY).ok
    return "r/large.bin"


def test_mlflow_client(streaming: Any, tmp_path: Path) -> None:
    """MLflow's own client logs and downloads as ever, models too."""
    (tmp_path / "a.txt").write_text("alpha")
    with mlflow.start_run(experiment_id=streaming.proxied()) as run:
        mlflow.log_artifact(str(tmp_path / "a.txt"), "inner")
        mlflow.log_text("", "empty.txt")

    down = Path(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/"))

    assert (down / "inner" / "a.txt").read_text() == "alpha"
    assert (down / "empty.txt").read_bytes() == b""


def test_attachment(streaming: Any) -> None:
    """What is attached to a trace goes up and is shown through the server."""

    @mlflow.trace  # type: ignore[untyped-decorator]
    def answer(question: str) -> str:
        return question.upper()

    mlflow.set_experiment(experiment_id=streaming.proxied())
    answer("why")
    mlflow.flush_trace_async_logging()
    trace_id = mlflow.get_last_active_trace_id()
    assert trace_id is not None
    location = mlflow.MlflowClient().get_trace(trace_id).info.tags["mlflow.artifactLocation"]
    attachment = str(uuid.uuid4())
    mlflow.artifacts.get_artifact_repository(location).upload_attachment(attachment, b"seen")

    route = f"/ajax-api/2.0/mlflow/get-trace-artifact?request_id={trace_id}&path={attachment}"
    assert streaming.ask("GET", route).content == b"seen"
    missing = str(uuid.uuid4())
    assert streaming.ask("GET", route.replace(attachment, missing)).status_code == 404


def test_download(streaming: Any, large: str) -> None:
    """A download says how long it is and what it is, and needs no temporary file."""
    with requests.get(
        f"{streaming.url}/api/2.0/mlflow-artifacts/artifacts/{large}", stream=True, timeout=60
    ) as answer:
        first = answer.raw.read(1 << 20)
        spooled = [file for file in (streaming.folder / "tmp").rglob("*") if file.is_file()]
        rest = answer.raw.read()

    assert spooled == []
    assert first + rest == BODY
    assert answer.headers["Content-Length"] == str(len(BODY))
    assert answer.headers["Content-Disposition"].endswith("large.bin")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1000000-40000000", 1_000_000, 40_000_001),
        ("bytes=67108860-", (64 << 20) - 4, 64 << 20),
        ("bytes=-5", (64 << 20) - 5, 64 << 20),
        ("bytes=5-999999999999", 5, 64 << 20),
    ],
)
def test_range(streaming: Any, large: str, asked: str, start: int, stop: int) -> None:
    """A range of a file is just that, said so."""
    answer = streaming.artifact("GET", large, headers={"Range": asked})

    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{64 << 20}"
    assert answer.content == BODY[start:stop]


@pytest.mark.parametrize("asked", ["bytes=1-2,4-5", "bytes=9-2", "lines=1-2", "bytes=x-"])
def test_no_range(streaming: Any, asked: str) -> None:
    """What is no single range of bytes gets the whole file."""
    streaming.artifact("PUT", "r/small.txt", data=b"0123456789")

    answer = streaming.artifact("GET", "r/small.txt", headers={"Range": asked})

    assert (answer.status_code, answer.content) == (200, b"0123456789")


def test_range_outside(streaming: Any) -> None:
    """A range behind the end is a 416 that tells the length."""
    streaming.artifact("PUT", "r/small.txt", data=b"0123456789")

    answer = streaming.artifact("GET", "r/small.txt", headers={"Range": "bytes=10-"})

    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */10")


def test_continue_a_download(streaming: Any) -> None:
    """A download continues only while the file is the same one, so two are never joined."""
    streaming.artifact("PUT", "r/grown.txt", data=b"0123456789")
    tag = streaming.artifact("GET", "r/grown.txt").headers["ETag"]
    headers = {"Range": "bytes=6-", "If-Range": tag}

    same = streaming.artifact("GET", "r/grown.txt", headers=headers)
    streaming.artifact("PUT", "r/grown.txt", data=b"abcdefghij")
    other = streaming.artifact("GET", "r/grown.txt", headers=headers)

    assert (same.status_code, same.content) == (206, b"6789")
    assert (other.status_code, other.content) == (200, b"abcdefghij")


def test_damage(streaming: Any) -> None:
    """Damage met on the way breaks the download off: no client takes it for whole."""
    body = np.random.default_rng(3).bytes(64 << 20)
    streaming.artifact("PUT", "r/damaged.bin", data=body)
    packs = list((streaming.folder / "destination" / "packs").rglob("*"))
    newest = max(packs, key=lambda path: path.is_file() and path.stat().st_mtime_ns)
    stored = bytearray(newest.read_bytes())
    stored[len(stored) // 2] ^= 0xFF
    newest.chmod(0o644)
    newest.write_bytes(stored)

    with pytest.raises(requests.exceptions.RequestException):
        streaming.artifact("GET", "r/damaged.bin")
    with pytest.raises(MlflowException, match="Connection broken"):
        mlflow.artifacts.download_artifacts("mlflow-artifacts:/r/damaged.bin")


def test_too_much_at_once(streaming: Any) -> None:
    """An upload beyond the spool's limit is a 507, leaves nothing, and the next one is taken."""
    refused = streaming.artifact("PUT", "big.bin", data=b"x" * (90 << 20))

    assert refused.status_code == 507
    assert "MLFLOW_VAULT_SPOOL_LIMIT" in refused.text
    assert streaming.artifact("GET", "big.bin").status_code == 404
    assert streaming.artifact("PUT", "small.bin", data=b"x" * (10 << 20)).status_code == 200


@pytest.mark.parametrize("path", ["../x", "%2e%2e/x", "%252e%252e/x", "r", "r/missing"])
def test_refusals(streaming: Any, path: str) -> None:
    """What the ordinary server refuses is refused here too."""
    streaming.artifact("PUT", "r/small.txt", data=b"0123456789")

    assert streaming.artifact("GET", path).status_code in {400, 404}


def test_mlflows_own_ranges(streaming: Any) -> None:
    """The server does not offer ranges that could join two versions of a file."""
    streaming.artifact("PUT", "r/small.txt", data=b"0123456789")

    answer = streaming.ask("GET", "/api/2.0/mlflow-artifacts/presigned/r/small.txt")

    assert answer.status_code in {404, 501}
