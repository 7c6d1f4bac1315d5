"""Files on a disk, compared with what a version says of its own."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

from blake3 import blake3

from mlflow_vault.config import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mlflow_vault.format.version import File

_STEP: Final = MIB  # bytes read at once


def differences(files: Iterable[File], folder: Path) -> list[str]:
    """Say what in *folder* is not as *files* say, what is missing, and what is there besides.

    Links are followed by nobody: where there should be a file, one is something else.
    """
    wanted = {file.path: file for file in files}
    found = dict(_walk(folder))
    told = [f"{path!r} is not there" for path in sorted(wanted.keys() - found.keys())]
    told += [f"{path!r} is no file of it" for path in sorted(found.keys() - wanted.keys())]
    for path in sorted(wanted.keys() & found.keys()):
        file, entry = wanted[path], found[path]
        if not entry.is_file(follow_symlinks=False):
            told.append(f"{path!r} is no plain file")
        elif entry.stat(follow_symlinks=False).st_size != file.size:
            told.append(f"{path!r} has another size")
        elif _digests(entry.path) != (file.digest.raw, file.sha256):
            told.append(f"{path!r} has other bytes")
    return told


def _walk(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    pending = [""]
    while pending:
        inside = pending.pop()
        with os.scandir(folder / inside) as entries:
            for entry in entries:
                path = f"{inside}/{entry.name}" if inside else entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                else:
                    yield path, entry


def _digests(path: str) -> tuple[bytes, bytes]:
    first, second = blake3(), hashlib.sha256()
    with open(path, "rb") as file:  # noqa: PTH123 - what scandir says
        while step := file.read(_STEP):
            first.update(step)
            second.update(step)
    return first.digest(), second.digest()
