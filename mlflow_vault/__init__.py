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
        DeniedError,
        InvalidInputError,
        NotFoundError,
        PermissionDeniedError,
        SealedError,
        SourceChangedError,
        StorageError,
        UnsupportedError,
        UntrustedError,
        VaultError,
        WaitingError,
    )
    from mlflow_vault.fluent import (
        Vault,
        approve,
        archive,
        checkout,
        commit,
        diff,
        evidence,
        impact,
        lineage,
        load_model,
        origin,
        promote,
        reject,
        rollback,
        search_versions,
        sign,
        status,
        sync,
        timeline,
        version,
        versions,
    )
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.bundle.verifying import verify_bundle
    from mlflow_vault.govern.release.approving.approver_key import ApproverKey
    from mlflow_vault.govern.release.telling.promotion import Promotion
    from mlflow_vault.govern.signing.keys import Key
    from mlflow_vault.govern.signing.trust import Trust
    from mlflow_vault.govern.syncing import Sync
    from mlflow_vault.plugin.capturing.autolog import autolog
    from mlflow_vault.plugin.capturing.datasets import full_digest, log_input
    from mlflow_vault.progress import progress_bar

__all__ = [
    "ApproverKey",
    "ConflictError",
    "CorruptionError",
    "Damage",
    "DeniedError",
    "InvalidInputError",
    "Item",
    "Key",
    "NotFoundError",
    "PermissionDeniedError",
    "Promotion",
    "SealedError",
    "SourceChangedError",
    "Stats",
    "StorageError",
    "Sync",
    "Trust",
    "UnsupportedError",
    "UntrustedError",
    "Vault",
    "VaultError",
    "Verification",
    "Version",
    "WaitingError",
    "approve",
    "archive",
    "autolog",
    "checkout",
    "commit",
    "diff",
    "evidence",
    "full_digest",
    "impact",
    "lineage",
    "load_model",
    "log_input",
    "origin",
    "progress_bar",
    "promote",
    "reject",
    "rollback",
    "search_versions",
    "sign",
    "status",
    "sync",
    "timeline",
    "verify_bundle",
    "version",
    "versions",
]

_HOMES: Final = {
    "Vault": "mlflow_vault.fluent",
    "checkout": "mlflow_vault.fluent",
    "commit": "mlflow_vault.fluent",
    "diff": "mlflow_vault.fluent",
    "impact": "mlflow_vault.fluent",
    "lineage": "mlflow_vault.fluent",
    "load_model": "mlflow_vault.fluent",
    "autolog": "mlflow_vault.plugin.capturing.autolog",
    "log_input": "mlflow_vault.plugin.capturing.datasets",
    "full_digest": "mlflow_vault.plugin.capturing.datasets",
    "origin": "mlflow_vault.fluent",
    "search_versions": "mlflow_vault.fluent",
    "sign": "mlflow_vault.fluent",
    "sync": "mlflow_vault.fluent",
    "timeline": "mlflow_vault.fluent",
    "version": "mlflow_vault.fluent",
    "versions": "mlflow_vault.fluent",
    "verify_bundle": "mlflow_vault.govern.bundle.verifying",
    "Sync": "mlflow_vault.govern.syncing",
    "Version": "mlflow_vault.format.version",
    "Item": "mlflow_vault.engine.tree",
    "Damage": "mlflow_vault.engine.upkeep",
    "Stats": "mlflow_vault.engine.upkeep",
    "Verification": "mlflow_vault.engine.upkeep",
    "progress_bar": "mlflow_vault.progress",
    **dict.fromkeys(
        ("approve", "archive", "evidence", "promote", "reject", "rollback", "status"),
        "mlflow_vault.fluent",
    ),
    "Promotion": "mlflow_vault.govern.release.telling.promotion",
    "ApproverKey": "mlflow_vault.govern.release.approving.approver_key",
    "Key": "mlflow_vault.govern.signing.keys",
    "Trust": "mlflow_vault.govern.signing.trust",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mlflow_vault' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "mlflow_vault.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
