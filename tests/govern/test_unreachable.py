"""Where MLflow cannot be reached, what the vault knows is still there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlflow_vault import fluent
from mlflow_vault.errors import InvalidInputError, NotFoundError, StorageError
from mlflow_vault.govern import host
from mlflow_vault.govern.host import Held
from mlflow_vault.testing.registry import Registry
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Log = Callable[..., str]


class Unreachable(Registry):
    """A registry that answers nothing."""

    def resolve(self, reference: str) -> Held:
        """Fail."""
        raise StorageError(f"asked for {reference}: connection refused")

    def registered(self, name: str = "") -> Iterator[Held]:
        """Fail when it is asked."""
        yield self.resolve(name)

    def default_location(self) -> str:
        """Fail."""
        raise StorageError("connection refused")


@pytest.fixture
def alone(vault: Vault, registry: Registry, log: Log) -> Vault:
    """A vault with two versions, whose MLflow went away."""
    for number in (1, 2):
        uri = log(number, {"MLmodel": b"%d" % number})
        registry.told[registry.known[uri].location] = {"metrics": {"f1": number / 10}}
        vault.commit(uri, name="fraud")
    return Vault(vault.store, vault.identity, host=Unreachable)


def test_what_needs_no_mlflow(alone: Vault, tmp_path: Path) -> None:
    """Versions are found by number and digest, listed, compared, verified and checked out."""
    first = alone.version("fraud/1")

    assert alone.version(str(first.digest)) == first
    assert len(alone.versions("fraud")) == 2
    assert "metrics.f1" in str(alone.diff("fraud/1", "fraud/2"))
    assert alone.verify("models:/fraud/1").is_whole
    assert alone.checkout("fraud/1", tmp_path / "out") == first


def test_logged_models(alone: Vault, caplog: pytest.LogCaptureFixture) -> None:
    """A logged model is found by what was told of it; an alias is MLflow's alone."""
    first = alone.version("fraud/1")

    assert alone.version(f"models:/{first.origin.model_id}") == first
    assert "connection refused" in caplog.text
    with pytest.raises(StorageError, match="connection refused"):
        alone.version("fraud@prod")


def test_search(alone: Vault, caplog: pytest.LogCaptureFixture) -> None:
    """A search finds what the vault holds, and warns."""
    found = alone.search_versions("metrics.f1 > 0.15")

    assert [row["label"] for row in found.rows()] == ["fraud/2"]
    assert "connection refused" in caplog.text


def test_lineage(alone: Vault, caplog: pytest.LogCaptureFixture) -> None:
    """Lineage, origin, impact and timeline tell what records tell, and warn."""
    assert "fraud/1" in alone.lineage("fraud/1").to_dot()
    assert alone.origin("fraud/2").node.label == "fraud/2"
    assert alone.timeline("fraud")
    assert "connection refused" in caplog.text
    with pytest.raises(NotFoundError, match="'transactions'"):
        alone.impact("transactions")


def test_ambiguous_number(vault: Vault, registry: Registry, log: Log) -> None:
    """A number that was given twice is told as ambiguous, not as MLflow's failure."""
    vault.commit(log(1, {"MLmodel": b"1"}), name="fraud")
    registry.forget("fraud")
    vault.commit(log(2, {"MLmodel": b"2"}), name="fraud")
    alone = Vault(vault.store, vault.identity, host=Unreachable)

    with pytest.raises(InvalidInputError, match="ambiguous"):
        alone.version("fraud/1")


def test_one_that_is_not_told(vault: Vault, log: Log) -> None:
    """A model elsewhere of which MLflow tells nothing costs its own causes, not the lineage."""

    class Silent(Registry):
        def facts(self, held: Held, artifact: Callable[[str], bytes | None]) -> dict[str, Any]:
            assert artifact("MLmodel") is None
            raise NotFoundError(f"no run of {held.uri}")

    vault.commit(log(1, {"MLmodel": b"1"}), name="fraud")
    silent = Silent()
    silent.register("elsewhere", Held("s3://b/x", "s3://b/x"))

    graph = Vault(vault.store, vault.identity, host=lambda: silent).lineage()

    assert {"fraud/1", "elsewhere/1"} <= {node.label for node in graph.nodes}


def test_which_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without MLflow the vault must be named, and that is said."""
    vault = Vault.init("vault-memory://unreachable")
    write(vault, "1/run/artifacts/x", b"x")
    monkeypatch.setattr(host, "_makers", [Unreachable])
    monkeypatch.delenv(fluent.VARIABLE, raising=False)

    with pytest.raises(StorageError, match=r"connection refused.*Set MLFLOW_VAULT_URI"):
        fluent.versions("fraud")
    monkeypatch.setenv(fluent.VARIABLE, vault.uri)
    assert fluent.versions("fraud") == ()


def test_which_vault_of_what_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks like no reference may be the name of a run or a dataset in MLflow's vault."""

    class Strict(Registry):
        def resolve(self, reference: str) -> Held:
            raise InvalidInputError(f"{reference} is no reference")

        def default_location(self) -> str:
            return "vault-memory://strict/0"

    vault = Vault.init("vault-memory://strict")
    monkeypatch.setattr(host, "_makers", [Strict])
    monkeypatch.delenv(fluent.VARIABLE, raising=False)

    assert fluent.vault_of("path/to/set.csv").uri == vault.uri
