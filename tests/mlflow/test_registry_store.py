"""A registry under a `vault-` address commits what is registered, and guards what it found."""

from __future__ import annotations

import inspect
import secrets
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.tracking._model_registry.utils import _get_store

from mlflow_vault.errors import CorruptionError, StorageError
from mlflow_vault.plugin import registry_store
from mlflow_vault.plugin.registry_store import open_store, store_class

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow.entities.model_registry import ModelVersion

DIGEST = "mlflow_vault.digest"
FORGED = ModelVersionTag(DIGEST, "b3:" + "0" * 64)


@pytest.fixture
def name(ordinary: str) -> str:
    """A name that no model has, in a database that exists."""
    assert ordinary
    return secrets.token_hex(8)


@pytest.fixture
def committed() -> list[tuple[str, int, str]]:
    """Name, number and store of what was committed."""
    return []


@pytest.fixture
def store(tracking: str, name: str, committed: list[tuple[str, int, str]]) -> Any:
    """A registry with one model, whose commits are only noted down."""
    made = open_store(f"vault-{tracking}")
    made.create_registered_model(name)

    def note(version: ModelVersion, store_uri: str) -> None:
        committed.append((version.name, int(version.version), store_uri))

    made.commit = note
    return made


def test_committed(store: Any, name: str, tracking: str, committed: Any) -> None:
    """What is registered is committed, through the database's own address."""
    made = store.create_model_version(name, "file:///a/model")

    assert (made.name, int(made.version), made.status) == (name, 1, "READY")
    assert committed == [(name, 1, tracking)]


def test_copied(store: Any, name: str, committed: Any) -> None:
    """A copy of a model version is committed, too, and does not inherit what its source says."""
    made = store.create_model_version(name, "file:///a/model", tags=[ModelVersionTag("team", "a")])

    copy = store.copy_model_version(made, f"{name}-copy")

    assert [entry[:2] for entry in committed] == [(name, 1), (f"{name}-copy", 1)]
    assert copy.tags == {"team": "a"}


def test_stays(tracking: str, name: str, tmp_path: Path) -> None:
    """A model outside every vault is registered as MLflow does it."""
    store = open_store(f"vault-{tracking}")
    store.create_registered_model(name)

    made = store.create_model_version(name, tmp_path.as_uri())

    assert store.get_model_version(name, "1").tags == made.tags == {}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CorruptionError("packs/aa", "its digest is another one"), "ABORTED"),
        (StorageError("the store is away"), "TEMPORARILY_UNAVAILABLE"),
        (MlflowException("no", error_code=PERMISSION_DENIED), "PERMISSION_DENIED"),
        (KeyError("a bug"), "ABORTED"),
    ],
)
def test_taken_back(store: Any, name: str, error: Exception, code: str) -> None:
    """What cannot be committed is not registered; clients ask again only where that may help."""

    def fail(version: ModelVersion, store_uri: str) -> None:
        assert version.status == "READY"
        assert store_uri
        raise error

    store.commit = fail
    with pytest.raises(MlflowException, match="has no new version") as raised:
        store.create_model_version(name, "file:///a/model")

    assert raised.value.error_code == code
    assert list(store.search_model_versions(f"name = '{name}'")) == []


