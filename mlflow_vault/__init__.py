"""MLflow artifacts that store less: the nameplate.

Importing this does nothing and takes a millisecond; a name is loaded when it is first used.

    import mlflow_vault

    vault = mlflow_vault.Vault.open("vault-file:///srv/models")
    print(vault.stats())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mlflow_vault.engine.tree import Item
    from mlflow_vault.engine.upkeep import Damage, Stats, Verification
    from mlflow_vault.errors import (
        ConflictError,
        CorruptionError,
        InvalidInputError,
        NotFoundError,
        PermissionDeniedError,
        SealedError,
        SourceChangedError,
        StorageError,
        UnsupportedError,
        VaultError,
    )
    from mlflow_vault.progress import progress_bar
    from mlflow_vault.vault import Vault

__all__ = [
    "ConflictError",
    "CorruptionError",
    "Damage",
    "InvalidInputError",
    "Item",
    "NotFoundError",
    "PermissionDeniedError",
    "SealedError",
    "SourceChangedError",
    "Stats",
    "StorageError",
    "UnsupportedError",
    "Vault",
    "VaultError",
    "Verification",
    "progress_bar",
]

_HOMES: Final = {
    "Vault": "mlflow_vault.vault",
    "Item": "mlflow_vault.engine.tree",
    "Damage": "mlflow_vault.engine.upkeep",
    "Stats": "mlflow_vault.engine.upkeep",
    "Verification": "mlflow_vault.engine.upkeep",
    "progress_bar": "mlflow_vault.progress",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mlflow_vault' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "mlflow_vault.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
