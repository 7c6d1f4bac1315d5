"""What things cost, in requests: the same in a vault of any size.

On an object store a request costs tens of milliseconds and is billed, whatever it carries, so
these figures are promises.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from mlflow_vault.engine.hints import Hints
from mlflow_vault.engine.world import World
from mlflow_vault.engine.write.relatives import remember
from mlflow_vault.engine.write.transaction import Transaction
from mlflow_vault.format import layout
from mlflow_vault.store.local import LocalStore
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.stores import CountingStore, FaultyStore, Operation
from mlflow_vault.testing.vaults import pack_bytes
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_vault.store.protocol import Store

TRANSACTIONS: Final = 10_000
RANDOM: Final = np.random.default_rng(20)
WEIGHTS: Final = RANDOM.standard_normal((80, 1000), dtype=np.float32)  # too large for an entry


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> MemoryStore:
    """A vault of 10,000 transactions, all in one series of one experiment."""
    weights = tmp_path_factory.mktemp("aged") / "weights.npy"
    np.save(weights, WEIGHTS)
    store, world = MemoryStore("aged"), World()
    path = "7/{:032x}/artifacts/model/weights.npy"
    Vault.init_at(store).write_file(weights, path.format(0))
    for run in range(1, TRANSACTIONS):  # the same file again, as the writer does it, but unread
        transaction, hints = Transaction(store, world), Hints(store)
        known = hints.entry(path.format(run - 1))
        assert known is not None
        entry = replace(known, path=path.format(run), transaction=transaction.id)
        transaction.commit(entry.packs, [(layout.tree_key(entry.path), entry.to_bytes())])
        remember(hints, entry)
        hints.put()
        transaction.finish()
    return store


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model as MLflow lays it out, fine-tuned from the one above."""
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    np.save(folder / "weights.npy", WEIGHTS * np.float32(1.0001))
    for name in ("MLmodel", "conda.yaml", "requirements.txt", "inner/input_example.json"):
        (folder / name).write_text(f"the {name} of a model")
    return folder


def log_and_load(store: Store, model: Path, run: str) -> int:
    """Do what two new processes would do, one after the other; return their requests."""
    counting = CountingStore(store)
    Vault.at(counting).write_folder(model, f"{run}/artifacts/model")
    reader = Vault.at(counting)
    for path in reader.walk(f"{run}/artifacts/model"):
        assert (
            reader.read_span(path, 0, 1 << 30)
            == (model / path.removeprefix(f"{run}/artifacts/model/")).read_bytes()
        )
    return counting.total


@pytest.mark.parametrize("experiment", ["7", "8"], ids=["in the series", "of the family"])
def test_age(aged: MemoryStore, model: Path, experiment: str) -> None:
    """A new process logs and loads a model in a vault of 10,000 transactions as in an empty one."""
    empty = MemoryStore()
    Vault.init_at(empty)
    run = f"{experiment}/{'f' * 32}"

    young = log_and_load(empty, model, run)
    old = log_and_load(aged, model, run)

    assert len([*aged.list(layout.OUTCOMES)]) >= TRANSACTIONS
    assert old <= young + 10


def test_inline(tmp_path: Path) -> None:
    """A small file costs one put, after one look at the vault that holds for new ones."""
    counting = CountingStore(MemoryStore())
    vault = Vault.init_at(counting)
    small = tmp_path / "metrics.json"
    small.write_text("{}")
    counting.reset()

    vault.write_file(small, "7/run/artifacts/metrics.json")
    first = Counter(counting.counts)
    counting.reset()
    vault.write_file(small, "7/run/artifacts/other.json")

    other = Counter(counting.counts)
    counting.reset()
    vault.write_file(small, "7/run/artifacts/other.json")

    look = {"stat": 1, "list": 2}
    assert first == look | {"create": 1}
    assert other == {"create": 1}
    assert counting.counts == look | {"create": 1, "put": 1}  # it would replace what is there


def test_inline_read(tmp_path: Path) -> None:
    """Reading a small file costs one request, in a vault that is open."""
    counting = CountingStore(MemoryStore())
    vault = Vault.init_at(counting)
    small = tmp_path / "metrics.json"
    small.write_text("{}")
    vault.write_file(small, "7/run/artifacts/metrics.json")
    counting.reset()

    vault.read_file("7/run/artifacts/metrics.json", tmp_path / "back")

    assert counting.counts == {"get": 1}


def cost(store: Store, source: Path, path: str) -> Counter[str]:
    """Write one file as a new process would; return its requests by what they are for."""
    logged = FaultyStore(store)
    Vault.at(logged).write_file(source, path)
    return Counter(_purpose(operation) for operation in logged.log)


def _purpose(operation: Operation) -> str:
    if operation.name == "get" and operation.key.startswith(layout.TREE):
        return "hints"  # where a hint leads
    first = operation.key.partition("/")[0]
    return first if first in {"vault.json", "packs", "hints", "seals"} else "transaction"


