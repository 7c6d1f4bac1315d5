"""A vault in memory, a registry in memory, and models in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.govern.host import Held
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.registry import Registry
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.store.protocol import Store

    Attach = Callable[[Store], Vault]
    Log = Callable[..., str]


@pytest.fixture
def registry() -> Registry:
    """A registry without models."""
    return Registry()


@pytest.fixture
def attach(registry: Registry) -> Attach:
    """Open the vault in a store, with that registry."""

    def attached(store: Store) -> Vault:
        made = Vault.init_at(store)
        return Vault(store, made.identity, host=lambda: registry)

    return attached


@pytest.fixture
def vault(attach: Attach) -> Vault:
    """An empty vault."""
    return attach(MemoryStore("models"))


@pytest.fixture
def log(vault: Vault, registry: Registry) -> Log:
    """Log the files of a model; return its reference."""

    def logged(number: int, files: dict[str, bytes]) -> str:
        model = f"m-{number:032x}"
        for path, plain in files.items():
            write(vault, f"1/models/{model}/artifacts/{path}", plain)
        location = f"{vault.uri}/1/models/{model}/artifacts"
        uri = f"models:/{model}"
        run = f"{number:032x}"
        registry.known[uri] = Held(uri, location, model_id=model, run_id=run, experiment_id="1")
        return uri

    return logged
