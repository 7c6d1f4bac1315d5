"""A store on a disk keeps the contract, in every process at once, and says what a disk says."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    StorageError,
    UnsupportedError,
)
from mlflow_vault.store.durability import sweep
from mlflow_vault.store.local import LocalStore, require_posix
from mlflow_vault.testing.contract import StoreContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROCESSES = 8
# A folder that nobody may write to, root included.
FORBIDDEN = Path("/System/vault" if sys.platform == "darwin" else "/sys/vault")

LIMITED = """
import resource, sys
from pathlib import Path
from mlflow_vault.errors import StorageError
from mlflow_vault.store.local import LocalStore
store = LocalStore(Path(sys.argv[1]))
resource.setrlimit(getattr(resource, sys.argv[2]), (int(sys.argv[3]),) * 2)
try:
    eval(sys.argv[4])
except StorageError as error:
    print(error)
"""

RACE = """
import sys
from pathlib import Path
from mlflow_vault.errors import ConflictError
from mlflow_vault.store.local import LocalStore
store = LocalStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
won = []
for turn in range(30):
    try:
        store.create(f"outcomes/{turn}/x", sys.argv[2].encode())
        won.append(str(turn))
    except ConflictError:
        pass
print(*won)
"""


class TestLocalStore(StoreContract):
    """The contract of every store."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[LocalStore]:
        """Return a store in a fresh folder; afterwards no temporary is left."""
        yield LocalStore(tmp_path)
        assert temporaries(tmp_path) == []


def temporaries(root: Path) -> list[Path]:
    """Return what lies in ``tmp/``."""
    return sorted((root / "tmp").glob("*"))


def limited(root: Path, limit: str, value: int, expression: str) -> str:
    """Return the message of the `StorageError` that *expression* raises under a resource limit."""
    command = [sys.executable, "-c", LIMITED, str(root), limit, str(value), expression]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_one_winner_among_processes(tmp_path: Path) -> None:
    """Of processes that race to create a key exactly one wins, and its body stays."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [racer.communicate()[0].split() for racer in racers]

    assert sorted(int(turn) for turns in won for turn in turns) == list(range(30))
    store = LocalStore(tmp_path)
    for number, turns in enumerate(won):
        for turn in turns:
            assert store.get(f"outcomes/{turn}/x") == str(number).encode()
    assert temporaries(tmp_path) == []


def test_processes_agree(tmp_path: Path) -> None:
    """Two stores at one folder are one: objects and etags are the same."""
    etag = LocalStore(tmp_path).put("a", b"body")

    other = LocalStore(tmp_path / "x" / "..")

    assert other.get("a") == b"body"
    found = other.stat("a")
    assert found is not None
    assert found.etag == etag


def test_relative_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative root means the folder it meant when the store was made."""
    monkeypatch.chdir(tmp_path)
    store = LocalStore(Path("vault"))
    monkeypatch.chdir("/")

    store.put("a", b"body")

    assert (tmp_path / "vault" / "a").read_bytes() == b"body"


def test_first_write_makes_root(tmp_path: Path) -> None:
    """Reading makes nothing; the first write makes the root and what is above it."""
    store = LocalStore(tmp_path / "a" / "b")

    assert store.stat("x") is None
    with pytest.raises(NotFoundError):
        store.get("x")
    store.delete("x")
    assert list(tmp_path.iterdir()) == []
    store.create("x", b"")
    assert [found.key for found in store.list("")] == ["x"]


def test_empty_folders(tmp_path: Path) -> None:
    """A delete removes the folders it empties, but for those directly below the root."""
    store = LocalStore(tmp_path)
    store.put("tree/a/b/c/one!", b"")
    store.put("tree/a/two!", b"")

    store.delete("tree/a/b/c/one!")
    kept = sorted(path.name for path in (tmp_path / "tree" / "a").iterdir())
    store.delete("tree/a/two!")

    assert kept == ["two!"]
    assert list((tmp_path / "tree").iterdir()) == []


def test_symbolic_link_is_not_read(tmp_path: Path) -> None:
    """A get does not follow a symbolic link to a file outside; a put replaces the link."""
    (tmp_path / "secret").write_bytes(b"secret")
    store = LocalStore(tmp_path / "vault")
    store.put("a", b"")
    (tmp_path / "vault" / "link").symlink_to(tmp_path / "secret")

    with pytest.raises(StorageError, match="symbolic link"):
        store.get("link")
    with pytest.raises(ConflictError):
        store.create("link", b"body")
    store.put("link", b"body")

    assert store.get("link") == b"body"
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_objects_and_folders_collide(tmp_path: Path) -> None:
    """A disk cannot hold both ``a`` and ``a/b``: the second is refused, and is no conflict."""
    store = LocalStore(tmp_path)
    store.put("a", b"body")
    store.put("b/c", b"body")

    refused: list[Callable[[], object]] = [
        lambda: store.put("a/b", b""),
        lambda: store.create("a/b", b""),
        lambda: store.put_many([("ok", b""), ("a/b", b"")]),
        lambda: store.put("b", b""),
        lambda: store.create("b", b""),
    ]
    for operation in refused:
        with pytest.raises(StorageError, match="Look at what put it there"):
            operation()

    assert store.get("a") == store.get("b/c") == b"body"
    assert temporaries(tmp_path) == []


