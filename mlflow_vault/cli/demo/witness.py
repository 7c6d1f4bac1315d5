"""The same files twice: to the vault, and to MLflow's own repository of plain files.

A model logged twice is two different models: MLflow writes a new id and a time into it, and
skops names members by memory address.  So what MLflow hands over is kept in both at once, and
can be compared byte for byte.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from mlflow.store.artifact.artifact_repository_registry import (
    get_registered_artifact_repositories,
)
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from mlflow_vault.store.address import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEME: Final = "vault-file"


@contextmanager
def witnessed(vault: Path, plain: Path) -> Iterator[None]:
    """Let all that goes to the vault in the folder *vault* go to *plain* too."""
    repositories: dict[str, Any] = get_registered_artifact_repositories()
    registered: Any = repositories[_SCHEME]  # by our entry point

    class Witness(registered):  # type: ignore[misc]  # its class is known to MLflow only
        """A vault's repository, and beside it MLflow's own."""

        def __init__(
            self,
            artifact_uri: str,
            tracking_uri: str | None = None,
            registry_uri: str | None = None,
        ) -> None:
            super().__init__(artifact_uri, tracking_uri, registry_uri)
            inside = Address.parse(artifact_uri).path.removeprefix(str(vault)).strip("/")
            self._plain = LocalArtifactRepository(str(plain / inside))

        def log_artifact(self, local_file: str | Path, artifact_path: str | None = None) -> None:
            """Log to both."""
            self._plain.log_artifact(local_file, artifact_path)
            super().log_artifact(local_file, artifact_path)

        def log_artifacts(self, local_dir: str | Path, artifact_path: str | None = None) -> None:
            """Log to both."""
            self._plain.log_artifacts(local_dir, artifact_path)
            super().log_artifacts(local_dir, artifact_path)

    repositories[_SCHEME] = Witness
    try:
        yield
    finally:
        repositories[_SCHEME] = registered
