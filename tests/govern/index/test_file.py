"""The index's file is believed only as we left it, and made again otherwise."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.engine.cache import Cache
from mlflow_vault.errors import StorageError
from mlflow_vault.format.digest import Digest
from mlflow_vault.govern.index import Index, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.format.version import Version

    Make = Callable[..., Version]
    Damage = Callable[[Path], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the index lies."""
    return tmp_path / "cache" / "index" / "v.sqlite"


def test_kept(path: Path, make: Make) -> None:
    """What was indexed is there when the index is opened again, for its owner alone."""
    Index.open(path, "v").add([make(1, tags={"a": "x"})])

    assert Index.open(path, "v").search("tags.a = 'x'").ids == ("m01",)
    assert sorted(one.name for one in path.parent.iterdir()) == ["v.sqlite", "v.sqlite.b3"]
    for one in path.parent.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def flip(path: Path) -> None:
    """Flip one bit of a value, which SQLite itself does not notice."""
    content = bytearray(path.read_bytes())
    content[content.index(b"precious")] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Leave half of the file."""
    os.truncate(path, path.stat().st_size // 2)


def overwrite(path: Path) -> None:
    """Write something else there."""
    path.write_bytes(b"no database at all" * 500)


def plant(path: Path) -> None:
    """Change it with SQLite, without us."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE versions SET name = 'other'")


def age(path: Path) -> None:
    """Make it one of another release, as sound as that release would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET schema = 0")
    describe(path)


def rename(path: Path) -> None:
    """Make it another vault's."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET vault = 'w'")
    describe(path)


def describe(path: Path) -> None:
    """Write the digest that belongs to the file."""
    from blake3 import blake3  # noqa: PLC0415 - as anybody could

    path.with_name(f"{path.name}.b3").write_text(f"b3:{blake3(path.read_bytes()).hexdigest()}")


def lose(path: Path) -> None:
    """Lose the digest, as a process does that is killed before it writes one."""
    path.with_name(f"{path.name}.b3").unlink()


def open_to_all(path: Path) -> None:
    """Let everybody write it."""
    path.chmod(0o666)


def link(path: Path) -> None:
    """Put a link there."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


DAMAGES = [flip, cut, overwrite, plant, age, rename, lose, open_to_all, link]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged(path: Path, make: Make, damage: Damage) -> None:
    """A file that is damaged, foreign or outdated is made again, empty, and works."""
    Index.open(path, "v").add([make(1, tags={"a": "precious"})])

    damage(path)
    index = Index.open(path, "v")

    assert len(index) == 0
    index.add([make(2)])
    assert Index.open(path, "v").search().ids == ("m02",)
    assert not path.is_symlink()


def test_sound_again(path: Path, make: Make) -> None:
    """The digest that `describe` writes is ours: without damage the file is believed."""
    Index.open(path, "v").add([make(1)])

    describe(path)

    assert len(Index.open(path, "v")) == 1


def test_damaged_while_open(path: Path, make: Make) -> None:
    """Damage that is noticed while the index is open is an error of ours, and is gone next time."""
    index = Index.open(path, "v")
    index.add([make(1)])

    overwrite(path)
    with pytest.raises(StorageError, match="made again"):
        index.search()

    assert len(Index.open(path, "v")) == 0


def test_removed_while_open(path: Path, make: Make) -> None:
    """An index whose file somebody removed is no empty index: it is an error."""
    index = Index.open(path, "v")
    index.add([make(1)])

    path.unlink()
    with pytest.raises(StorageError, match="made again"):
        index.search()
    with pytest.raises(StorageError, match="made again"):
        index.add([make(2)])

    assert not path.exists()
    assert len(Index.open(path, "v")) == 0


def test_no_place(tmp_path: Path, make: Make) -> None:
    """Where no file can be, the index lives in memory."""
    (tmp_path / "taken").write_bytes(b"")

    index = Index.open(tmp_path / "taken" / "index" / "v.sqlite", "v")
    index.add([make(1)])

    assert index.search().ids == ("m01",)
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]


def test_long_change(path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another process keeps locked is left alone; the index lives in memory then."""
    Index.open(path, "v").add([make(1)])
    monkeypatch.setattr("mlflow_vault.govern.index.file._PATIENCE", 0.05)

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        meanwhile = Index.open(path, "v")
        other.execute("ROLLBACK")

    assert len(meanwhile) == 0
    assert len(Index.open(path, "v")) == 1


def test_place() -> None:
    """The index lies in the cache's folder, by the vault's id; with no cache, in memory."""
    assert place_of({"MLFLOW_VAULT_CACHE": "/c"}, "v") == Path("/c/index/v.sqlite")
    assert place_of({"XDG_CACHE_HOME": "/x"}, "v") == Path("/x/mlflow-vault/index/v.sqlite")
    assert place_of({}, "v") == Path("~/.cache/mlflow-vault/index/v.sqlite").expanduser()
    assert place_of({"MLFLOW_VAULT_CACHE": "here"}, "v") is None
    assert place_of({"MLFLOW_VAULT_CACHE_LIMIT": "0"}, "v") is None
    assert place_of({"MLFLOW_VAULT_CACHE_LIMIT": "much"}, "v") is None


def test_beside_the_cache(tmp_path: Path, make: Make) -> None:
    """A cache of chunks that makes room for others leaves the index where it is."""
    path = place_of({"MLFLOW_VAULT_CACHE": str(tmp_path)}, "v")
    Index.open(path, "v").add([make(1)])
    cache = Cache(tmp_path, limit=1)

    for plain in (b"one", b"two"):
        cache.put(Digest.of(plain), plain)

    assert cache.get(Digest.of(b"one"), 3) is None
    assert len(Index.open(path, "v")) == 1


def test_threads(path: Path, make: Make) -> None:
    """Threads add and search at once, through one index and through several."""
    indexes = [Index.open(path, "v") for _ in range(3)]

    def work(number: int) -> int:
        index = indexes[number % 3]
        index.add([make(number + 1)])
        return len(index.search("name = 'm'"))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(24)))
    assert len(Index.open(path, "v")) == 24


WRITER = """
import sys
from pathlib import Path
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import File, Origin, Version, digest_of
from mlflow_vault.govern.index import Index

files = (File("a", 1, Digest.of(b""), bytes(32)),)
for number in range(8):
    id = f"{sys.argv[2]}-{number}"
    version = Version(digest_of(files), id, "m", 1, 1, "", Origin("", ""), files)
    index = Index.open(Path(sys.argv[1]), "v")
    index.add([version])
    assert id in index.search().ids
"""


def test_processes(path: Path) -> None:
    """Processes open, add and search at once, and none loses what another added."""
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(number)])
        for number in range(4)
    ]

    assert [writer.wait(120) for writer in writers] == [0, 0, 0, 0]
    assert len(Index.open(path, "v")) == 32