@pytest.mark.parametrize(
    ("path", "scale"),
    [
        ("8/run/artifacts/model/weights.npy", 1.5),
        (f"7/{'a' * 32}/artifacts/model/weights.npy", 1.0001),
        (f"7/{'a' * 32}/artifacts/model/weights.npy", 1.0),
        (f"7/{'a' * 32}/artifacts/epoch-3/weights.npy", 1.0002),
        (f"9/{'a' * 32}/artifacts/epoch-3/weights.npy", 1.0002),
        (f"9/{'a' * 32}/artifacts/epoch-4/weights.npy", 1.0003),
    ],
    ids=["new", "next", "known", "numbered", "family and numbered", "next number"],
)
def test_chunked(aged: MemoryStore, tmp_path: Path, path: str, scale: float) -> None:
    """A large file costs six requests, at most fourteen for hints, and its packs."""
    weights = tmp_path / "weights.npy"
    np.save(weights, WEIGHTS * np.float32(scale))

    requests = cost(aged, weights, path)

    assert requests["transaction"] == 5
    assert requests["seals"] == 1  # and none within the next seconds
    assert requests["hints"] <= 14
    assert requests["packs"] <= 3  # a look at what is reused, a read for the base, a put


@pytest.mark.parametrize("small", ["a.json", "z.json"], ids=["first", "last"])
def test_one_look(tmp_path: Path, small: str) -> None:
    """A folder costs one look at seals and notices, whichever of its files comes first."""
    store = MemoryStore()
    Vault.init_at(store)
    folder = tmp_path / "model"
    folder.mkdir()
    np.save(folder / "weights.npy", WEIGHTS)
    (folder / small).write_text("{}")
    logged = FaultyStore(store)

    Vault.at(logged).write_folder(folder, "7/run/artifacts/model")

    found = Counter((one.name, one.key.partition("/")[0]) for one in logged.log)
    assert (found["stat", "vault.json"], found["list", "seals"]) == (1, 1)
    assert found["list", "notices"] == 2  # one is the transaction's


def test_copy(tmp_path: Path) -> None:
    """Finding what a half-precision copy was made of costs no request more."""
    store = MemoryStore()
    vault = Vault.init_at(store)
    single, half = tmp_path / "single.npy", tmp_path / "half.npy"
    weights = RANDOM.standard_normal((500, 1000), dtype=np.float32)
    for version in range(10):
        np.save(single, weights * np.float32(1 + version / 1000))
        vault.write_file(single, f"7/{version:032x}/artifacts/weights.npy")
        if version == 6:
            np.save(half, np.load(single).astype("<f2"))

    before = pack_bytes(store)

    requests = cost(store, half, f"8/{'a' * 32}/artifacts/step-7/weights.npy")

    assert pack_bytes(store) - before < 0.01 * half.stat().st_size  # it was found
    assert requests["transaction"] == 5
    assert requests["hints"] <= 14
    assert requests["packs"] <= 5  # a look at both that it hangs on, a read of each, a put


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store of each kind, since what an etag is differs."""
    return LocalStore(tmp_path / "vault") if request.param == "local" else MemoryStore()


def sizes(vault: Vault, path: str) -> dict[str, int | None]:
    """List *path*: sizes by name."""
    return {item.path.rpartition("/")[2]: item.size for item in vault.list(path)}


def test_listing(store: Store, tmp_path: Path) -> None:
    """Listing 1,000 files that were logged together costs three requests, and sizes are right."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(1000):
        (folder / f"{number}.png").write_bytes(bytes(number))
    np.save(folder / "999.png.npy", WEIGHTS)
    (folder / "999.png").unlink()
    expected = {path.name: path.stat().st_size for path in folder.iterdir()}
    Vault.init_at(store).write_folder(folder, "7/run/artifacts/images")
    counting = CountingStore(store)
    vault = Vault.at(counting)
    counting.reset()

    listed = sizes(vault, "7/run/artifacts/images")

    assert listed == expected
    assert counting.total <= 3


def test_changed_listing(store: Store, tmp_path: Path) -> None:
    """A listing is right whatever happened since sizes were noted; each change costs one get."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number}.png").write_bytes(bytes(number))
    expected: dict[str, int | None] = {path.name: path.stat().st_size for path in folder.iterdir()}
    path = "7/run/artifacts/images"
    vault = Vault.init_at(store)
    vault.write_folder(folder, path)
    longer, same, shorter = (tmp_path / name for name in ("longer", "same", "shorter"))
    longer.write_bytes(bytes(5000))
    same.write_bytes(b"\1" * 70)
    shorter.write_bytes(b"")

    vault.write_file(longer, f"{path}/1.png")
    vault.write_file(same, f"{path}/70.png")
    vault.write_file(shorter, f"{path}/50.png")
    vault.write_file(longer, f"{path}/new.png")
    vault.delete(f"{path}/2.png")
    vault.delete(f"{path}/3.png")
    vault.write_file(longer, f"{path}/3.png")
    vault.delete(f"{path}/4.png")
    vault.write_file(folder / "4.png", f"{path}/4.png")

    expected |= {"1.png": 5000, "50.png": 0, "new.png": 5000, "3.png": 5000}
    del expected["2.png"]
    counting = CountingStore(store)
    reader = Vault.at(counting)
    counting.reset()
    assert sizes(reader, path) == expected
    assert counting.total <= 2 + 6


def test_merged_listing(store: Store, tmp_path: Path) -> None:
    """Folders that are merged are still listed from notes: those of both are kept."""
    path = "7/run/artifacts/images"
    vault = Vault.init_at(store)
    for half in (0, 1):
        folder = tmp_path / str(half)
        folder.mkdir()
        for number in range(50):
            (folder / f"{half}-{number}.png").write_bytes(bytes(number))
        vault.write_folder(folder, path)
    counting = CountingStore(store)
    reader = Vault.at(counting)
    counting.reset()

    listed = sizes(reader, path)

    assert listed == {f"{half}-{number}.png": number for half in (0, 1) for number in range(50)}
    assert counting.total == 2
