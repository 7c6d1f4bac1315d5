"""Whatever fails or dies, at whichever request: no name without its bytes, and a retry works.

Every scene is played once to count its requests, then once for each request and each way to
fail there.  A fresh process then looks at what is left.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import CorruptionError, StorageError, VaultError
from mlflow_vault.format import layout
from mlflow_vault.format.record import Outcome
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise, safetensors, trained, weights
from mlflow_vault.testing.stores import Fault, FaultKind, FaultyStore, Killed
from mlflow_vault.testing.vaults import contents, entries, objects, read, store_of, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.store.protocol import Store

RUN = "7/" + "0" * 32 + "/artifacts"
FIRST = safetensors({"w": weights(0, 75_000), "head": weights(1, 5_000)})
SECOND = safetensors({"w": trained(weights(0, 75_000), 2), "head": weights(3, 6_000)})
OTHER = noise(4, 270_000)
ERRORS = (FaultKind.ERROR_BEFORE, FaultKind.ERROR_AFTER)
DEATHS = (FaultKind.KILL_BEFORE, FaultKind.KILL_AFTER)


@dataclass(frozen=True)
class Scene:
    """What is there, what is done, and what should be there then."""

    before: dict[str, bytes]
    act: Callable[[Vault], object]
    after: dict[str, bytes]


def _folder(files: dict[str, bytes]) -> Callable[[Vault], None]:
    def act(vault: Vault) -> None:
        with tempfile.TemporaryDirectory() as name:
            for path, plain in files.items():
                Path(name, path).write_bytes(plain)
            vault.write_folder(Path(name), f"{RUN}/model")

    return act


def _scenes() -> dict[str, Scene]:
    weights_path, other_path = f"{RUN}/w.safetensors", f"{RUN}/other"
    model = {"MLmodel": b"flavor", "big.bin": OTHER, "w.safetensors": SECOND}
    model |= {f"note{number:02}": b"%d" % number for number in range(13)}
    in_model = {f"{RUN}/model/{name}": plain for name, plain in model.items()}
    old = {weights_path: FIRST, f"{RUN}/small": b"old"}
    both = {**old, f"{RUN}/model/w.safetensors": FIRST, f"{RUN}/model/MLmodel": b"old"}
    return {
        "small file": Scene(
            {}, lambda vault: write(vault, other_path, b"new"), {other_path: b"new"}
        ),
        "small over small": Scene(
            old,
            lambda vault: write(vault, f"{RUN}/small", b"new"),
            {**old, f"{RUN}/small": b"new"},
        ),
        "large file": Scene({}, lambda vault: write(vault, other_path, OTHER), {other_path: OTHER}),
        "delta over its base": Scene(
            old, lambda vault: write(vault, weights_path, SECOND), {**old, weights_path: SECOND}
        ),
        "known file": Scene(
            old, lambda vault: write(vault, other_path, FIRST), {**old, other_path: FIRST}
        ),
        "small over large": Scene(
            old, lambda vault: write(vault, weights_path, b"new"), {**old, weights_path: b"new"}
        ),
        "folder over folder": Scene(both, _folder(model), {**both, **in_model}),
        "delete file": Scene(
            old, lambda vault: vault.delete(weights_path), {f"{RUN}/small": b"old"}
        ),
        "delete folder": Scene(both, lambda vault: vault.delete(f"{RUN}/model"), old),
    }


SCENES = _scenes()


@cache
def _prepared(name: str) -> dict[str, bytes]:
    store = MemoryStore()
    vault = Vault.init_at(store)
    for path, plain in SCENES[name].before.items():
        write(vault, path, plain)
    return objects(store)


def _requests(held: dict[str, bytes], act: Callable[[Vault], object]) -> int:
    counting = FaultyStore(store_of(held))
    vault = Vault.at(counting)
    begun = len(counting.log)
    act(vault)
    return len(counting.log) - begun


def _tries(held: dict[str, bytes], act: Callable[[Vault], object]) -> range:
    return range(1, _requests(held, act) + 1)


def _play(store: Store, act: Callable[[Vault], object], fault: Fault) -> BaseException | None:
    """Do *act* in a process that fails at its so-and-so-many-th request; return the error."""
    vault = Vault.at(store)
    try:
        act(Vault(FaultyStore(store, [fault]), vault.identity))
    except (VaultError, Killed) as error:
        return error
    return None


def _look(store: Store, scene: Scene) -> dict[str, bytes]:
    """What a fresh process finds; every name has its bytes, old or new and never a mixture."""
    vault = Vault.at(store)
    found = contents(vault)
    for path, plain in found.items():
        assert plain in {scene.before.get(path), scene.after.get(path)}
    for path in scene.before.keys() & scene.after.keys():
        assert path in found
    return found


def _check_transactions(store: Store) -> None:
    """No entry has chunks but by an outcome, which lists every pack that it needs."""
    for entry in entries(store):
        if entry.rows:
            key = layout.OUTCOMES + entry.transaction
            outcome = Outcome.from_bytes(store.get(key), key)
            assert outcome.committed
            assert entry.packs <= set(outcome.packs)


@pytest.mark.parametrize("kind", [*ERRORS, *DEATHS], ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", SCENES)
def test_every_request(name: str, kind: FaultKind) -> None:
    """A store that fails, or a process that dies, at any request of a write or a delete."""
    scene = SCENES[name]
    for at in _tries(_prepared(name), scene.act):
        store = store_of(_prepared(name))

        error = _play(store, scene.act, Fault(kind, at))

        found = _look(store, scene)
        _check_transactions(store)
        if kind in DEATHS:
            assert isinstance(error, Killed)
        else:
            assert error is None or str(error)
        if error is None:
            assert found == scene.after
        scene.act(Vault.at(store))
        assert _look(store, scene) == scene.after


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", ["delta over its base", "folder over folder", "known file"])
def test_hints_do_not_fail_a_write(name: str, kind: FaultKind) -> None:
    """What happens to hints and to the intent after the entries were put is no failure."""
    scene = SCENES[name]
    recording = FaultyStore(store_of(_prepared(name)))
    scene.act(Vault.at(recording))
    names = [(each.name, each.key.split("/")[0]) for each in recording.log]
    for at in range(names.index(("create", "outcomes")) + 1, len(names)):
        if names[at][1] not in {"hints", "intents"}:
            continue
        store = store_of(_prepared(name))
        failing = FaultyStore(store, [Fault(kind, at + 1)])

        scene.act(Vault.at(failing))

        assert failing.struck
        assert _look(store, scene) == scene.after


@pytest.mark.parametrize("name", ["large file", "delta over its base", "folder over folder"])
def test_nothing_stands_after_an_error(name: str) -> None:
    """A write that failed and lives takes its intent away, unless entries may be named."""
    scene = SCENES[name]
    for at in _tries(_prepared(name), scene.act):
        store = store_of(_prepared(name))

        error = _play(store, scene.act, Fault(FaultKind.ERROR_AFTER, at))

        intents = {found.key.rpartition("/")[2] for found in store.list(layout.INTENTS)}
        outcomes = {found.key.rpartition("/")[2] for found in store.list(layout.OUTCOMES)}
        assert intents <= outcomes
        if error is None:
            assert not intents


def _on_disk(vault: Vault, path: str, target: Path) -> bytes:
    vault.read_file(path, target)
    return target.read_bytes()


def _exported(vault: Vault, target: Path) -> int:
    report = vault.export(RUN, target)
    for damage in report.damaged:
        assert not (target / damage.path.removeprefix(f"{RUN}/")).exists()
        raise CorruptionError(damage.path, damage.reason)
    return report.files


READS: dict[str, Callable[[Vault, Path], object]] = {
    "list": lambda vault, _: vault.list(f"{RUN}/model"),
    "walk": lambda vault, _: sorted(vault.walk()),
    "stat file": lambda vault, _: vault.stat(f"{RUN}/w.safetensors"),
    "stat folder": lambda vault, _: vault.stat(RUN),
    "span": lambda vault, _: vault.read_span(f"{RUN}/w.safetensors", 10, 290_000),
    "file": lambda vault, target: _on_disk(vault, f"{RUN}/w.safetensors", target),
    "small file": lambda vault, target: _on_disk(vault, f"{RUN}/model/note03", target),
    "export": _exported,
    "stats": lambda vault, _: vault.stats(),
    "open": lambda vault, _: Vault.at(vault.store).identity,
}


@cache
def _readable() -> dict[str, bytes]:
    """A vault in which a delta and its base are needed."""
    store = MemoryStore()
    vault = Vault.init_at(store)
    for path, plain in SCENES["folder over folder"].before.items():
        write(vault, path, plain)
    SCENES["folder over folder"].act(vault)
    write(vault, f"{RUN}/w.safetensors", SECOND)
    return objects(store)


def _outcome(read: Callable[[Vault, Path], object], vault: Vault, target: Path) -> object:
    """What *read* returns, or raises if that is an error to expect."""
    try:
        return read(vault, target)
    except (CorruptionError, StorageError, Killed) as error:
        return error


@pytest.mark.parametrize("kind", FaultKind, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", READS)
def test_reading(name: str, kind: FaultKind, tmp_path: Path) -> None:
    """A read gives what is there or an error that says so; half a response is never believed."""
    store = store_of(_readable())
    expected = READS[name](Vault.at(store), tmp_path / "whole")
    vault = Vault.at(store)
    for at in _tries(_readable(), lambda vault: READS[name](vault, tmp_path / "counted")):
        target = tmp_path / f"target{at}"
        failing = Vault(FaultyStore(store, [Fault(kind, at)]), vault.identity)

        outcome = _outcome(READS[name], failing, target)

        if isinstance(outcome, BaseException):
            assert str(outcome) or kind in DEATHS
            assert name == "export" or not target.exists()
        else:
            assert outcome == expected or getattr(outcome, "damaged", None)
    assert not list(tmp_path.rglob("*.part"))


def test_verification() -> None:
    """A truncated response is damage in the report, a failing store is an error."""
    store = store_of(_readable())
    identity = Vault.at(store).identity
    for at in _tries(_readable(), Vault.verify):
        seen = Vault(FaultyStore(store, [Fault(FaultKind.TRUNCATE, at)]), identity).verify()
        assert len(seen.damaged) <= 1

        failing = FaultyStore(store, [Fault(FaultKind.ERROR_BEFORE, at)])
        with pytest.raises(StorageError):
            Vault(failing, identity).verify()


@pytest.mark.parametrize("kind", [*ERRORS, *DEATHS], ids=lambda kind: kind.name)
def test_making_a_vault(kind: FaultKind) -> None:
    """Whatever interrupts the making of a vault, it is made by the next try."""
    recording = FaultyStore(MemoryStore())
    Vault.init_at(recording)
    for at in range(1, len(recording.log) + 1):
        store = MemoryStore()

        with suppress(StorageError, Killed):
            Vault.init_at(FaultyStore(store, [Fault(kind, at)]))

        write(Vault.init_at(store), "a", b"whole")
        assert read(Vault.at(store), "a") == b"whole"
