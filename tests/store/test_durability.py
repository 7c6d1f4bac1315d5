"""What returned survives a power cut, and who dies half-way leaves the old or the new."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import StorageError
from mlflow_vault.store import durability, local
from mlflow_vault.store.durability import link, place, prune, storage_error, sync_folders, write_new
from mlflow_vault.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Forks again and again; the n-th child is killed at the n-th thing it does to the disk, which
# Python's audit events announce.  Ends when a child gets through; prints the number of deaths.
DYING = """
import os, signal, sys
from pathlib import Path
from mlflow_vault.store.local import LocalStore

store = LocalStore(Path(sys.argv[1]))
touching = {"open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.utime"}

def die_at(last):
    left = last
    def hook(event, arguments):
        nonlocal left
        if event in touching:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

deaths = 0
while True:
    child = os.fork()
    if child == 0:
        die_at(deaths + 1)
        eval(sys.argv[2])
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
    deaths += 1
    print(len(list(store.list(""))), store.get("old/a")[:3].decode(), flush=True)
print(deaths)
"""


def die(root: Path, expression: str) -> tuple[list[str], int]:
    """Return what the store looks like after each death in *expression*, and their number."""
    command = [sys.executable, "-c", DYING, str(root), expression]
    *states, deaths = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return states, int(deaths)


def test_killed_in_put(tmp_path: Path) -> None:
    """A process killed anywhere in a put leaves the old object or the new one."""
    LocalStore(tmp_path).put("old/a", b"old")

    states, deaths = die(tmp_path, "store.put('old/a', b'new' * 100_000)")

    assert deaths >= 3
    assert set(states) == {"1 old", "1 new"}
    assert states == sorted(states, reverse=True)
    assert LocalStore(tmp_path).get("old/a") == b"new" * 100_000


def test_killed_in_create(tmp_path: Path) -> None:
    """A process killed anywhere in a create leaves no object or a whole one."""
    store = LocalStore(tmp_path)
    store.put("old/a", b"old")

    states, deaths = die(tmp_path, "store.stat('x/y/z') or store.create('x/y/z', b'new' * 100_000)")

    assert deaths >= 5
    assert set(states) == {"1 old", "2 old"}
    assert store.get("x/y/z") == b"new" * 100_000


def test_killed_in_put_many(tmp_path: Path) -> None:
    """A process killed anywhere in a put_many leaves each object old or new."""
    store = LocalStore(tmp_path)
    items = [("old/a", b"new" * 1000), *((f"x/{n}", b"new" * 1000) for n in range(4))]
    store.put("old/a", b"old")

    states, deaths = die(tmp_path, f"store.put_many({items!r})")

    assert deaths >= 10
    assert {state.split()[1] for state in states} == {"old", "new"}
    assert all(store.get(key) == body for key, body in items)


def test_killed_leaves_temporaries(tmp_path: Path) -> None:
    """What killed processes leave is temporaries, which a sweep removes."""
    store = LocalStore(tmp_path)
    store.put("old/a", b"old")
    die(tmp_path, "store.put('old/a', b'new')")

    left = len(list((tmp_path / "tmp").iterdir()))

    assert left > 0
    assert durability.sweep(str(tmp_path / "tmp"), before=2**40) == left


class Recorder:
    """Writes down, in order, what becomes durable and what gets a name."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, str]] = []
        self._names: dict[int, str] = {}
        self._wrap(patch, durability, "_sync", lambda file: ("sync", self._name(file)))
        self._wrap(
            patch, os, "replace", lambda source, path: ("name", f"{self._moved(source)}{path}")
        )
        self._wrap(patch, os, "link", lambda source, path: ("name", f"{self._moved(source)}{path}"))

    def _wrap(
        self,
        patch: pytest.MonkeyPatch,
        owner: object,
        name: str,
        describe: Callable[..., tuple[str, str]],
    ) -> None:
        original = getattr(owner, name)

        def recorded(*arguments: object) -> None:
            event = describe(*arguments)
            original(*arguments)
            self.events.append(event)

        patch.setattr(owner, name, recorded)

    def _name(self, file: int) -> str:
        status = os.fstat(file)
        return f"{'folder' if stat.S_ISDIR(status.st_mode) else 'file'} {status.st_ino}"

    def _moved(self, source: str) -> str:
        return f"file {os.stat(source).st_ino} "  # noqa: PTH116


def inode(path: Path) -> int:
    """Return the number by which the recorder knows *path*."""
    return path.stat().st_ino


