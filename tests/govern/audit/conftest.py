"""A log in memory, a clock that goes on by a second a time, and keys."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from mlflow_vault.engine.world import World
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action, Actor, Subject
from mlflow_vault.format.record import Identity
from mlflow_vault.govern.audit.checkpoints import Checkpoints
from mlflow_vault.govern.audit.keys import Signer
from mlflow_vault.govern.audit.log import Log
from mlflow_vault.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.format.log import LogEntry
    from mlflow_vault.store.protocol import Store

    Open = Callable[[Store], Log]
    Append = Callable[..., LogEntry]

START = 1_764_000_000


@pytest.fixture(scope="session")
def identity() -> Identity:
    """What the vault is."""
    return Identity(id="6e02" * 8)


@pytest.fixture
def open_log(identity: Identity) -> Open:
    """Open the log in a store, as a new process would."""
    clock = count(START)
    return lambda store: Log(store, World(os.urandom, lambda: float(next(clock))), identity)


@pytest.fixture
def log(open_log: Open) -> Log:
    """An empty log."""
    return open_log(MemoryStore("log"))


@pytest.fixture
def append() -> Append:
    """Append a commit by ann, or what else is told."""

    def appended(log: Log, number: int = 1, **told: Any) -> LogEntry:
        subject = Subject("version", "fraud", Digest.of(str(number).encode()))
        return log.append(
            told.pop("action", Action.COMMIT),
            told.pop("actor", Actor("ann", verified=True)),
            told.pop("subject", subject),
            **{"after": {"number": number}} | told,
        )

    return appended


@pytest.fixture(scope="session")
def signer() -> Signer:
    """A key."""
    return Signer.generate("audit.example.com")


@pytest.fixture
def checkpoints(log: Log) -> Checkpoints:
    """The checkpoints over the log."""
    return Checkpoints(log)
