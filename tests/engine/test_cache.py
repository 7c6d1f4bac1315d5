"""The cache of chunks: whole or missing, of bounded size, whoever shares or damages it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.engine.cache import DEFAULT_LIMIT, Cache
from mlflow_vault.format.digest import Digest

if TYPE_CHECKING:
    from pathlib import Path

BODY = bytes(range(256)) * 40


def body(number: int) -> bytes:
    """Return one of many chunks of one size."""
    return number.to_bytes(4, "big") * (len(BODY) // 4)


def put(cache: Cache, plain: bytes) -> Digest:
    """Keep *plain*; return its name."""
    cache.put(Digest.of(plain), plain)
    return Digest.of(plain)


def files(folder: Path) -> list[Path]:
    """Return what lies in the cache."""
    return [path for path in folder.rglob("*") if path.is_file()]


def test_round_trip(tmp_path: Path) -> None:
    """What was kept is there, for another cache in the same folder too; nothing else is."""
    cache = Cache(tmp_path / "new" / "folder")
    name = put(cache, BODY)

    assert Cache(tmp_path / "new" / "folder").get(name, len(BODY)) == BODY
    assert cache.get(Digest.of(b"another"), 7) is None


def test_private(tmp_path: Path) -> None:
    """Models are nobody else's business."""
    put(Cache(tmp_path / "cache"), BODY)

    (path,) = files(tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("at", [0, 17, len(BODY) - 1])
def test_damage(tmp_path: Path, at: int) -> None:
    """A file that is not what it was is a miss, and goes."""
    cache = Cache(tmp_path)
    name = put(cache, BODY)
    (path,) = files(tmp_path)
    held = bytearray(path.read_bytes())
    held[at] ^= 1
    path.write_bytes(held)

    assert cache.get(name, len(BODY)) is None
    assert files(tmp_path) == []


@pytest.mark.parametrize("size", [0, 5, len(BODY) - 1, len(BODY) + 31])
def test_cut_short(tmp_path: Path, size: int) -> None:
    """A file that a kill or a full disk cut short is a miss, and goes."""
    cache = Cache(tmp_path)
    name = put(cache, BODY)
    (path,) = files(tmp_path)
    os.truncate(path, size)

    assert cache.get(name, len(BODY)) is None
    assert files(tmp_path) == []


def test_notes(tmp_path: Path) -> None:
    """What is noted under another name is there, and nothing that was not noted so."""
    cache = Cache(tmp_path)
    name, plain = Digest.of(b"a name"), put(cache, body(1))
    cache.note(name, BODY)

    assert Cache(tmp_path).recall(name) == BODY
    assert cache.get(name, len(BODY)) is None  # which is none of its own bytes: it goes
    assert cache.recall(name) is None
    assert cache.recall(plain) is None
    assert cache.recall(Digest.of(b"another")) is None


@pytest.mark.parametrize("harm", [b"", b"short", BODY, BODY + bytes(32), bytes(6 << 20)])
def test_damaged_notes(tmp_path: Path, harm: bytes) -> None:
    """A note that is not what it was is a miss, and goes."""
    cache = Cache(tmp_path)
    name = Digest.of(b"a name")
    cache.note(name, BODY)
    (path,) = files(tmp_path)
    path.write_bytes(harm)

    assert cache.recall(name) is None
    assert files(tmp_path) == []


def test_another_name(tmp_path: Path) -> None:
    """A chunk under another's name is a miss."""
    cache = Cache(tmp_path)
    names = [put(cache, body(number)) for number in (1, 2)]
    one, two = sorted(files(tmp_path))
    one.replace(two)

    assert len([name for name in names if cache.get(name, len(BODY))]) == 0


def test_limit(tmp_path: Path) -> None:
    """What was used longest ago goes first, and there is never much more than the limit."""
    limit = 20 * len(BODY)
    cache = Cache(tmp_path, limit)
    names = [Digest.of(body(number)) for number in range(100)]
    for number in range(100):
        put(cache, body(number))
        old = time.time() - 1000 + number
        for path in files(tmp_path):
            if path.stat().st_mtime > old:
                os.utime(path, (old, old))
        assert cache.get(names[0], len(BODY)) == body(0)  # which makes it new again

    held = sum(path.stat().st_size for path in files(tmp_path))
    assert limit // 2 < held <= limit * 1.2
    assert cache.get(names[99], len(BODY)) == body(99)
    assert cache.get(names[1], len(BODY)) is None


def test_abandoned_temporaries(tmp_path: Path) -> None:
    """What killed processes left goes, what others are writing stays."""
    cache = Cache(tmp_path)
    (tmp_path / "00").mkdir()
    old, new = tmp_path / "00" / "x.1.part", tmp_path / "00" / "y.2.part"
    for path in (old, new):
        path.write_bytes(BODY)
    os.utime(old, (time.time() - 7200,) * 2)
    put(cache, BODY)

    assert not old.exists()
    assert new.exists()


def test_nowhere_to_write(tmp_path: Path) -> None:
    """A folder that cannot be one keeps nothing and breaks nothing."""
    (tmp_path / "file").write_bytes(b"in the way")
    cache = Cache(tmp_path / "file")
    name = put(cache, BODY)

    assert cache.get(name, len(BODY)) is None
    assert (tmp_path / "file").read_bytes() == b"in the way"


_WORKER = """
import random, sys
from pathlib import Path
from mlflow_vault.engine.cache import Cache
from mlflow_vault.format.digest import Digest
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
draw = random.Random(seed)
cache = Cache(folder, 300_000)
hits = 0
for _ in range(600):
    number = draw.randrange(60)
    body = random.Random(number).randbytes(10_000)
    name = Digest.of(body)
    found = cache.get(name, len(body))
    assert found in (None, body), number
    hits += found is not None
    if found is None:
        cache.put(name, body)
print(hits)
"""


def test_processes(tmp_path: Path) -> None:
    """Processes that write, read and sweep one folder, two of them killed: never wrong bytes."""
    command = [sys.executable, "-c", _WORKER, str(tmp_path)]
    workers = [
        subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, text=True)
        for seed in range(4)
    ]
    victims = [
        subprocess.Popen([*command, str(seed)], stdout=subprocess.DEVNULL) for seed in (8, 9)
    ]
    deadline = time.monotonic() + 60
    while not files(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    for victim in victims:
        time.sleep(0.05)
        victim.kill()
        victim.wait()
    hits = [int(worker.communicate(timeout=120)[0]) for worker in workers]

    assert [worker.returncode for worker in workers] == [0] * 4
    assert sum(hits) > 0
    assert sum(path.stat().st_size for path in files(tmp_path)) < 2 * 300_000


def test_environment(tmp_path: Path) -> None:
    """Where the cache lies and how large it grows is for the user to say."""
    chosen = Cache.from_environment({"MLFLOW_VAULT_CACHE": str(tmp_path)})
    small = Cache.from_environment(
        {"XDG_CACHE_HOME": str(tmp_path), "MLFLOW_VAULT_CACHE_LIMIT": "4096"}
    )

    assert repr(chosen) == f"Cache({str(tmp_path)!r}, limit={DEFAULT_LIMIT})"
    assert repr(small) == f"Cache({str(tmp_path / 'mlflow-vault')!r}, limit=4096)"
    assert Cache.from_environment({"MLFLOW_VAULT_CACHE_LIMIT": "0"}) is None
    assert Cache.from_environment({"MLFLOW_VAULT_CACHE_LIMIT": "ten"}) is None
    assert "mlflow-vault" in repr(Cache.from_environment({}))
