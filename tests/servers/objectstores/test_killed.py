"""Eight processes write one vault on Ceph and are killed: everything that is listed is whole.

A killed process may have requests under way that the gateway still carries out, which no local
disk can show.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from mlflow_vault.errors import NotFoundError
from mlflow_vault.format import layout
from mlflow_vault.store.remote.s3 import S3Store
from mlflow_vault.testing.vaults import contents, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow_vault.store.address import Address

    Settings = Callable[[str], dict[str, str]]

WRITER: Final = Path(__file__).with_name("killed_writer.py")
WRITERS: Final = 8
WRITES: Final = 50
KILLS: Final = 40
PATIENCE: Final = 240.0  # seconds after which this is called a hang


def _loaded(path: Path) -> Any:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[path.stem] = module  # where its dataclasses look for their types
    spec.loader.exec_module(module)
    return module


script: Final = _loaded(WRITER)


@dataclass
class Writer:
    """One of the writers, in the process that it lives in at the moment."""

    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)
    begun: int = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def notes(self) -> list[list[str]]:
        """What it noted so far; the last line may be half a line only while it lives."""
        if not self.log.exists():
            return []
        return [line.split() for line in self.log.read_text().splitlines()]

    def start(self) -> None:
        """Start a new process that goes on."""
        self.begun = len(self.notes())
        with self.log.with_suffix(".errors").open("ab") as errors:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, stderr=errors
            )

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    @property
    def is_at_work(self) -> bool:
        """Whether this process has begun a write, so that a kill interrupts more than imports."""
        return self.is_running and len(self.notes()) > self.begun

    def kill(self) -> int | None:
        """Kill it; return the number of the write that this interrupted, if it did."""
        self.process.kill()
        self.process.wait()
        notes = self.notes()
        return int(notes[-1][1]) if notes and notes[-1][0] == "began" else None


@pytest.fixture
def environment(ceph: str, settings: Settings) -> dict[str, str]:
    """What a writer's process knows."""
    return settings(ceph) | {"PYTHONPATH": ":".join(filter(None, sys.path))}


@pytest.fixture
def start(
    address: Address, environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[[int], Writer]]:
    """Return what starts a writer; all that are left are killed in the end."""
    started: list[Writer] = []

    def one(number: int) -> Writer:
        words = [str(address), str(tmp_path), str(number), str(WRITES)]
        command = [sys.executable, str(WRITER), *words]
        started.append(Writer(command, environment, tmp_path / f"{number}.log"))
        return started[-1]

    yield one
    for writer in started:
        writer.kill()


@pytest.mark.parametrize("seed", [11])
def test_killed(
    ceph: str, address: Address, settings: Settings, start: Callable[[int], Writer], seed: int
) -> None:
    """Whoever dies at whichever moment, what is listed is whole, and what was done is there."""
    vault = Vault.init_at(S3Store(address, settings(ceph)))
    chance = random.Random(seed)  # noqa: S311 - no secret
    writers = [start(number) for number in range(WRITERS)]
    allowed = _allowed()

    interrupted, broken = _kill(writers, vault, chance, allowed)
    for writer in writers:
        writer.process.wait(PATIENCE)

    said = [writer.log.with_suffix(".errors").read_text() for writer in writers]
    assert [writer.process.returncode for writer in writers] == [0] * WRITERS, "".join(said)
    assert interrupted >= KILLS // 2, f"seed {seed}"
    held = contents(vault)
    broken += [path for path, body in held.items() if body not in allowed.get(path, ())]
    assert broken == [], f"seed {seed}"
    assert held.keys() == allowed.keys(), f"seed {seed}"
    assert _lost(writers, held) == [], f"seed {seed}"
    assert vault.verify().damaged == (), f"seed {seed}"
    assert list(vault.store.list(layout.INTENTS)), "no kill hit a transaction"
    write(vault, "after", b"all of this")
    assert read(vault, "after") == b"all of this"


def _allowed() -> dict[str, set[bytes]]:
    """Every content that some writer writes, by its path."""
    allowed: dict[str, set[bytes]] = {}
    for writer in range(WRITERS):
        for number in range(WRITES):
            for path, body in script.Write(writer, number).files().items():
                allowed.setdefault(f"{script.RUN}/{path}", set()).add(body)
    return allowed


def _kill(
    writers: list[Writer], vault: Vault, chance: random.Random, allowed: dict[str, set[bytes]]
) -> tuple[int, list[str]]:
    """Kill writers while they write, look at what they were at, and start them again.

    Returns:
        How many writes were interrupted, and the paths that were not whole.
    """
    interrupted, broken = 0, []
    killed, end = 0, time.monotonic() + PATIENCE
    while killed < KILLS and any(writer.is_running for writer in writers):
        assert time.monotonic() < end, "the writers hang"
        time.sleep(chance.uniform(0, 0.3))
        at_work = [writer for writer in writers if writer.is_at_work]
        if not at_work:
            continue
        victim = chance.choice(at_work)
        number = victim.kill()
        if number is not None:
            interrupted += 1
            # Before it is written again: what is listed of it now is what a crash leaves behind.
            broken += _broken(vault, script.Write(writers.index(victim), number), allowed)
        victim.start()
        killed += 1
    return interrupted, broken


def _broken(vault: Vault, write: Any, allowed: dict[str, set[bytes]]) -> list[str]:
    """Return which files of *write* are there, and neither it nor another write whole."""
    broken = []
    for path in (f"{script.RUN}/{name}" for name in write.files()):
        with suppress(NotFoundError):
            broken += [] if read(vault, path) in allowed[path] else [path]
    return broken


def _lost(writers: list[Writer], held: dict[str, bytes]) -> list[str]:
    """Return the paths that hold something older than what was done later.

    A write took place between when it last began and when it was done.  So what is held must be
    of a write such that no other one of that path began after it was done.
    """
    times: dict[str, list[tuple[float, float, bytes]]] = {}
    for number, writer in enumerate(writers):
        notes = [(what, int(n), float(when)) for what, n, when in writer.notes()]
        done = {n: when for what, n, when in notes if what == "done"}
        began: dict[int, list[float]] = {}
        for what, n, when in notes:
            if what == "began":
                began.setdefault(n, []).append(when)
        assert list(done) == list(range(WRITES))
        for n, ended in done.items():
            for path, body in script.Write(number, n).files().items():
                times.setdefault(f"{script.RUN}/{path}", []).append((began[n][-1], ended, body))
    lost = []
    for path, writes in times.items():
        latest = max(began for began, _, _ in writes)
        ends = [ended for _, ended, body in writes if body == held.get(path)]
        if not ends or max(ends) < latest:
            lost.append(path)
    return lost