def test_not_even_taken_back(
    store: Any, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a failed registration cannot be taken back either, the log says what to do."""

    def fail(*_: object) -> None:
        raise StorageError("the store is away")

    store.commit = fail
    monkeypatch.setattr(type(store).__bases__[-1], "delete_model_version", fail)
    with pytest.raises(MlflowException, match="the store is away"):
        store.create_model_version(name, "file:///a/model")

    assert f"{name}/1 was registered, could neither" in caplog.text


# Tags.


def test_own_tags(store: Any, name: str, tracking: str) -> None:
    """A client cannot make, change or delete what a commit says; it may say it again."""
    theirs = _get_store(tracking)
    store.commit = lambda version, _: theirs.set_model_version_tag(
        version.name, version.version, ModelVersionTag(DIGEST, "b3:true")
    )
    made = store.create_model_version(name, "file:///a/model", tags=[FORGED])
    assert made.tags == {DIGEST: "b3:true"}

    for key in (DIGEST, "mlflow_vault.other", "MLflow_Vault.digest"):
        with pytest.raises(MlflowException, match="is set by it alone") as changing:
            store.set_model_version_tag(name, "1", ModelVersionTag(key, "b3:no"))
        with pytest.raises(MlflowException, match="is set by it alone") as deleting:
            store.delete_model_version_tag(name, "1", key)
        codes = {changing.value.error_code, deleting.value.error_code}
        assert codes == {"PERMISSION_DENIED"}
    store.set_model_version_tag(name, "1", ModelVersionTag(DIGEST, "b3:true"))

    assert store.get_model_version(name, "1").tags == {DIGEST: "b3:true"}


def test_other_tags(store: Any, name: str) -> None:
    """Tags of anybody else are set and deleted as ever."""
    store.create_model_version(name, "file:///a/model", tags=[ModelVersionTag("a", "1")])

    store.set_model_version_tag(name, "1", ModelVersionTag("b", "2"))
    store.delete_model_version_tag(name, "1", "a")

    assert store.get_model_version(name, "1").tags == {"b": "2"}


# Prompts.


def test_prompt(store: Any, committed: Any) -> None:
    """A prompt passes through untouched."""
    name = secrets.token_hex(8)
    store.create_prompt(name)

    made = store.create_prompt_version(name, "Say {{word}}")

    assert (made.template, committed) == ("Say {{word}}", [])


def test_no_prompt(store: Any, name: str, committed: Any) -> None:
    """A model that is called a prompt is committed all the same."""
    tags = [ModelVersionTag(IS_PROMPT_TAG_KEY, "true")]

    store.create_model_version(name, "vault-file:///a/model", tags=tags)

    assert committed


# How MLflow finds it.


def test_found(tracking: str, name: str) -> None:
    """MLflow makes our store for every spelling that is an entry point, and for clients, too."""
    assert name
    spelled = {point.name for point in entry_points(group="mlflow.model_registry_store")}

    store = _get_store(f"vault-{tracking}")

    assert type(store) is store_class(workspaces=False)
    assert _get_store(f"vault-{tracking}".replace("sqlite:", "sqlite+pysqlite:")).uri
    databases = ("sqlite", "postgresql", "mysql", "mssql")
    assert {f"vault-{database}" for database in databases} <= spelled


def test_secrets(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What says where a registry is says no password."""
    address = "postgresql+psycopg://me:pass-1@host:5/db?sslmode=require&password=pass-2"
    monkeypatch.setattr(store, "db_uri", address)

    shown = f"{store.uri} {store!r}"

    assert "pass-" not in shown
    assert store.uri == "vault-postgresql+psycopg://me:***@host:5/db?sslmode=require"


def test_workspaces() -> None:
    """With workspaces the store is the one that MLflow has for them."""
    kinds = {made: store_class(workspaces=made).__bases__[-1].__name__ for made in (False, True)}

    assert kinds == {False: "SqlAlchemyStore", True: "WorkspaceAwareSqlAlchemyStore"}
    assert store_class(workspaces=True).supports_workspaces is not None


def test_replica(tracking: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads go to a copy of the database if the server has one, and if it is of this database."""
    assert name
    known = "read_db_uri" in inspect.signature(store_class(workspaces=False)).parameters
    copy = tracking.replace("sqlite:///", "sqlite+pysqlite:///")
    monkeypatch.setenv("_MLFLOW_SERVER_READ_REPLICA_BACKEND_STORE", copy)
    seen = []
    for backend in (tracking, "sqlite:///another.db"):
        monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", backend)
        seen.append(getattr(open_store(f"vault-{tracking}"), "read_engine", None) is not None)

    assert seen == [known, False]


def test_hook() -> None:
    """Without another hook, a registry calls what commits."""
    assert registry_store.CommittingStore.commit is registry_store.commit_registered
