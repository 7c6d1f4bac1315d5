"""A transaction's requests come in the order that keeps collection safe, whatever happens.

The order is written in `engine.write.transaction`; these tests look at what a store was asked.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.engine.world import World
from mlflow_vault.engine.write.transaction import Transaction
from mlflow_vault.errors import CorruptionError, StorageError
from mlflow_vault.format import layout
from mlflow_vault.format.record import Kind, Outcome, frame_json
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise, safetensors, trained, weights
from mlflow_vault.testing.stores import Fault, FaultKind, FaultyStore
from mlflow_vault.testing.vaults import contents, entries, entry_of, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_vault.store.protocol import Store
    from mlflow_vault.testing.stores import Operation

BASE = safetensors({"w": weights(0, 100_000)})
DELTA = safetensors({"w": trained(weights(0, 100_000), 1)})
FIRST, SECOND = "1/artifacts/w.safetensors", "2/artifacts/w.safetensors"
INTENT, OUTCOME = layout.INTENTS, layout.OUTCOMES


def _vault(store: Store) -> Vault:
    """A vault in *store* that holds the base."""
    vault = Vault.init_at(store)
    write(vault, FIRST, BASE)
    return vault


def _places(log: list[Operation], name: str, prefix: str) -> list[int]:
    return [at for at, each in enumerate(log) if each.name == name and each.key.startswith(prefix)]


@pytest.mark.parametrize("plain", [DELTA, BASE, noise(1, 400_000)], ids=["delta", "known", "new"])
def test_order(plain: bytes) -> None:
    """Intent, notices, what may be reused, packs, outcome, entry; then hints, intent away."""
    store = FaultyStore(MemoryStore())
    vault = _vault(store)
    begun = len(store.log)

    write(vault, SECOND, plain)

    log = store.log[begun:]
    (intent,) = _places(log, "put", INTENT)
    notices = [at for at in _places(log, "list", layout.NOTICES) if at > intent]
    (outcome,) = _places(log, "create", OUTCOME)
    (named,) = _places(log, "put", layout.TREE)
    (gone,) = _places(log, "delete", INTENT)
    before = _places(log, "get", layout.TREE) + _places(log, "get", layout.PACKS)
    before += _places(log, "put", layout.PACKS)
    hints = _places(log, "put", layout.HINTS)
    assert len(notices) == 1
    assert intent < notices[0] < min([*before, outcome])
    assert max([*before, notices[0]]) < outcome < named < min([*hints, gone])


def test_outcome_lists_packs(tmp_path: Path) -> None:
    """The outcome lists every pack its entries name: new ones, reused ones, those of bases."""
    store = MemoryStore()
    vault = _vault(store)
    (base,) = entry_of(store, FIRST).packs
    for name, plain in {"delta": DELTA, "known": BASE, "new": noise(2, 400_000)}.items():
        (tmp_path / name).write_bytes(plain)

    vault.write_folder(tmp_path, "2/artifacts")

    together = [entry_of(store, f"2/artifacts/{name}") for name in ("delta", "known", "new")]
    (transaction,) = {entry.transaction for entry in together}
    outcome = Outcome.from_bytes(store.get(OUTCOME + transaction), "")
    assert outcome.committed
    assert outcome.transaction == transaction
    assert set(outcome.packs) == frozenset[bytes]().union(*(entry.packs for entry in together))
    assert base in outcome.packs
    assert len(outcome.packs) == 2


def test_outcome_lists_packs_of_bases() -> None:
    """A pack that only a base lies in is listed too, or a collector would take the base away."""
    store = MemoryStore()
    vault = _vault(store)
    (base,) = entry_of(store, FIRST).packs

    write(vault, SECOND, safetensors({"w": trained(weights(0, 100_000), 1), "new": weights(1, 9)}))

    entry = entry_of(store, SECOND)
    assert base not in {entry.rows[index].pack for index in entry.sequence}
    key = OUTCOME + entry.transaction
    assert base in Outcome.from_bytes(store.get(key), key).packs


def test_names_come_last(tmp_path: Path) -> None:
    """In a folder the small files, which describe a model, are named after its weights."""
    store = FaultyStore(MemoryStore())
    vault = Vault.init_at(store)
    (tmp_path / "MLmodel").write_bytes(b"flavors")
    (tmp_path / "weights").write_bytes(noise(2, 400_000))

    vault.write_folder(tmp_path, "m")

    written = [each.key for each in store.log if each.name in {"put", "create"}]
    named = [key for key in written if key.startswith("tree/")]
    assert named == [layout.tree_key("m/weights"), layout.tree_key("m/MLmodel")]


def test_small_files_need_no_transaction() -> None:
    """A small file is one request: it is created, or put where it replaces another."""
    store = FaultyStore(MemoryStore())
    vault = Vault.init_at(store)
    begun = len(store.log)

    write(vault, "a", b"small")

    writes = [each for each in store.log[begun:] if each.name not in {"list", "get", "stat"}]
    assert [(each.name, each.key) for each in writes] == [("create", layout.tree_key("a"))]


def _condemn(store: Store, packs: frozenset[bytes]) -> str:
    key = f"{layout.CONDEMNED}collection"
    body = {"packs": sorted(pack.hex() for pack in packs)}
    store.put(key, frame_json(Kind.CONDEMNED, body))
    return key


@pytest.mark.parametrize("plain", [DELTA, BASE], ids=["delta", "known"])
def test_condemned(plain: bytes) -> None:
    """Condemned packs are neither named again nor used as bases; once retracted they are."""
    store = MemoryStore()
    vault = _vault(store)
    condemned = entry_of(store, FIRST).packs
    key = _condemn(store, condemned)

    write(vault, SECOND, plain)

    assert not entry_of(store, SECOND).packs & condemned
    assert read(vault, SECOND) == plain
    store.delete(key)
    write(vault, "3/artifacts/w.safetensors", safetensors({"w": trained(weights(0, 100_000), 5)}))
    write(vault, FIRST, plain)
    assert vault.verify().is_whole


def test_retracted_meanwhile() -> None:
    """A notice that goes between its listing and its reading is none."""
    store = MemoryStore()
    vault = _vault(store)
    key = _condemn(store, entry_of(store, FIRST).packs)

    class Retracting(FaultyStore):
        """Retracts when it is asked what is condemned."""

        def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
            if key.startswith(layout.CONDEMNED):
                self._inner.delete(key)
            return super().get(key, start, stop)

    write(Vault(Retracting(store), vault.identity), SECOND, DELTA)

    assert store.stat(key) is None
    assert entry_of(store, SECOND).packs & entry_of(store, FIRST).packs


def test_damaged_notice() -> None:
    """A list of condemned packs that cannot be read stops the writer: it might name any pack."""
    store = MemoryStore()
    vault = _vault(store)
    for body in (
        b"damaged",
        frame_json(Kind.CONDEMNED, {}),
        frame_json(Kind.CONDEMNED, {"packs": 1}),
    ):
        store.put(f"{layout.CONDEMNED}x", body)

        with pytest.raises(CorruptionError, match=r"notices/condemned/x"):
            write(vault, SECOND, DELTA)

    assert contents(vault) == {FIRST: BASE}
    assert not list(store.list(INTENT))


def test_begins_beside() -> None:
    """It begins while something else is done; what keeps it from that is raised to who waits."""
    store, allowed = FaultyStore(MemoryStore()), Event()
    _vault(store)
    begun = len(store.log)

    def permit() -> None:
        assert allowed.wait(60)

    with ThreadPoolExecutor(1) as beside:
        transaction = Transaction(store, World(), beside, permit)
        transaction.refresh()  # nothing is there to be put again
        assert len(store.log) == begun
        allowed.set()
        transaction.ready()
    assert [each.name for each in store.log[begun:]] == ["put", "list"]
    transaction.finish()
    assert not list(store.list(INTENT))


@pytest.mark.parametrize("refused", ["before", "intent", "notices"])
def test_cannot_begin(refused: str) -> None:
    """A transaction that cannot begin says so while the file is read, and leaves nothing."""
    place = {"before": ("stat", layout.VAULT), "intent": ("put", INTENT)}
    operation, prefix = place.get(refused, ("list", layout.NOTICES))
    plan = [Fault(FaultKind.ERROR_AFTER, operation=operation, prefix=prefix)]
    store = MemoryStore()
    vault = _vault(store)
    faulty = Vault(FaultyStore(store, plan), vault.identity)

    with pytest.raises(StorageError):
        write(faulty, SECOND, noise(1, 5_000_000))

    assert contents(vault) == {FIRST: BASE}
    assert not list(store.list(INTENT))


def test_pack_of_another_writer() -> None:
    """A pack is asked for, once; it is there or it is not reused."""
    store = FaultyStore(MemoryStore())
    _vault(store)
    (pack,) = entry_of(store, FIRST).packs
    transaction = Transaction(store, World())
    begun = len(store.log)

    assert [transaction.may_reuse(pack), transaction.may_reuse(pack)] == [True, True]
    assert [transaction.may_reuse(bytes(16)), transaction.may_reuse(bytes(16))] == [False, False]
    assert [each.name for each in store.log[begun:]] == ["stat", "stat"]


def test_asked_together() -> None:
    """Threads that ask for a pack together ask the store once; where that fails, once more."""
    plan = [Fault(FaultKind.ERROR_BEFORE, operation="stat", prefix=layout.PACKS)]
    store = FaultyStore(MemoryStore(), plan)
    _vault(store)
    (pack,) = entry_of(store, FIRST).packs
    transaction = Transaction(store, World())
    with pytest.raises(StorageError):
        transaction.may_reuse(pack)
    begun = len(store.log)

    with ThreadPoolExecutor(8) as threads:
        answers = [*threads.map(transaction.may_reuse, [pack] * 64)]

    assert answers == [True] * 64
    assert [each.name for each in store.log[begun:]] == ["stat"]


def test_lost_pack() -> None:
    """Logging a file again mends what lost its pack, and what shares its chunks."""
    store = MemoryStore()
    vault = _vault(store)
    write(vault, SECOND, DELTA)
    for pack in entry_of(store, FIRST).packs:
        store.delete(layout.pack_key(pack))

    write(vault, FIRST, BASE)
    write(vault, SECOND, DELTA)

    assert contents(vault) == {FIRST: BASE, SECOND: DELTA}


def test_intent_is_renewed(tmp_path: Path) -> None:
    """A writer that takes long puts its intent again, changed, so that it is seen to live."""
    ticks = count(step=40)
    store = FaultyStore(MemoryStore())
    vault = Vault.init_at(store, World(monotonic=lambda: float(next(ticks))))
    file = tmp_path / "large"
    file.write_bytes(noise(7, 70 << 20))
    begun = len(store.log)

    vault.write_file(file, "a")

    log = store.log[begun:]
    assert len(_places(log, "put", layout.PACKS)) == 6
    assert len(_places(log, "put", INTENT)) > 1
    assert max(_places(log, "put", INTENT)) < _places(log, "create", OUTCOME)[0]


def test_ids_are_new() -> None:
    """No transaction has the id of another, nor a pack that of another."""
    store = MemoryStore()
    vault = Vault.init_at(store)
    for number in range(3):
        write(vault, "a", noise(number, 300_000))

    assert len(list(store.list(OUTCOME))) == 3
    assert len(list(store.list(layout.PACKS))) == 3
    assert len(entries(store)) == 1
