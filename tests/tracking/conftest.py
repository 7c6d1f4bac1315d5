"""Real `mlflow server`s, and what asks them.

- ``plain``: MLflow's server as everyone starts it.  Its experiments' artifacts go straight
  to a vault (``--default-artifact-root``); those of an experiment at ``mlflow-artifacts:``
  go through it to another (``--artifacts-destination``).
- ``streaming``: the same with ``--app-name vault``.

Each has a database, a temporary folder and a port of its own, and starts once for all tests
that ask for it.

Their environment holds credentials for object stores, all of which are a trap: whoever
makes a server open a bucket is seen there (`attacking`).
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import mlflow.sklearn
import numpy as np
import pytest
import requests
from mlflow.store.artifact import artifact_repo
from sklearn.linear_model import LogisticRegression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Before 3.15 MLflow's server cannot stream.
collect_ignore = (
    []
    if hasattr(artifact_repo, "StreamUploadMixin")
    else ["test_streaming.py", "test_hostile_clients.py"]
)
PATIENCE = 120.0  # seconds a server may take to start: it makes its database first
SPOOL_LIMIT = 80 << 20
# MLflow warns about its own future; what is ours still raises.
FOREIGN = ("FutureWarning", "DeprecationWarning", "UserWarning", "ResourceWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave MLflow's warnings to MLflow."""
    for item in items:
        for kind in FOREIGN:
            item.add_marker(pytest.mark.filterwarnings(f"ignore::{kind}"))


def loaded(name: str) -> Any:
    """Load a module that lies beside this one: test folders are no packages."""
    spec = importlib.util.spec_from_file_location(f"tracking_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HERE = Path(__file__).parent
attacking = loaded("attacking")


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        url: Where it listens.
        folder: Holds its ``root`` and ``destination``, their neighbour ``other`` that it may
            not open, ``allowed`` that it may, and its ``tmp``.
        group: The number of the process group that it and its workers are.
    """

    url: str
    folder: Path
    group: int = 0

    def vault(self, name: str) -> str:
        """Return the URI of one of its folders as a vault's."""
        return f"vault-file://{self.folder}/{name}"

    def ask(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """Send one request, its path exactly as given."""
        request = requests.Request(method, f"{self.url}/health", **kwargs).prepare()
        request.url = f"{self.url}{path}"
        with requests.Session() as session:
            return session.send(request, timeout=60, allow_redirects=False)

    def artifact(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """Send one request to the proxy's route for artifacts."""
        return self.ask(method, f"/api/2.0/mlflow-artifacts/artifacts/{path}", **kwargs)

    def call(self, endpoint: str, **body: Any) -> requests.Response:
        """Call MLflow's REST API."""
        return self.ask("POST", f"/api/2.0/mlflow/{endpoint}", json=body)

    def experiment(self, location: str) -> str:
        """Make an experiment at *location* through the REST API; return its id."""
        answer = self.call(
            "experiments/create", name=secrets.token_hex(8), artifact_location=location
        )
        assert answer.ok, answer.text
        return str(answer.json()["experiment_id"])

    def proxied(self) -> str:
        """Make an experiment whose artifacts go through the server; return its id."""
        return self.experiment(f"mlflow-artifacts:/{secrets.randbelow(10**9)}")


@pytest.fixture(scope="session")
def trap() -> Iterator[Any]:
    """The trap, listening."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = attacking.Trap(f"http://127.0.0.1:{listener.getsockname()[1]}")
        threading.Thread(target=found.listen, args=(listener,), daemon=True).start()
        yield found
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session")
def doors() -> dict[str, Any]:
    """All that can name a place: `doors.toml`."""
    return tomllib.loads((HERE / "doors.toml").read_text())


@pytest.fixture(scope="session")
def attack() -> Any:
    """What attacks a server: the module `attacking`."""
    return attacking


@pytest.fixture(params=["plain", "streaming"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the servers, with what it must not open beside its roots."""
    found: Server = request.getfixturevalue(f"{request.param}_server")
    attacking.surround(found)
    return found


def start(folder: Path, trap: Any, *options: str) -> tuple[Server, subprocess.Popen[bytes]]:
    """Start a server; it is not ready yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", folder)
    (folder / "tmp").mkdir()
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_VAULT_ALLOWED_ROOTS": f"{server.vault('allowed')},vault-s3://allowed/team",
        "MLFLOW_VAULT_SPOOL_LIMIT": str(SPOOL_LIMIT),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONWARNINGS": "ignore",
        **trap.settings(),
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", *options]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", server.vault("destination")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return replace(server, group=process.pid), process


def wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Wait until *server* answers."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{server.url}/health", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{(server.folder / 'log').read_text()[-4000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and its workers, which are its process group."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory: pytest.TempPathFactory, trap: Any) -> Iterator[Server]:
    """The ordinary server, up."""
    folder = tmp_path_factory.mktemp("plain")
    yield from running(folder, trap, "--default-artifact-root", f"vault-file://{folder}/root")


@pytest.fixture(scope="session")
def streaming_server(tmp_path_factory: pytest.TempPathFactory, trap: Any) -> Iterator[Server]:
    """The streaming server, up."""
    yield from running(tmp_path_factory.mktemp("streaming"), trap, "--app-name", "vault")


@pytest.fixture
def plain(plain_server: Server) -> Iterator[Server]:
    """The ordinary server, and MLflow's client set to it."""
    yield from pointed(plain_server)


@pytest.fixture
def streaming(streaming_server: Server) -> Iterator[Server]:
    """The streaming server, and MLflow's client set to it."""
    yield from pointed(streaming_server)


def running(folder: Path, trap: Any, *options: str) -> Iterator[Server]:
    """Yield a server as long as it is wanted."""
    server, process = start(folder, trap, *options)
    try:
        wait(server, process)
        yield server
    finally:
        stop(process)


def pointed(server: Server) -> Iterator[Server]:
    """Set MLflow's client to *server* for a while."""
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server.url)
    mlflow.set_registry_uri(server.url)
    yield server
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(before)


@pytest.fixture
def log_model() -> Callable[[str], Any]:
    """Log a small model to a new run of an experiment; return what MLflow says of it."""

    def log(experiment: str) -> Any:
        rows = np.random.default_rng(7).normal(size=(40, 3))
        with mlflow.start_run(experiment_id=experiment):
            return mlflow.sklearn.log_model(
                LogisticRegression().fit(rows, rows[:, 0] > 0),
                name="model",
                pip_requirements=["scikit-learn"],
            )

    return log


@pytest.fixture
def names() -> Callable[[str | Path], list[str]]:
    """Return the paths of the files below a folder."""

    def of(root: str | Path) -> list[str]:
        found = (file for file in Path(root).rglob("*") if file.is_file())
        return sorted(file.relative_to(root).as_posix() for file in found)

    return of
