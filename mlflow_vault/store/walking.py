"""A folder read as a store's listing: complete, in order of keys, or an error.

What a listing misses, a collector may delete.  So only what is really gone is passed over, and
whatever cannot be read or is no plain file raises.

On disk ``a.b`` sorts before ``a/c`` as it does in an object store, because a folder takes part
in the sort with its slash.
"""
# ruff: noqa: PTH112

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import StorageError
from mlflow_vault.store.durability import etag_of, explained
from mlflow_vault.store.protocol import Folder, Stat

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARIES: Final = "tmp"  # the folder below the root that holds no objects

# One scan of a folder is not enough.  On btrfs and tmpfs a file that is replaced during the scan
# moves to the folder's end, beyond where the scan stops, and is missed: of listings of 6,000
# files under constant replacing, 2 in 3 and nearly all missed some (ext4, XFS: none).  So we scan
# until nothing new turns up, at least twice, and miss only what is replaced in every scan.
_MORE_SCANS: Final = 4


def walk(root: str, prefix: str) -> Iterator[Stat]:
    """Yield every file below *prefix* in order of keys.

    Raises:
        StorageError: A folder or file cannot be read, or *root* is missing.
    """
    open_folders = [iter(_names(root, prefix))]
    while open_folders:
        for key in open_folders[-1]:
            if key.endswith("/"):
                open_folders.append(iter(_names(root, key)))
                break
            found = _stat_listed(root, key)
            if found is not None:
                yield found
        else:
            open_folders.pop()


def walk_level(root: str, prefix: str) -> Iterator[Stat | Folder]:
    """Yield the files directly below *prefix* and the folders that hold any, in order of keys.

    Raises:
        StorageError: A folder or file cannot be read, or *root* is missing.
    """
    for key in _names(root, prefix):
        if key.endswith("/"):
            if _holds_any(root, key):
                yield Folder(key)
        else:
            found = _stat_listed(root, key)
            if found is not None:
                yield found


def stat_file(root: str, key: str) -> Stat | None:
    """Return what a listing says of *key*, None if there is no such file.

    Raises:
        StorageError: It is neither a plain file nor a folder.
        OSError: The disk failed.
    """
    try:
        status = os.lstat(f"{root}/{key}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISREG(status.st_mode):
        return Stat(key, status.st_size, etag_of(status))
    if stat.S_ISDIR(status.st_mode):
        return None
    raise StorageError(
        f"{root}/{key} is a symbolic link or a device. A store holds plain files only: move it."
    )


def _stat_listed(root: str, key: str) -> Stat | None:
    with explained("list", f"{root}/{key}"):
        return stat_file(root, key)


def _holds_any(root: str, prefix: str) -> bool:
    """Whether a file lies below *prefix*, at the cost of one however many do.

    One look may miss what is replaced meanwhile, and does not say what failed; so if it finds
    nothing, a listing decides.
    """
    return _finds_any(f"{root}/{prefix}") or next(walk(root, prefix), None) is not None


def _finds_any(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(
                entry.is_file(follow_symlinks=False)
                or (entry.is_dir(follow_symlinks=False) and _finds_any(entry.path))
                for entry in entries
            )
    except OSError:
        return False


def _names(root: str, prefix: str) -> list[str]:
    """Return the keys directly below *prefix*, folders with a slash, sorted."""
    folder = f"{root}/{prefix}".rstrip("/")
    with explained("list", folder):
        try:
            keys = _scan(folder, prefix)
            for _ in range(_MORE_SCANS):
                again = _scan(folder, prefix)
                if again <= keys:
                    break
                keys |= again
        except (FileNotFoundError, NotADirectoryError) as cause:
            if not os.path.isdir(root):
                raise StorageError(
                    f"cannot list {root}: there is no such folder. Is its disk mounted?"
                ) from cause
            return []
    return sorted(keys)


def _scan(folder: str, prefix: str) -> set[str]:
    with os.scandir(folder) as entries:
        return {
            f"{prefix}{entry.name}/"
            if entry.is_dir(follow_symlinks=False)
            else f"{prefix}{entry.name}"
            for entry in entries
            if prefix or entry.name != TEMPORARIES
        }
