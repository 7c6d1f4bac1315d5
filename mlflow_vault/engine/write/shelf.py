"""What the files of one write share: what was asked for, where chunks go, what went there."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlflow_vault.format import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from mlflow_vault.engine.cache import Cache
    from mlflow_vault.engine.hints import Hints
    from mlflow_vault.engine.write.packer import Packer
    from mlflow_vault.engine.write.transaction import Transaction
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.rows import Row
    from mlflow_vault.store.protocol import Store


class Job:
    """One call of `Writer.write`: what it was given, when, and what it named in which folder."""

    def __init__(
        self, parents: Sequence[str], progress: Callable[[int], None], began: float
    ) -> None:
        self.parents = parents
        self.progress = progress
        self.began = began
        self.folders: dict[str, dict[str, tuple[str, int]]] = {}

    def add(self, path: str, size: int, etag: str) -> None:
        """Note that the file *path* was named; its entry has *etag* now."""
        folder = self.folders.setdefault(posixpath.dirname(path), {})
        folder[layout.tree_key(path)] = (etag, size)


@dataclass(frozen=True, slots=True)
class Shelf:
    """What the files of one transaction share: where chunks go, and those that went there."""

    store: Store
    pool: Executor
    readers: Executor
    transaction: Transaction
    packer: Packer
    hints: Hints
    near: bool
    cache: Cache | None
    cut_seed: int
    written: dict[Digest, tuple[Row, Sequence[Row]]] = field(default_factory=dict)

    def expect(self, buckets: Iterable[str]) -> None:
        """Begin to read the hints in *buckets* together, unless the store is quicker than that."""
        if not self.near:
            self.hints.expect(buckets, self.readers)
