"""An ordinary `mlflow server` passes its clients' artifacts on to a vault."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import mlflow
import mlflow.sklearn
import numpy as np
import pytest

from mlflow_vault.format import layout
from mlflow_vault.format.record import Kind, frame_json
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    LogModel = Callable[[str], Any]
    Names = Callable[[str | Path], list[str]]

RUN = "0" * 32
REFUSED = {400, 500}  # MLflow before 3.15 turns some refusals into errors of its own
CLIMBING = (
    "../../../etc/hostname",
    "%2e%2e/%2e%2e/etc/hostname",
    "%252e%252e/%252e%252e/etc/hostname",
    "%25252e%25252e%25252fetc/hostname",
    "a/..%2f..%2fetc/hostname",
    "%2fetc/hostname",
    "a%00b",
)


def test_proxied_round_trip(plain: Any, tmp_path: Path, names: Names) -> None:
    """What goes up through the server comes down the same, and lies in its destination."""
    folder = tmp_path / "things"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.txt").write_text("alpha")
    (folder / "inner" / "b b.txt").write_text("beta")
    (folder / "empty").touch()
    with mlflow.start_run(experiment_id=plain.proxied()) as run:
        mlflow.log_artifacts(str(folder), "things")

    down = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/things")
    listed = mlflow.MlflowClient().list_artifacts(run.info.run_id, "things")

    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    assert names(down) == names(folder)
    assert all(
        (Path(down) / name).read_bytes() == (folder / name).read_bytes() for name in names(folder)
    )
    assert [(item.path, item.file_size or None) for item in listed] == [
        ("things/a.txt", 5),
        ("things/empty", None),
        ("things/inner", None),
    ]  # MLflow's answer has no size where it is 0
    assert Vault.open(plain.vault("destination")).list()


def test_client_without_us(plain: Any) -> None:
    """A client of a proxy needs MLflow alone."""
    script = (
        "import sys; sys.modules['mlflow_vault'] = None\n"
        "import mlflow\n"
        f"mlflow.set_tracking_uri({plain.url!r})\n"
        f"with mlflow.start_run(experiment_id={plain.proxied()!r}) as run:\n"
        "    mlflow.log_text('hello', 'a/b.txt')\n"
        "print(mlflow.artifacts.load_text(run.info.artifact_uri + '/a/b.txt'))\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"},
    )

    assert "hello" in done.stdout.splitlines()


def test_proxied_model(plain: Any, log_model: LogModel) -> None:
    """A model logged through the server registers, is served, loads, and is kept as it was."""
    logged = log_model(plain.proxied())
    name = secrets.token_hex(8)
    version = mlflow.register_model(logged.model_uri, name)
    shown = plain.ask("GET", f"/model-versions/get-artifact?name={name}&version=1&path=MLmodel")

    assert version.status == "READY"
    assert "flavors" in shown.text
    assert mlflow.sklearn.load_model(f"models:/{name}/1").predict([[5.0, 0.0, 0.0]])[0]


def test_a_large_file(plain: Any, tmp_path: Path) -> None:
    """64 MiB go up and come down through the server, and nothing of it is left on the way."""
    body = np.random.default_rng(1).bytes(64 << 20)
    (tmp_path / "large.bin").write_bytes(body)
    with mlflow.start_run(experiment_id=plain.proxied()) as run:
        mlflow.log_artifact(str(tmp_path / "large.bin"))

    down = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/large.bin")

    assert Path(down).read_bytes() == body
    assert list((plain.folder / "tmp").rglob("*.bin")) == []


def test_missing_and_folders(plain: Any) -> None:
    """A missing artifact is a 404 and a folder an error, never an empty 200."""
    plain.artifact("PUT", "m/inner/a.txt", data=b"alpha")

    assert plain.artifact("GET", "m/missing").status_code == 404
    assert plain.artifact("GET", "m/inner").status_code in REFUSED
    assert plain.artifact("GET", "m").status_code in REFUSED
    assert plain.artifact("GET", "m/inner/a.txt").content == b"alpha"
    assert plain.ask("GET", "/api/2.0/mlflow-artifacts/artifacts?path=m/missing").json() == {}


@pytest.mark.parametrize("path", CLIMBING)
def test_climbing(plain: Any, path: str) -> None:
    """A path that climbs, however often it is encoded, is refused by every verb."""
    plain.artifact("PUT", "kept/a.txt", data=b"alpha")
    before = sorted(str(item) for item in plain.folder.iterdir())
    list_route = f"/api/2.0/mlflow-artifacts/artifacts?path={path}"

    codes = [
        plain.artifact("GET", path).status_code,
        plain.artifact("PUT", path, data=b"x").status_code,
        plain.artifact("DELETE", path).status_code,
        plain.ask("GET", list_route).status_code,
    ]

    # Where two slashes meet, MLflow redirects to the harmless path with one.
    assert set(codes) <= {308, 400, 404}, codes
    assert sorted(str(item) for item in plain.folder.iterdir()) == before
    assert plain.artifact("GET", "kept/a.txt").content == b"alpha"


def test_delete(plain: Any) -> None:
    """Deleting through the server removes a file or a folder, and nothing of a similar name."""
    for path in ("d/one/a.txt", "d/one/b.txt", "d/one2/a.txt"):
        plain.artifact("PUT", path, data=b"x")

    assert plain.artifact("DELETE", "d/one").status_code == 200
    assert plain.artifact("DELETE", "d/missing").status_code == 200
    assert plain.artifact("GET", "d/one/a.txt").status_code == 404
    assert plain.artifact("GET", "d/one2/a.txt").status_code == 200


def test_sealed(plain: Any, tmp_path: Path) -> None:
    """What is sealed can be neither written over nor deleted; deleting goes on without it."""
    (tmp_path / "file").write_bytes(b"first")
    vault = Vault.init(plain.vault("destination"))
    for name in ("pinned.txt", "loose.txt"):
        vault.write_file(tmp_path / "file", f"s/{RUN}/artifacts/{name}")
    pinned = f"s/{RUN}/artifacts/pinned.txt"
    vault.store.create(
        layout.seal_key(pinned), frame_json(Kind.SEAL, {"path": pinned, "version": "scorer/1"})
    )

    written = plain.artifact("PUT", pinned, data=b"second")
    deleted = plain.artifact("DELETE", f"s/{RUN}")

    assert written.status_code == 403
    assert "scorer/1" in written.text
    assert deleted.status_code == 200
    assert plain.artifact("GET", pinned).content == b"first"
    assert plain.artifact("GET", f"s/{RUN}/artifacts/loose.txt").status_code == 404
    assert "Kept 1 sealed" in (plain.folder / "log").read_text()


def test_client_that_goes_away(plain: Any) -> None:
    """An upload that breaks off leaves what was there before."""
    plain.artifact("PUT", "half.bin", data=b"whole")
    address = urlsplit(plain.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as client:
        route = "/api/2.0/mlflow-artifacts/artifacts/half.bin"
        client.sendall(
            f"PUT {route} HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Content-Length: 1000000\r\n\r\n".encode()
        )
        client.sendall(b"x" * 500_000)
        time.sleep(0.5)

    assert plain.artifact("GET", "half.bin").content == b"whole"


def test_many_clients(plain: Any) -> None:
    """Uploads at the same time, more of them than there are threads, all arrive."""
    codes: list[int] = []

    def put(number: int) -> None:
        body = bytes([number]) * 300_000
        codes.append(plain.artifact("PUT", f"many/{number}.bin", data=body).status_code)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert codes == [200] * 40
    assert plain.artifact("GET", "many/39.bin").content == bytes([39]) * 300_000
