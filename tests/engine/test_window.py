"""Bases are fetched while other chunks are coded, and cost no byte more for that."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from mlflow_vault.format import layout
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise, npy, trained, weights
from mlflow_vault.testing.stores import SlowStore
from mlflow_vault.testing.vaults import pack_bytes, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_vault.store.protocol import Store

FIRST, SECOND = "7/a/artifacts/model.npy", "7/b/artifacts/model.npy"
NUMBERS = 6 << 20  # 24 MiB: a window and a half


class _Fetching(SlowStore):
    """Counts how often each byte of a pack is asked for, by the thousand.

    Attributes:
        asked: How often, by key and thousand.
        enough: Set once more than three quarters of *size* bytes were asked for.
    """

    def __init__(self, inner: Store, size: int) -> None:
        super().__init__(inner, lambda: None)
        self.asked: Counter[tuple[str, int]] = Counter()
        self.enough = threading.Event()
        self._size = size
        self._lock = threading.Lock()

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        body = super().get(key, start, stop)
        if key.startswith(layout.PACKS):
            with self._lock:
                whole = range(-(-start // 1000), (start + len(body)) // 1000)
                self.asked.update((key, thousand) for thousand in whole)
                if 1000 * self.asked.total() > 0.75 * self._size:
                    self.enough.set()
        return body


def test_ahead(tmp_path: Path) -> None:
    """When the first window is done, the bases of the second were asked for; all of them once."""
    store = MemoryStore()
    first = weights(0, NUMBERS)
    write(Vault.init_at(store), FIRST, npy(first))
    fetching = _Fetching(store, pack_bytes(store))
    file = tmp_path / "model.npy"
    file.write_bytes(npy(trained(first, 1)))
    waited: list[bool] = []

    def on_first(_: int) -> None:
        if not waited:
            waited.append(fetching.enough.wait(timeout=60))

    Vault.at(fetching).write_file(file, SECOND, progress=on_first)

    assert waited == [True]
    assert set(fetching.asked.values()) == {1}
    assert read(Vault.at(store), SECOND) == file.read_bytes()


def test_repeated_windows() -> None:
    """What the window before holds is named again, though that was being coded meanwhile."""
    store = MemoryStore()
    vault = Vault.init_at(store)
    once = noise(1, 12 << 20)

    write(vault, FIRST, once * 3)

    assert len(once) < pack_bytes(store) < 1.3 * len(once)
    assert read(vault, FIRST) == once * 3
