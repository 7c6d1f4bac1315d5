"""What is logged holds still or is refused; what has no bytes is refused; full disks are said."""

from __future__ import annotations

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.config import MIB
from mlflow_vault.engine.write.source import Source
from mlflow_vault.errors import (
    InvalidInputError,
    NotFoundError,
    SourceChangedError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise, npy, weights
from mlflow_vault.testing.stores import SlowStore
from mlflow_vault.testing.vaults import contents, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OLD = noise(0, 400_000)
SIZE = 48 << 20  # bytes: its end is read after the first window was coded


def _cut(file: Path) -> None:
    os.truncate(file, 300_000)


def _empty(file: Path) -> None:
    os.truncate(file, 0)


def _grow(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"more")


def _change(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(SIZE - 5_000)
        opened.write(b"other")


def _change_quietly(file: Path) -> None:
    """Other bytes under the old time, as where a disk's clock is coarse."""
    before = file.stat()
    _change(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 5])
def test_digest(size: int, tmp_path: Path) -> None:
    """A file's digest is that of its bytes, in however many pieces they are read."""
    body = noise(0, size)
    (tmp_path / "file").write_bytes(body)

    with Source.open(tmp_path / "file") as source, ThreadPoolExecutor(1) as readers:
        assert source.digest(readers) == Digest.of(body)


@pytest.fixture
def vault() -> Vault:
    """A vault that holds something at ``a``."""
    vault = Vault.init_at(MemoryStore())
    write(vault, "a", OLD)
    return vault


def _untouched(vault: Vault) -> bool:
    found = contents(vault)
    left = list(vault.store.list(layout.INTENTS))
    return found == {"a": OLD} and not left


@pytest.mark.parametrize("meddle", [_cut, _empty, _grow, _change, _change_quietly])
@pytest.mark.parametrize("body", ["noise", "npy"])
def test_changed_between_windows(
    body: str, meddle: Callable[[Path], None], vault: Vault, tmp_path: Path
) -> None:
    """A file that changes while it is read is an error, and nothing is committed."""
    file = tmp_path / "model.npy"
    file.write_bytes(noise(1, SIZE) if body == "noise" else npy(weights(1, SIZE // 4)))
    seen: list[int] = []

    def on_first(done: int) -> None:
        if not seen:
            meddle(file)
        seen.append(done)

    with pytest.raises(SourceChangedError, match=r"nothing was committed"):
        vault.write_file(file, "a", progress=on_first)

    assert _untouched(vault)
    vault.write_file(file, "a")
    assert read(vault, "a") == file.read_bytes()


@pytest.mark.parametrize("meddle", [_cut, _grow])
def test_changed_between_requests(
    meddle: Callable[[Path], None], tmp_path: Path, vault: Vault
) -> None:
    """A file that another thread changes while the writer waits for its store."""
    file = tmp_path / "model"
    file.write_bytes(noise(1, 900_000))
    reached, changed = threading.Event(), threading.Event()

    class Waiting(SlowStore):
        """Waits for the meddler at one place."""

        def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
            if key.startswith(layout.KNOWN_FILES):
                reached.set()
                changed.wait(10)
            return super().get(key, start, stop)

    def meddling() -> None:
        reached.wait(10)
        meddle(file)
        changed.set()

    slow = Vault(Waiting(vault.store, lambda: None), vault.identity)
    thread = threading.Thread(target=meddling)
    thread.start()
    with pytest.raises(SourceChangedError):
        slow.write_file(file, "a")
    thread.join()

    assert _untouched(vault)


def test_truncated_by_a_thread(vault: Vault, tmp_path: Path) -> None:
    """A file that shrinks at any moment harms nobody: an error, or what it was at one moment."""
    file = tmp_path / "model"
    plain = noise(3, SIZE)
    for round_ in range(4):
        file.write_bytes(plain)
        timer = threading.Timer(0.004 * round_, _cut, [file])
        timer.start()
        try:
            vault.write_file(file, "b")
        except SourceChangedError:
            timer.join()
            continue
        timer.join()
        assert read(vault, "b") in {plain, plain[:300_000]}
    assert vault.verify().is_whole


def test_replaced_while_read(vault: Vault, tmp_path: Path) -> None:
    """A file that gives way to another of its name is logged as it was."""
    file, other = tmp_path / "model", tmp_path / "other"
    plain = noise(1, SIZE)
    file.write_bytes(plain)
    other.write_bytes(b"other")

    def replace(_: int) -> None:
        if other.exists():
            other.replace(file)

    vault.write_file(file, "b", progress=replace)

    assert read(vault, "b") == plain
    assert file.read_bytes() == b"other"


def test_shrunk_before_its_turn(vault: Vault, tmp_path: Path) -> None:
    """A file that was large when its folder was read and is empty when opened is stored empty."""
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_bytes(noise(1, 400_000))
    second.write_bytes(noise(2, 400_000))

    vault.write_folder(tmp_path, "b", progress=lambda _: os.truncate(second, 0))

    assert read(vault, "b/1") == noise(1, 400_000)
    assert read(vault, "b/2") == b""
    assert [item.size for item in vault.list("b")] == [400_000, 0]


def test_things_without_bytes(vault: Vault, tmp_path: Path) -> None:
    """Folders, pipes, sockets, devices and loops are refused at once."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "socket"))

    for thing in ("pipe", "loop", "folder", "socket", "/dev/null"):
        with pytest.raises(InvalidInputError):
            vault.write_file(tmp_path / thing, "a")
    for thing in ("pipe", "socket"):
        with pytest.raises(InvalidInputError):
            vault.write_folder(tmp_path / thing, "a")
    with pytest.raises(NotFoundError, match="no file"):
        vault.write_file(tmp_path / "missing", "a")
    with pytest.raises(InvalidInputError, match="not a folder"):
        vault.write_folder(tmp_path / "missing", "a")

    assert _untouched(vault)


def test_pipe_in_a_folder(vault: Vault, tmp_path: Path) -> None:
    """A pipe among files is named by the error, and is not waited for."""
    (tmp_path / "first").write_bytes(b"first")
    os.mkfifo(tmp_path / "second")

    with pytest.raises(InvalidInputError, match="second is not a regular file"):
        vault.write_folder(tmp_path, "b")


def test_links(vault: Vault, tmp_path: Path) -> None:
    """A link to a file is that file; a link to a folder is not entered; one to nothing is said."""
    (tmp_path / "file").write_bytes(b"plain")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_bytes(b"secret")
    model = tmp_path / "model"
    model.mkdir()
    (model / "linked").symlink_to(tmp_path / "file")
    (model / "folder").symlink_to(tmp_path / "elsewhere")

    vault.write_folder(model, "b")
    vault.write_file(model / "linked", "c")

    assert contents(vault) == {"a": OLD, "b/linked": b"plain", "c": b"plain"}
    (model / "dangling").symlink_to(tmp_path / "nothing")
    with pytest.raises(NotFoundError, match="dangling"):
        vault.write_folder(model, "d")


def test_stream_and_file_cut_alike(tmp_path: Path) -> None:
    """A file has the same chunks however it comes in."""
    file = tmp_path / "model.npy"
    file.write_bytes(npy(weights(1, 500_000)) + noise(2, 900_000))
    store = MemoryStore()
    vault = Vault.init_at(store)

    vault.write_file(file, "1/file")
    packs = len(list(store.list(layout.PACKS)))
    with file.open("rb") as stream:
        vault.write_stream(stream, "2/stream")

    assert len(list(store.list(layout.PACKS))) == packs


def test_source_is_a_copy(tmp_path: Path) -> None:
    """What was read does not change with the file."""
    file = tmp_path / "file"
    file.write_bytes(b"plain")
    with Source.open(file) as source, source.again() as again:
        plain = source.read(0, 5)
        file.write_bytes(b"other")

        assert plain == b"plain"
        assert again.read(0, 5) == b"other"
        with pytest.raises(SourceChangedError):
            source.check()
