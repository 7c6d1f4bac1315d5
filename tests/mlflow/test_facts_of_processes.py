"""Facts about MLflow's packages, servers and clients that the vault is built on.

No test of ours would fail if one of them changed; these would.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from click.testing import CliRunner
from mlflow.entities.workspace import Workspace
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.utils.workspace_context import WorkspaceContext
from requests import HTTPError

from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What `mlflow` needs and `mlflow-skinny` does not, and what some of our extras bring.
NOT_IN_SKINNY = (
    "aiohttp alembic cryptography docker flask flask_cors graphene gunicorn huey matplotlib "
    "pandas pyarrow scipy skops sklearn sqlalchemy boto3 obstore safetensors torch xgboost"
)


def run(script: str, **environment: str) -> str:
    """Run *script* in a process of its own and return what it printed last."""
    kept = {name: text for name, text in os.environ.items() if name != "_MLFLOW_SGI_NAME"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=kept | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


# Packages.


def test_skinny(tmp_path: Path) -> None:
    """With what `mlflow-skinny` needs alone, the plugin logs, lists and downloads."""
    script = f"""
import sys
ABSENT = set({NOT_IN_SKINNY!r}.split())

class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, *rest):
        return None if name.split(".")[0] in ABSENT else self.finder.find_spec(name, *rest)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
from pathlib import Path
from mlflow.artifacts import get_artifact_repository
from mlflow_vault.plugin.artifact_repo import VaultArtifactRepository
folder = Path({str(tmp_path)!r})
(folder / "a.txt").write_text("alpha")
repository = get_artifact_repository(f"vault-file://{{folder}}/root/0/{"0" * 32}/artifacts")
assert isinstance(repository, VaultArtifactRepository)
repository.log_artifact(str(folder / "a.txt"), "inner")
assert [item.path for item in repository.list_artifacts("inner")] == ["inner/a.txt"]
assert not ABSENT & {{name.split(".")[0] for name in sys.modules}}
print(Path(repository.download_artifacts("inner/a.txt")).read_text())
"""

    assert run(script, MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false") == "alpha"


# Servers.


def test_app_elsewhere() -> None:
    """Under anything but uvicorn, `--app-name vault` is MLflow's own app as it is."""
    script = (
        "import os, mlflow.server\n"
        "from mlflow_vault.plugin.server import create_app\n"
        "made = [create_app()]\n"
        "for name in ('gunicorn', 'waitress'):\n"
        "    os.environ['_MLFLOW_SGI_NAME'] = name\n"
        "    made.append(create_app())\n"
        "print([app is mlflow.server.app for app in made])\n"
    )

    assert run(script) == "[True, True, True]"


def test_one_app() -> None:
    """`--app-name` takes one name, so that it is the vault or `basic-auth`."""
    # The module pulls in MLflow's server, whose imports warn: not while tests are collected.
    from mlflow.cli import server  # noqa: PLC0415

    option = next(found for found in server.params if found.name == "app_name")
    both = CliRunner().invoke(server, ["--app-name", "vault,basic-auth"])

    assert {"vault", "basic-auth"} <= set(option.type.choices)
    assert (option.nargs, option.multiple) == (1, False)
    assert both.exit_code == 2


@pytest.mark.usefixtures("ordinary")  # makes the database
def test_workspace(tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace's artifacts lie in its folder below the root; the first write makes one vault."""
    # Modules of MLflow's server, whose imports warn: not while tests are collected.
    from mlflow.store.tracking.sqlalchemy_workspace_store import (  # noqa: PLC0415
        WorkspaceAwareSqlAlchemyStore,
    )
    from mlflow.store.workspace.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415

    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    shutil.copy(tracking.removeprefix("sqlite:///"), tmp_path / "copy.db")
    database, root = f"sqlite:///{tmp_path}/copy.db", f"vault-file://{tmp_path}/root"
    (tmp_path / "a.txt").write_text("alpha")
    SqlAlchemyStore(database).create_workspace(Workspace("team"))
    store = WorkspaceAwareSqlAlchemyStore(database, root)
    with WorkspaceContext("team"):
        experiment = store.create_experiment("in a workspace")
        made = store.create_run(experiment, "someone", 0, [], "run")

    repository = mlflow.artifacts.get_artifact_repository(made.info.artifact_uri)
    repository.log_artifact(str(tmp_path / "a.txt"))

    below = f"workspaces/team/{experiment}/{made.info.run_id}/artifacts"
    assert made.info.artifact_uri == f"vault-file:{tmp_path}/root/{below}"
    assert list(Vault.open(root).walk()) == [f"{below}/a.txt"]


# Repositories.


class Silent(ArtifactRepository):  # type: ignore[misc]
    """A repository that has only what MLflow demands."""

    log_artifact = log_artifacts = list_artifacts = _download_file = None


def test_delete_by_default() -> None:
    """A repository that says nothing of deletion deletes nothing, and says so to nobody."""
    assert Silent("nowhere:/").delete_artifacts("a") is None


@pytest.mark.parametrize("path", ["../beside", "%2e%2e/beside"])
def test_delete_outside(tmp_path: Path, path: str) -> None:
    """MLflow's local repository deletes outside its root, which ours does not copy."""
    root, beside = tmp_path / "root", tmp_path / "beside"
    root.mkdir()
    beside.mkdir()

    LocalArtifactRepository(str(root)).delete_artifacts(path)

    assert not beside.exists()


# Clients.


@contextmanager
def answering(*codes: int) -> Iterator[tuple[str, list[str]]]:
    """Listen, and answer the first requests with *codes*, all others with 200.

    Yields:
        Where it listens, and the paths that were asked for so far.
    """
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            self.send_response(codes[len(asked) - 1] if len(asked) <= len(codes) else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/artifacts", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Upload a file of some name through MLflow's HTTP repository."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")

    def put(url: str, name: str) -> None:
        (tmp_path / name).write_text("alpha")
        HttpArtifactRepository(url).log_artifact(str(tmp_path / name))

    return put


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_tried_again(code: int, upload: Any) -> None:
    """MLflow's client tries again after 503, and after 408, 429, 500, 502 and 504."""
    with answering(code, code) as (url, asked):
        upload(url, "a.txt")

    assert asked == ["/artifacts/a.txt"] * 3


@pytest.mark.parametrize("code", [400, 403, 404, 409, 501, 507])
def test_given_up(code: int, upload: Any) -> None:
    """MLflow's client gives up at once on the other errors that we answer with."""
    with answering(code) as (url, asked), pytest.raises(HTTPError):
        upload(url, "a.txt")

    assert asked == ["/artifacts/a.txt"]


@pytest.mark.parametrize(("name", "arrives"), [("a#b.txt", "a"), ("a?b.txt", "a?b.txt")])
def test_unquoted(name: str, arrives: str, upload: Any) -> None:
    """MLflow's client does not quote names: `#` and what follows is lost, `?` starts a query."""
    with answering() as (url, asked):
        upload(url, name)

    assert asked == [f"/artifacts/{arrives}"]
