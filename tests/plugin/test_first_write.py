"""Where a vault is found and made, by however many threads and processes at once."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from mlflow_vault.errors import NotFoundError
from mlflow_vault.format import layout
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEX = "0123456789abcdef" * 2
LAID_OUT = [
    f"7/{HEX}/artifacts",
    f"7/models/m-{HEX}/artifacts",
    f"7/traces/tr-{HEX}/artifacts",
    f"workspaces/blue/7/{HEX}/artifacts",
    f"7/{HEX}/artifacts/model/data",
]


def repository(uri: str) -> Any:
    """Get the repository as MLflow does."""
    return get_artifact_repository(uri)


def code(call: Callable[[], object]) -> str:
    """Return the code of the error that *call* ends with."""
    with pytest.raises(MlflowException) as caught:
        call()
    return str(caught.value.error_code)


@pytest.mark.parametrize("below", LAID_OUT)
@pytest.mark.parametrize("scheme", ["vault-file", "vault-memory", "vault+file", "vault+memory"])
def test_first_write(tmp_path: Path, file: str, scheme: str, below: str) -> None:
    """The first write below a default root makes the vault there; reading before makes none."""
    root = f"{scheme}://{tmp_path}/root"
    made = repository(f"{root}/{below}")

    assert made.list_artifacts() == []
    made.delete_artifacts()
    assert code(lambda: made.download_artifacts("file.txt")) == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(NotFoundError):
        Vault.open(root)
    made.log_artifact(file, "in")

    assert Vault.open(root).stat(f"{below}/in/file.txt") is not None
    assert [item.path for item in made.list_artifacts("in")] == ["in/file.txt"]


def test_first_writers_race(root: str, file: str) -> None:
    """Writers that come first at the same time share one vault, and lose nothing."""
    uris = [f"{root}/7/{number:032x}/artifacts" for number in range(12)]
    together = threading.Barrier(len(uris))
    failed: list[BaseException] = []

    def log(uri: str) -> None:
        try:
            together.wait(30)
            repository(uri).log_artifact(file)
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=log, args=(uri,)) for uri in uris]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert len(list(Vault.open(root).walk())) == len(uris)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_first_processes_race(root: str, file: str) -> None:
    """So do processes: whoever comes second opens the vault that the first one made."""
    context = multiprocessing.get_context("fork")
    together = context.Barrier(6)

    def log(number: int) -> None:
        together.wait(30)
        repository(f"{root}/7/{number:032x}/artifacts").log_artifact(file)

    children = [context.Process(target=log, args=(number,)) for number in range(6)]
    for process in children:
        process.start()
    for process in children:
        process.join(60)

    assert [process.exitcode for process in children] == [0] * 6
    assert len(list(Vault.open(root).walk())) == 6


@pytest.mark.parametrize("below", ["", "/7", "/mine/artifacts", f"/mine/{HEX}"])
def test_nowhere_to_make_one(root: str, file: str, below: str) -> None:
    """A write to any other place is an error that says what to type."""
    made = repository(f"{root}{below}")

    with pytest.raises(MlflowException, match=f"type: mlflow-vault init {root}") as caught:
        made.log_artifact(file)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"

    Vault.init(root)
    made.log_artifact(file)
    assert [item.path for item in made.list_artifacts()] == ["file.txt"]


def test_spellings(root: str, file: str) -> None:
    """MLflow takes slashes out of a location; aliases and slashes are one place."""
    Vault.init(root)
    uri = f"{root}/7/{HEX}/artifacts"
    repository(uri).log_artifact(file)

    for other in (
        uri.replace("///", "/"),
        uri.replace("vault-file", "vault+file"),
        uri.replace(":///", "://localhost/"),
        f"{uri}/",
    ):
        assert [item.path for item in repository(other).list_artifacts()] == ["file.txt"]


def test_newer_vault(root: str, file: str, tmp_path: Path) -> None:
    """A vault that needs a newer release is refused, and the message names what it needs."""
    Vault.init(root)
    identity = tmp_path / "root" / layout.VAULT
    identity.chmod(0o644)
    identity.write_text(identity.read_text().replace('"format": 1', '"format": 9'))
    made = repository(f"{root}/7/{HEX}/artifacts")

    calls: list[Callable[[], object]] = [
        lambda: made.log_artifact(file),
        made.list_artifacts,
        lambda: made.download_artifacts("file.txt"),
        made.delete_artifacts,
    ]
    for call in calls:
        with pytest.raises(MlflowException, match="format 9") as caught:
            call()
        assert caught.value.error_code == "NOT_IMPLEMENTED"


@pytest.mark.parametrize(
    "uri", ["vault-file:///srv/../etc", "vault-file:///srv/%252e%252e/etc", "vault-file://host/etc"]
)
def test_bad_locations(uri: str) -> None:
    """A location that climbs or has a host is refused before anything is looked for."""
    assert code(lambda: repository(uri)) == "INVALID_PARAMETER_VALUE"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork(root: str, file: str, tmp_path: Path) -> None:
    """A repository that was used goes on working in a forked process, and in its parent."""
    made = repository(f"{root}/7/{HEX}/artifacts")
    made.log_artifact(file, "parent")
    made.download_artifacts("parent")

    def child(number: int) -> None:
        target = tmp_path / f"child-{number}"
        target.mkdir()
        made.download_artifacts("parent", str(target))
        made.log_artifact(file, f"child-{number}")

    context = multiprocessing.get_context("fork")
    children = [context.Process(target=child, args=(number,)) for number in range(3)]
    for process in children:
        process.start()
    for process in children:
        process.join(60)

    assert [process.exitcode for process in children] == [0, 0, 0]
    made.log_artifact(file, "after")
    assert [item.path for item in made.list_artifacts()] == [
        "after",
        "child-0",
        "child-1",
        "child-2",
        "parent",
    ]


def test_spawn(root: str, file: str) -> None:
    """A new process that is given the location sees what was logged, and adds to it."""
    uri = f"{root}/7/{HEX}/artifacts"
    repository(uri).log_artifact(file, "parent")
    script = (
        "import sys; from mlflow.artifacts import get_artifact_repository\n"
        "made = get_artifact_repository(sys.argv[1])\n"
        "made.log_artifact(sys.argv[2], 'child')\n"
        "print([item.path for item in made.list_artifacts()])\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, uri, file],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "['child', 'parent']"
    assert [item.path for item in repository(uri).list_artifacts()] == ["child", "parent"]
