"""The files of a vault, with an audit log in which refusals are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from mlflow_vault.engine.files import Files
from mlflow_vault.format.log import Action
from mlflow_vault.govern.audit.refusals import Refusals
from mlflow_vault.govern.committing import user

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mlflow_vault.engine.world import World
    from mlflow_vault.format.record import Identity
    from mlflow_vault.govern.audit.audit import Audit
    from mlflow_vault.store.protocol import Store


class Guarded(Files):
    """The files of one vault; what a seal refuses is logged (`govern.audit.refusals`)."""

    _audit: Audit | None = None

    def __init__(self, store: Store, identity: Identity, world: World | None = None) -> None:
        super().__init__(store, identity, world)
        audit = partial(_audit, store, self._world, identity)
        self._refusals = Refusals(audit, self._seals, self._world.monotonic, user)

    @property
    def audit(self) -> Audit:
        """What was done, and by whom."""
        if self._audit is None:
            self._audit = _audit(self.store, self._world, self.identity)
        return self._audit

    def write_file(
        self,
        source: Path,
        path: str,
        *,
        parents: Sequence[str] = (),
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """As `Files.write_file`."""
        with self._refusals.logged(path):
            super().write_file(source, path, parents=parents, progress=progress)

    def write_folder(
        self, source: Path, path: str, *, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """As `Files.write_folder`."""
        with self._refusals.logged(path):
            super().write_folder(source, path, progress=progress)

    def write_stream(self, stream: BinaryIO, path: str, *, folder: Path | None = None) -> None:
        """As `Files.write_stream`."""
        with self._refusals.logged(path):
            super().write_stream(stream, path, folder=folder)

    def delete(self, path: str) -> tuple[str, ...]:
        """Remove everything at and below *path* but what is sealed.

        Returns:
            The sealed paths because of which something was kept.
        """
        kept = super().delete(path)
        for sealed in kept:
            self._refusals.note(Action.DELETE_REFUSED, sealed, path)
        return kept


def _audit(store: Store, world: World, identity: Identity) -> Audit:
    from mlflow_vault.govern.audit.audit import Audit  # noqa: PLC0415 - few writes are refused

    return Audit(store, world, identity)
