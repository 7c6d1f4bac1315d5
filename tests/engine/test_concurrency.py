"""Many threads and processes use one vault, some die, and every file stays whole."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from mlflow_vault.engine.world import World
from mlflow_vault.errors import CorruptionError, NotFoundError
from mlflow_vault.format import layout
from mlflow_vault.store.local import LocalStore
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.stores import FaultyStore
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

RACING: Final = Path(__file__).with_name("racing.py")
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - files in memory, where there are such
THREADS: Final = 8
LARGE: Final = 300_000  # bytes: more than an entry holds


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose syncs cost little: a killed process leaves the same behind on any disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(params=["memory", "local"])
def vault(request: pytest.FixtureRequest, folder: Path) -> Vault:
    """A vault in a store of each kind."""
    local = request.param == "local"
    return Vault.init_at(LocalStore(folder / "vault") if local else MemoryStore())


def race(scenario: str, folder: Path, *arguments: object) -> dict[str, Any]:
    """Run a scenario of `racing` in a process of its own and return what happened."""
    command = [sys.executable, str(RACING), scenario, f"vault-file://{folder}/vault"]
    ended = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    happened: dict[str, Any] = json.loads(ended.stdout)
    return happened


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_first_makers(folder: Path, method: str) -> None:
    """Of many processes that make a vault at one place one wins, and all open what it made."""
    happened = race("make", folder, method)

    assert happened["failed"] == []
    assert happened["made"] == [Vault.open(f"vault-file://{folder}/vault").identity.id]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes(folder: Path, method: str) -> None:
    """Eight processes write one run: the same and other paths, small, large and as deltas."""
    happened = race("race", folder, method)

    assert happened == {"files": 33, "broken": [], "lost": [], "damaged": [], "failed": []}


def test_fork(folder: Path) -> None:
    """A vault that threads are using works in a child that is forked at any moment."""
    happened = race("fork", folder)

    assert happened == {"failed": []}


def test_kill(folder: Path) -> None:
    """Eight processes, fifty writes each, killed at random: every artifact listed is whole."""
    happened = race("kill", folder, 25, 7)

    assert happened.pop("killed") >= 8
    assert happened == {
        "files": 34,
        "broken": [],  # nothing but what someone wrote to that path
        "lost": [],  # the last write to a path that only one process writes is what it holds
        "damaged": [],
        "unread": [],  # whole at every moment between, too
        "failed": [],
        "next": True,
    }


def noise(*seed: int) -> bytes:
    """Bytes that name who made them, too many and too random for an entry."""
    return bytes(seed).ljust(8) + np.random.default_rng(seed).bytes(LARGE)


def test_threads(vault: Vault, tmp_path: Path) -> None:
    """Threads write the same and other paths through one vault: each path holds one whole write."""
    allowed: dict[str, list[bytes]] = {}
    jobs: list[tuple[Path, str]] = []
    for thread in range(THREADS):
        for number in range(6):
            for path in (f"7/run/artifacts/{number % 2}", f"7/run/artifacts/{thread}/{number}"):
                body = noise(thread, number) if number % 3 else bytes([thread, number])
                source = tmp_path / f"{thread}-{number}"
                source.write_bytes(body)
                allowed.setdefault(path, []).append(body)
                jobs.append((source, path))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda job: vault.write_file(*job), jobs))

    held = {path: b"".join(vault.iter_file(path)) for path in vault.walk()}
    assert held.keys() == allowed.keys()
    assert [path for path in held if held[path] not in allowed[path]] == []


def test_readers(vault: Vault, tmp_path: Path) -> None:
    """Who reads what is overwritten at this moment gets one of the writes, whole."""
    bodies = [noise(number) if number % 2 else bytes([number]) * 1000 for number in range(6)]
    sources = [tmp_path / f"{number}" for number in range(6)]
    for source, body in zip(sources, bodies, strict=True):
        source.write_bytes(body)
    vault.write_file(sources[0], "7/run/artifacts/a")
    done = threading.Event()

    def read_on() -> set[bool]:
        found = set()
        while not done.is_set():
            found.add(b"".join(vault.iter_file("7/run/artifacts/a")) in bodies)
        return found

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read_on) for _ in range(2)]
        try:
            for source in sources * 8:
                vault.write_file(source, "7/run/artifacts/a")
        finally:
            done.set()

    assert [reader.result() for reader in readers] == [{True}, {True}]


def large_file(vault: Vault, tmp_path: Path, seed: int) -> bytes:
    """Write 70 MB to ``7/run/artifacts/a``: more than a reader holds; the second MiB is its own."""
    block = np.random.default_rng(1).bytes(1 << 20)
    body = block + np.random.default_rng(seed).bytes(1 << 20) + block * 68
    (tmp_path / "large").write_bytes(body)
    vault.write_file(tmp_path / "large", "7/run/artifacts/a")
    return body


@pytest.mark.parametrize("gone", [False, True], ids=["replaced", "deleted"])
def test_while_reading(vault: Vault, tmp_path: Path, *, gone: bool) -> None:
    """Who has begun to read a file gets that file, though it is replaced or deleted meanwhile."""
    body = large_file(vault, tmp_path, 2)
    pieces = vault.iter_file("7/run/artifacts/a")
    first = next(pieces)

    if gone:
        vault.delete("7/run/artifacts/a")
    else:
        large_file(vault, tmp_path, 3)

    assert first + b"".join(pieces) == body


def test_collected_while_reading(vault: Vault, tmp_path: Path) -> None:
    """A file that was deleted and whose packs are gone is not there, rather than damaged."""
    large_file(vault, tmp_path, 2)
    pieces = vault.iter_file("7/run/artifacts/a")
    next(pieces)
    entry = vault._reader.entry("7/run/artifacts/a")

    vault.delete("7/run/artifacts/a")
    for pack in entry.packs:
        vault.store.delete(layout.pack_key(pack))

    with pytest.raises(NotFoundError):
        b"".join(pieces)


def test_lost_pack(vault: Vault, tmp_path: Path) -> None:
    """A pack that is gone while its entry stands is damage, and nothing is given out."""
    large_file(vault, tmp_path, 2)
    for pack in vault._reader.entry("7/run/artifacts/a").packs:
        vault.store.delete(layout.pack_key(pack))

    with pytest.raises(CorruptionError):
        vault.read_file("7/run/artifacts/a", tmp_path / "back")

    assert not (tmp_path / "back").exists()


def test_sign_of_life(tmp_path: Path) -> None:
    """A write that takes long puts its intent again, though nothing of it is new: it lives."""
    clock = itertools.count(step=10)  # seconds: each look finds it ten later
    logged = FaultyStore(MemoryStore())
    vault = Vault.init_at(logged, World(monotonic=lambda: float(next(clock))))
    large_file(vault, tmp_path, 2)
    logged.log.clear()

    vault.write_file(tmp_path / "large", "7/run/artifacts/again")

    signs = [operation.name for operation in logged.log if operation.key.startswith(layout.INTENTS)]
    assert len(signs) > 3
    assert signs == ["put"] * (len(signs) - 1) + ["delete"]
    packs = [operation.name for operation in logged.log if operation.key.startswith(layout.PACKS)]
    assert set(packs) == {"stat"}