@pytest.mark.parametrize("operation", ["put", "create", "put_many", "put_many of many"])
def test_full(tmp_path: Path, operation: str) -> None:
    """A body that does not fit leaves the old object, no temporary, and a message that helps."""
    store = LocalStore(tmp_path)
    old = store.put("old/a", b"old")
    key = "old/a" if operation == "put" else "new/a"
    call = {
        "put": f"store.put({key!r}, b'x' * 100_000)",
        "create": f"store.create({key!r}, b'x' * 100_000)",
        "put_many": f"store.put_many([({key!r}, b'x' * n) for n in (5, 100_000, 5)])",
        "put_many of many": f"store.put_many([({key!r}, b'x' * 9_000 * n) for n in range(12)])",
    }

    message = limited(tmp_path, "RLIMIT_FSIZE", 50_000, call[operation])

    assert str(tmp_path) in message
    assert "larger than a limit allows. Raise it" in message
    assert [(found.key, found.etag) for found in store.list("")] == [("old/a", old)]
    assert temporaries(tmp_path) == []


@pytest.mark.parametrize(
    "call", ["list(store.list(''))", "list(store.list_level(''))", "store.get('a')"]
)
def test_unreadable(tmp_path: Path, call: str) -> None:
    """A store that cannot be read raises, and is never taken for an empty one."""
    LocalStore(tmp_path).put("a", b"body")

    message = limited(tmp_path, "RLIMIT_NOFILE", 3, call)

    assert "too many files are open" in message


def test_forbidden() -> None:
    """Where nobody may write, writing says where and what to do."""
    store = LocalStore(FORBIDDEN)

    writes: list[Callable[[], object]] = [
        lambda: store.put("a", b""),
        lambda: store.create("a", b""),
        lambda: store.put_many([("a", b"")]),
    ]
    for write in writes:
        with pytest.raises(StorageError, match=rf"cannot \w+ .*{FORBIDDEN}.*: .*\. .*\."):
            write()


def test_too_long(tmp_path: Path) -> None:
    """A name that the disk does not take is an error, not a missing object."""
    store = LocalStore(tmp_path)
    store.put("a", b"")

    for operation in (store.get, store.stat, store.delete, lambda key: list(store.list(key + "/"))):
        with pytest.raises(StorageError, match="too long"):
            operation("x" * 300)


def test_put_many_is_bounded(tmp_path: Path) -> None:
    """While it takes items put_many stores them, so that it holds some 64 MiB at most."""
    store = LocalStore(tmp_path)
    held = []

    def items() -> Iterator[tuple[str, bytes]]:
        for number in range(100):
            yield f"packs/{number}", b"x" * 1_000_000
            held.append(number + 1 - len(list(store.list("packs/"))))
        for number in range(2000):
            yield f"tree/{number}", b""
            if number % 100 == 0:
                held.append(number + 1 - len(list(store.list("tree/"))))

    store.put_many(items())

    assert max(held[:100]) <= 68
    assert max(held) <= 600


def test_put_many_refuses_first(tmp_path: Path) -> None:
    """A bad key among few items is found before anything is written."""
    store = LocalStore(tmp_path)

    with pytest.raises(InvalidInputError):
        store.put_many([("a", b""), ("../b", b"")])

    assert list(tmp_path.iterdir()) == []


def test_put_many_repeats(tmp_path: Path) -> None:
    """A key given twice gets the last of its bodies."""
    store = LocalStore(tmp_path)

    store.put_many([("a", b"1"), ("b", b"2"), ("a", b"3")])

    assert store.get("a") == b"3"


def test_sweep(tmp_path: Path) -> None:
    """A sweep removes temporaries of the age it is told, and nothing else."""
    store = LocalStore(tmp_path)
    assert sweep(str(tmp_path / "tmp"), before=2**40) == 0
    store.put("a", b"body")
    left = tmp_path / "tmp" / "123-abc"
    left.write_bytes(b"half a bo")
    written = left.stat().st_mtime

    assert sweep(str(tmp_path / "tmp"), before=written - 1) == 0
    assert sweep(str(tmp_path / "tmp"), before=written + 1) == 1
    assert temporaries(tmp_path) == []
    assert store.get("a") == b"body"


def test_left_behind(tmp_path: Path) -> None:
    """The first write of a process removes what others left a day ago, and not what they write."""
    LocalStore(tmp_path).put("a", b"body")
    for name, hours in (("dead", 25), ("alive", 23)):
        path = tmp_path / "tmp" / name
        path.write_bytes(b"half a bo")
        then = time.time() - hours * 3600
        os.utime(path, (then, then))

    LocalStore(tmp_path).put("a", b"body")

    assert [path.name for path in temporaries(tmp_path)] == ["alive"]


@pytest.mark.parametrize("threads", [0, 1, 5])
def test_no_more_threads(threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a machine gives no thread, files are written one after another."""
    start, started = threading.Thread.start, itertools.count()

    def limited(thread: threading.Thread) -> None:
        if next(started) >= threads:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    store = LocalStore(tmp_path)
    items = [(f"a/{number}", b"body %d" % number) for number in range(40)]

    etags = store.put_many(items)

    assert {key: store.get(key) for key, _ in items} == dict(items)
    assert etags == [found.etag for key, _ in items if (found := store.stat(key))]
    assert temporaries(tmp_path) == []


def test_windows() -> None:
    """On Windows the store refuses, and says what to do instead."""
    with pytest.raises(UnsupportedError, match="mlflow-artifacts"):
        require_posix("nt")
