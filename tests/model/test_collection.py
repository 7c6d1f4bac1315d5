"""Lock-free collection loses nothing, whatever the order; and each clause of it is needed.

A model checker runs the protocol in every order.  Left out one by one, every clause lets it find
a loss: so each stands for a reason, and the checker can find one.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from mlflow_vault.format import layout
from mlflow_vault.format.record import Outcome
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.clauses import Clause
from mlflow_vault.testing.collection import ABORTED, Protocol, delete, is_broken
from mlflow_vault.testing.interleavings import Exploration, explore
from mlflow_vault.testing.stores import FaultyStore
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from pathlib import Path

    from mlflow_vault.testing.interleavings import Program

A: Final = "tree/a"
B: Final = "tree/b"
VERSION: Final = "versions/v"
START: Final[dict[str, Hashable]] = {A: ("old", frozenset({"p"})), "packs/p": "content"}


def scenario(name: str, protocol: Protocol) -> dict[str, Program]:
    """Who runs at once."""
    copies = {"w": protocol.writer("w", B, A)}
    adds = {"w": protocol.writer("w", B, A, adds=True)}
    remembers = {"w": protocol.writer("w", B, remembered=frozenset("p"))}
    makes_version = {"v": protocol.version(A, VERSION)}
    deletes = {"d": delete(A)}
    collects = {"c": protocol.collector("c")}
    helps = {"h": protocol.helper()}
    return {
        "copy": {**copies, **deletes, **collects},
        "add": {**adds, **deletes, **collects},
        "remember": {**remembers, **deletes, **collects},
        "copy and help": {**copies, **deletes, **collects, **helps},
        "remember and help": {**remembers, **deletes, **collects, **helps},
        "new": {"w": protocol.writer("w", B), **collects},
        "version": {**makes_version, **deletes, **collects},
        "version and overwrite": {**makes_version, "w": protocol.writer("w", A), **collects},
        "version and restore": {
            **makes_version,
            "w": protocol.writer("w", A, VERSION),
            "d": delete(VERSION),
            **collects,
        },
        "read": {
            "r": protocol.reader(A),
            "w": protocol.writer("w", A),
            **deletes,
            **collects,
        },
        "two writers": {**copies, "x": protocol.writer("x", A, B), **deletes, **collects},
        "two collectors": {**copies, **deletes, **collects, "e": protocol.collector("e")},
        "three writers": {
            **adds,
            "x": protocol.writer("x", A, B),
            "y": protocol.writer("y", B),
            **collects,
        },
    }[name]


def check(name: str, protocol: Protocol) -> Exploration:
    """Run a scenario in every order."""
    return explore(scenario(name, protocol), START, is_broken)


@pytest.mark.parametrize(
    "name",
    [
        "copy",
        "add",
        "remember",
        "copy and help",
        "remember and help",
        "new",
        "version",
        "version and overwrite",
        "version and restore",
        "read",
        "two writers",
    ],
)
def test_nothing_is_lost(name: str) -> None:
    """No entry or version ever names a missing pack, though responses are lost and reads fail."""
    assert check(name, Protocol()).trace is None


@pytest.mark.parametrize("name", ["two collectors", "three writers"])
def test_nothing_is_lost_by_many(name: str) -> None:
    """Nor with more processes, where listings are snapshots and nothing else goes wrong."""
    assert check(name, Protocol(lucky=True)).trace is None


# Where leaving it out loses something, if that takes more than a copy, a delete and a collector.
WHERE: Final = {
    Clause.LOOK: "remember",
    Clause.VERSIONS_ARE_WRITTEN: "version",
    Clause.MARK_VERSIONS: "version",
    Clause.SWEEP_CREATED: "copy and help",
    Clause.RETRACT_LAST: "remember",
    Clause.PACK_BY_PACK: "new",
    Clause.CANCEL_FIRST: "copy and help",
    Clause.FINISH: "remember and help",
    Clause.OUTCOME_STAYS: "copy and help",
    Clause.TOMBSTONE: "copy and help",
    Clause.READ_AGAIN: "read",
}


@pytest.mark.parametrize("clause", Clause, ids=lambda clause: clause.name)
def test_every_clause_is_needed(clause: Clause) -> None:
    """Without any one clause there is an order in which something is lost."""
    trace = check(WHERE.get(clause, "copy"), Protocol(clause)).trace

    assert trace is not None


def test_collection_collects() -> None:
    """What nothing names is deleted in some order, and a pack that is named in none."""
    ends = check("copy", Protocol()).ends

    assert any("packs/p" not in end for end in ends)
    assert any(B in end and "packs/w0" in end and "packs/p" not in end for end in ends)
    assert any(B in end and "packs/p" in end and "notices/c" not in end for end in ends)


class AbortingStore(MemoryStore):
    """A store in which a collector aborts the next transaction at the last moment."""

    aborts = False

    def create(self, key: str, body: bytes | bytearray | memoryview) -> str:
        """Create *key*, unless the collector was first."""
        if self.aborts and key.startswith(layout.OUTCOMES):
            self.aborts = False
            outcome = Outcome(key.removeprefix(layout.OUTCOMES), "collector", committed=False)
            super().create(key, outcome.to_bytes())
        return super().create(key, body)


@pytest.mark.parametrize("aborts", [False, True], ids=["committed", "aborted"])
@pytest.mark.parametrize("kind", ["new", "known", "changed"])
def test_writer_is_the_engine(tmp_path: Path, kind: str, *, aborts: bool) -> None:
    """The model's writer asks for what the engine's writer asks for, in that order."""
    source = tmp_path / "weights.npy"
    weights = np.random.default_rng(1).standard_normal(100_000)
    np.save(source, weights)
    inner = AbortingStore()
    store = FaultyStore(inner)
    vault = Vault.init_at(store)
    if kind != "new":
        vault.write_file(source, f"7/{'a' * 32}/artifacts/weights.npy")
    if kind == "changed":
        np.save(source, weights * 1.0001)
    store.log.clear()
    inner.aborts = aborts

    vault.write_file(source, f"7/{'b' * 32}/artifacts/weights.npy")

    sources = [] if kind == "new" else [A]
    writer = Protocol().writer("w", B, *sources, adds=kind == "changed")
    start = {**START, "outcomes/w0": ABORTED} if aborts else START
    last = f"intents/w{int(aborts)}"
    alone = explore({"w": writer}, start, lambda now: B in now and last not in now).trace
    assert alone is not None
    model = [(step.request.name, step.request.key) for step in alone]
    engine = [(operation.name, operation.key) for operation in store.log]
    assert _told(model) == _told(engine[engine.index(_first_intent(engine)) :])


# The engine also looks whether a pack that it reuses is there.  The protocol holds without that.
SILENT: Final = [("choose", ""), ("get", "packs"), ("stat", "packs")]


def _first_intent(requests: list[tuple[str, str]]) -> tuple[str, str]:
    return next(request for request in requests if request[1].startswith(layout.INTENTS))


def _told(requests: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What *requests* do to which folder: a listing's pages as one, no hints, no reads of packs."""
    listing = {"next": "list", "all": "list"}
    told = [(listing.get(name, name), key.partition("/")[0]) for name, key in requests]
    told = [one for one in told if "hints" not in one and one not in SILENT]
    return [one for one, _ in itertools.groupby(told)]