@pytest.mark.parametrize("operation", ["put", "create"])
def test_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """A body is synced before it gets its name, and the folder of the name after."""
    store = LocalStore(tmp_path)
    store.put("tree/other", b"")
    recorder = Recorder(monkeypatch)

    getattr(store, operation)("tree/a", b"body")

    body, folder = inode(tmp_path / "tree/a"), inode(tmp_path / "tree")
    assert recorder.events == [
        ("sync", f"file {body}"),
        ("name", f"file {body} {tmp_path}/tree/a"),
        ("sync", f"folder {folder}"),
    ]


def test_made_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder that had to be made is durable, up to the one that was there."""
    recorder = Recorder(monkeypatch)

    LocalStore(tmp_path / "x" / "vault").put("a/b/c", b"body")

    synced = {event for event in recorder.events if event[0] == "sync"}
    made = ["", "x", "x/vault", "x/vault/a", "x/vault/a/b"]
    assert {("sync", f"folder {inode(tmp_path / each)}") for each in made} <= synced


@pytest.mark.parametrize("quick", [0.0, 60.0])
@pytest.mark.parametrize("files", [2, 8, 20])
def test_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, quick: float) -> None:
    """put_many syncs every body, then gives the names, then syncs each folder once.

    Whether few are written one after another or many at once.
    """
    monkeypatch.setattr(local, "_QUICK", quick)
    recorder = Recorder(monkeypatch)
    store = LocalStore(tmp_path)
    store.put("tree/0/x", b"")
    store.put("tree/1/x", b"")
    recorder.events.clear()

    store.put_many((f"tree/{n % 2}/{n}", b"") for n in range(files))

    kinds = [f"{kind} {what.split()[0]}" for kind, what in recorder.events]
    assert kinds == ["sync file"] * files + ["name file"] * files + ["sync folder"] * 2


def test_delete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delete is durable: the folder that stays is synced."""
    store = LocalStore(tmp_path)
    store.put("tree/a/b/c", b"")
    recorder = Recorder(monkeypatch)

    store.delete("tree/a/b/c")

    assert recorder.events == [("sync", f"folder {inode(tmp_path / 'tree')}")]


def test_vanished_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a folder is gone, its absence is made durable."""
    recorder = Recorder(monkeypatch)

    sync_folders([str(tmp_path / "a" / "b")])

    assert recorder.events == [("sync", f"folder {inode(tmp_path)}")]


def test_swept(tmp_path: Path) -> None:
    """A temporary that was swept away gets no name, and the old object stays."""
    (tmp_path / "a").write_bytes(b"old")
    write_new(str(tmp_path / "temporary"), b"new")
    (tmp_path / "temporary").unlink()

    with pytest.raises(StorageError, match="removed meanwhile"):
        place(str(tmp_path / "temporary"), str(tmp_path / "a"), os.replace)

    assert (tmp_path / "a").read_bytes() == b"old"


def test_vanishing_folder(tmp_path: Path) -> None:
    """A folder that is removed between its making and the naming is made again."""
    temporary, path = str(tmp_path / "temporary"), tmp_path / "a" / "b" / "c"
    write_new(temporary, b"new")
    vanish = iter([True, True, False])

    def give(source: str, target: str) -> None:
        if path.parent.exists() and next(vanish):
            prune(str(path.parent), str(tmp_path))
        os.replace(source, target)  # noqa: PTH105

    touched = place(temporary, str(path), give)

    assert path.read_bytes() == b"new"
    assert touched >= {str(path.parent), str(path.parent.parent), str(tmp_path)}


def test_new_file_is_new(tmp_path: Path) -> None:
    """A temporary never writes over a file."""
    (tmp_path / "a").write_bytes(b"old")

    with pytest.raises(FileExistsError):
        write_new(str(tmp_path / "a"), b"new")

    assert (tmp_path / "a").read_bytes() == b"old"


def test_precise_times(tmp_path: Path) -> None:
    """A file's time is the clock's, not the kernel's last tick: it tells two files apart."""
    for number in range(20):
        before = time.time_ns()
        write_new(str(tmp_path / str(number)), b"")
        after = time.time_ns()

        assert before <= (tmp_path / str(number)).stat().st_mtime_ns <= after


def test_no_links(tmp_path: Path) -> None:
    """Where no hard link can be made, a create refuses instead of having two winners."""
    folder = tmp_path / "folders have no second names"
    folder.mkdir()

    with pytest.raises(StorageError, match="makes no hard links"):
        link(str(folder), str(tmp_path / "a"))


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "the disk is full. Free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "this user may not"),
        (errno.ETIMEDOUT, "Trying again is safe"),
    ],
)
def test_messages(code: int, advice: str) -> None:
    """A failure says what, where and what to do."""
    error = storage_error("write", "/vault/a", OSError(code, os.strerror(code)))

    assert re.fullmatch(rf"cannot write /vault/a: .*{advice}.*\.", str(error))
