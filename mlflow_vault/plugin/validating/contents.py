"""What tests and tables were, as a digest: evidence names what it came from.

They lie where the model's own code can write, so nothing but files is read: no pipe that nobody
writes to, no device without an end.
"""

from __future__ import annotations

import os
import stat
from typing import IO, TYPE_CHECKING, Final

from blake3 import blake3

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.canonical import plain, spell
from mlflow_vault.format.digest import Digest

if TYPE_CHECKING:
    from pathlib import Path

_PIECE: Final = 1 << 20  # bytes
_LEFT_BEHIND: Final = frozenset(("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"))
_KEPT_APART: Final = frozenset((".git", ".hg", ".venv", "venv"))


def digest_of(place: Path) -> Digest:
    """Return the digest of a file, or of a folder's files with their paths.

    What running tests leaves behind does not count, nor do a repository and environments.

    Raises:
        InvalidInputError: It cannot be read.
    """
    try:
        if not place.is_dir():
            return _of_file(place)
        files = sorted(path for path in place.rglob("*") if path.is_file())
        told = []
        for path in files:
            within = path.relative_to(place)
            if not (_LEFT_BEHIND | _KEPT_APART).intersection(within.parts):
                told.append({"path": within.as_posix(), "digest": str(_of_file(path))})
    except OSError as cause:
        raise InvalidInputError(f"{place} cannot be read: {cause}") from cause
    return Digest.of(spell(plain(told)))


def open_file(path: Path) -> IO[bytes]:
    """Open a file that somebody else could replace by anything.

    Raises:
        OSError: It is no file, or cannot be read.
    """
    # Opening a pipe waits for its other end, unless one asks not to.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", getattr(os, "O_BINARY", 0)))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is no file")
    return os.fdopen(descriptor, "rb")


def _of_file(path: Path) -> Digest:
    digest = blake3()
    with open_file(path) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return Digest(digest.digest())
