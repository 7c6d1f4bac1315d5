"""Does one operation on one vault in a process of its own, and says what it cost.

    python worker.py '{"operation": "log", "vault": "...", "path": "...", "files": "..."}'

Compiled loops and thread pools are warmed up on a vault in memory, which is not counted: they cost
the same whatever grows.  Opening the vault is counted, and so are its requests.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from mlflow_vault.engine.world import World
from mlflow_vault.store.address import Address
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.store.opening import open_store
from mlflow_vault.testing.stores import CountingStore
from mlflow_vault.vault import Vault


def perform(vault: Vault, operation: str, path: str, files: Path) -> int:
    """Do *operation*; return how many files or items it saw.

    Args:
        vault: Where.
        operation: ``log``, ``load`` or ``list``.
        path: What: an artifact path.
        files: The file or folder to log, or the folder to load to.
    """
    if operation == "log":
        if files.is_dir():
            vault.write_folder(files, path)
        else:
            vault.write_file(files, path)
        return 1
    if operation == "load":
        loaded = vault.export(path, files)
        assert loaded.is_whole
        return loaded.files
    assert operation == "list"
    return len(vault.list(path))


def warm_up() -> None:
    """Code, decode and list something, so that everything is imported and compiled."""
    vault = Vault.init_at(MemoryStore())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = np.random.default_rng(0).standard_normal(100_000, dtype=np.float32)
        for version in range(2):
            np.save(folder / "weights.npy", weights + np.float32(1e-4 * version))
            perform(vault, "log", "weights", folder / "weights.npy")
        perform(vault, "load", "weights", folder / "back")
        perform(vault, "list", "", folder)


def peak() -> int:
    """Return the most memory that this process held since `forget_peak`, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not say how much memory a process held")


def forget_peak() -> None:
    """Let `peak` begin anew, where the kernel can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main(text: str) -> dict[str, Any]:
    """Do what the job in *text* says; return what it cost."""
    job = json.loads(text)
    warm_up()
    address = Address.parse(job["vault"])
    store = CountingStore(open_store(address))
    forget_peak()
    before = peak()
    start, busy = time.perf_counter(), time.process_time()
    vault = Vault.at(store, World.around(address))
    seen = perform(vault, job["operation"], job["path"], Path(job["files"]))
    seconds, cpu = time.perf_counter() - start, time.process_time() - busy
    return {
        "seconds": seconds,
        "cpu": cpu,
        "memory": peak(),
        "before": before,
        "requests": store.total,
        "kinds": dict(store.counts),
        "seen": seen,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
