"""Chunks that were needed before, kept on the local disk.

For vaults behind a network.  A chunk's name says what it holds, so there is nothing to invalidate,
nothing that a stranger's vault could plant in another's, and one folder serves all vaults and
processes.  Loading version 5 where version 4 was loaded fetches what differs only: the anchors of
both are here.

    <folder>/7f/7f3a...      the plain bytes of b3:7f3a..., or
                             a delta as it is stored, named by what it decodes to and against what

Writing is what a cache costs, some 2 ms of CPU for a MiB.  Anchors are needed by many versions, so
they are kept plain; a delta is smaller than what it decodes to, and most versions are loaded once:
one that is needed again becomes plain then.

Each file appears by a rename; one that a kill or a disk cut short has another digest than its
name, is a miss, and is removed.  Nothing here is ever needed: whatever fails, the store is asked.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlflow_vault.config import KIB, LARGEST_CHUNK, MIB
from mlflow_vault.format.digest import SIZE, Digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_log = logging.getLogger(__name__)

FOLDER_VARIABLE: Final = "MLFLOW_VAULT_CACHE"
LIMIT_VARIABLE: Final = "MLFLOW_VAULT_CACHE_LIMIT"
DEFAULT_LIMIT: Final = 10 * 1024 * MIB
_SWEEP: Final = 256 * MIB  # bytes that one process adds before it looks at the folder's size again
_LARGEST: Final = LARGEST_CHUNK + KIB  # bytes of a payload, its digest included
_CHUNKS: Final = 2  # letters of a folder of chunks; others, such as the index's, are not ours
_ROOM: Final = 0.9  # of the limit that a sweep leaves
_FRESH: Final = 600.0  # seconds within which a file that is used again is not touched again
_ABANDONED: Final = 3600.0  # seconds after which a temporary is nobody's


class Cache:
    """Chunks by digest in *folder*, about *limit* bytes of them; for many threads and processes.

    A disk that others fill too gets no more of them than half of what they leave.
    """

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._added = _SWEEP  # so that the first addition of a process looks
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Cache({str(self._folder)!r}, limit={self._limit})"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Cache | None:
        """Return the cache that *environment* asks for, None where it wants none.

        ``MLFLOW_VAULT_CACHE`` is its folder, ``~/.cache/mlflow-vault`` unless ``XDG_CACHE_HOME``
        says otherwise; ``MLFLOW_VAULT_CACHE_LIMIT`` is how many bytes it may hold, 0 for no cache.
        """
        text = environment.get(LIMIT_VARIABLE, "").strip() or str(DEFAULT_LIMIT)
        if not text.isdecimal():
            _log.warning("%s is %r, no number of bytes: no cache", LIMIT_VARIABLE, text)
            return None
        if int(text) == 0:
            return None
        chosen = environment.get(FOLDER_VARIABLE)
        home = environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
        folder = Path(chosen) if chosen else Path(home, "mlflow-vault")
        return cls(folder, int(text)) if folder.is_absolute() else None

    def get(self, digest: Digest, size: int) -> bytes | None:
        """Return the chunk *digest* of *size* bytes, None if it is not here, or not whole."""
        plain = self._read(digest, size)
        if plain is None or Digest.of(plain) == digest:
            return plain
        self.drop(digest)
        return None

    def put(self, digest: Digest, plain: bytes) -> None:
        """Keep the chunk *plain*, whose name is *digest*; where that fails it is not kept."""
        self._write(digest, (plain,))

    def recall(self, name: Digest) -> bytes | None:
        """Return what was noted under *name*, None if it is not here, or not whole."""
        noted = self._read(name, _LARGEST)
        if noted is None:
            return None
        check, body = noted[:SIZE], noted[SIZE:]
        if Digest.of(body).raw == check:
            return body
        self.drop(name)
        return None

    def note(self, name: Digest, body: bytes) -> None:
        """Keep *body* under a *name* that is another digest; where that fails it is not kept."""
        self._write(name, (Digest.of(body).raw, body))

    def drop(self, name: Digest) -> None:
        """Let go of what is kept under *name*."""
        with suppress(OSError):
            self._path(name).unlink()

    def _read(self, digest: Digest, most: int) -> bytes | None:
        path = self._path(digest)
        try:
            with path.open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                body = file.read(min(status.st_size, most + 1))
        except OSError:
            return None
        if time.time() - status.st_mtime > _FRESH:
            with suppress(OSError):
                os.utime(path)  # what is used lately stays longest
        return body

    def _write(self, digest: Digest, parts: Sequence[bytes]) -> None:
        path = self._path(digest)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}.part")
        try:
            if not path.parent.is_dir():
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(parts)
            os.replace(temporary, path)  # noqa: PTH105 - one word for the same call
        except OSError:
            _log.debug("cannot keep a chunk in %s", self._folder, exc_info=True)
            with suppress(OSError):
                temporary.unlink()
            return
        with self._lock:
            self._added += sum(map(len, parts))
            due = self._added >= min(_SWEEP, self._limit // 8)
            self._added = 0 if due else self._added
        if due:
            self._sweep()

    def _sweep(self) -> None:
        """Remove what was used longest ago, until there is room again."""
        held: list[tuple[float, int, str]] = []
        for folder, folders, names in os.walk(self._folder):
            folders[:] = [name for name in folders if len(name) == _CHUNKS]
            for name in names:
                with suppress(OSError):
                    status = os.lstat(f"{folder}/{name}")
                    held.append((status.st_mtime, status.st_size, f"{folder}/{name}"))
        total = sum(size for _, size, _ in held)
        now = time.time()
        limit = min(self._limit, (total + _free(self._folder)) // 2)
        goal = limit * _ROOM if total > limit else limit
        for modified, size, path in sorted(held):
            lost = path.endswith(".part") and now - modified > _ABANDONED
            if total <= goal and not lost:
                continue
            with suppress(OSError):
                Path(path).unlink()
                total -= size

    def _path(self, digest: Digest) -> Path:
        name = digest.raw.hex()
        return self._folder / name[:2] / name


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
