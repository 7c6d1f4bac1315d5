"""Files that survive a power cut, and failures of a disk in words.

A file is there after a power cut when its bytes were synced before its name was given, and the
folder that holds the name was synced after:

    write tmp/x -> fsync tmp/x -> rename tmp/x a/b/key -> fsync a/b (and what had to be made)

Where a folder was made by somebody else a moment ago we rely on file systems writing names in
the order they were given, as ext4, XFS, btrfs, ZFS, APFS and NFS do.

Plain strings instead of `Path`: a store does this for every object.
"""
# ruff: noqa: PTH102, PTH106, PTH108, PTH120

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import StorageError, VaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

if sys.platform == "darwin":
    import fcntl

# What a disk says, and what to do about it.
_ADVICE: Final = {
    errno.ENOSPC: "the disk is full. Free some space there and try again",
    errno.EDQUOT: "this user's quota of the disk is used up. Free some space and try again",
    errno.EROFS: "the file system is read-only. Mount it writable, or write to another vault",
    errno.EACCES: "this user may not. Give this user access to the folder, or use another user",
    errno.EPERM: "this user may not. Give this user access to the folder, or use another user",
    errno.EFBIG: "the file would be larger than a limit allows. Raise it (ulimit -f)",
    errno.EMFILE: "too many files are open. Raise the limit (ulimit -n) and try again",
    errno.ENFILE: "too many files are open on this machine. Try again later",
    errno.ENAMETOOLONG: "the name is too long for this file system. Use a shorter path",
    errno.ENOTDIR: "a file lies where a folder is needed. Look at what put it there",
    errno.EISDIR: "a folder lies where a file is needed. Look at what put it there",
    errno.ELOOP: "there is a symbolic link. A store holds plain files only: remove it",
    errno.EXDEV: "it is on another file system than 'tmp/'. Keep a store on one file system",
    errno.EIO: "the disk fails. Check it (dmesg) before trusting it with more",
}
# Folders that cannot be synced (some network and FUSE file systems): there is nothing to call.
_NO_FOLDER_SYNC: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})

_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
# How often the folder of a name may vanish, because others empty and remove it, until we give up.
_ATTEMPTS: Final = 1000


def storage_error(action: str, where: str, cause: OSError) -> StorageError:
    """Return *cause* in words: what failed (*action*), *where*, and what to do.

    >>> print(storage_error("write", "/vault", OSError(errno.ENOSPC, "")))
    cannot write /vault: the disk is full. Free some space there and try again.
    """
    reason = cause.strerror or str(cause)
    advice = _ADVICE.get(cause.errno or 0, f"{reason}. Trying again is safe")
    return StorageError(f"cannot {action} {where}: {advice}.")


@contextmanager
def explained(action: str, where: str) -> Iterator[None]:
    """Let no foreign `OSError` out of the block."""
    try:
        yield
    except VaultError:
        raise
    except OSError as cause:
        raise storage_error(action, where, cause) from cause


def etag_of(status: os.stat_result) -> str:
    """Return what changes whenever a file is replaced by one of `write_new`."""
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


def write_new(path: str, body: bytes | bytearray | memoryview) -> str:
    """Write *body* to a new file at *path*, durably but for its name; return its etag.

    The file is gone again if this raises.

    Raises:
        FileNotFoundError: Its folder does not exist.
        OSError: The disk failed.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        try:
            _write_all(file, body)
            # Inode numbers are used again at once and a kernel's clock may tick in steps of 4 ms,
            # so its own time would give one etag to two files.
            now = time.time_ns()
            os.utime(file, ns=(now, now))
            _sync(file)
            return etag_of(os.fstat(file))
        finally:
            os.close(file)
    except BaseException:
        remove_quietly([path])
        raise


def make_folders(folder: str, touched: set[str]) -> None:
    """Make *folder* and what is missing above it; add the folders that got names to *touched*.

    Raises:
        FileNotFoundError: One that was there vanished meanwhile: try again.
    """
    parent = os.path.dirname(folder)
    try:
        os.mkdir(folder)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folders(parent, touched)
        with suppress(FileExistsError):
            os.mkdir(folder)
    touched.add(parent)


def place(temporary: str, path: str, give: Callable[[str, str], None]) -> set[str]:
    """Give *temporary* the name *path*, in folders made as needed; return the folders to sync.

    Args:
        temporary: A file that `write_new` wrote.
        path: Its name to be.
        give: `os.replace`, or `link`.

    Raises:
        StorageError: Someone keeps removing its folder.
        OSError: The disk failed, or *give* did.
    """
    folder = os.path.dirname(path)
    touched = {folder}
    for _ in range(_ATTEMPTS):
        try:
            give(temporary, path)
        except FileNotFoundError as cause:
            if not os.path.lexists(temporary):
                raise StorageError(
                    f"cannot write {path}: its temporary {temporary} was removed meanwhile. Trying "
                    "again is safe; sweep older temporaries only."
                ) from cause
            with suppress(FileNotFoundError):  # it vanished again
                make_folders(folder, touched)
        else:
            return touched
    raise StorageError(
        f"cannot write {path}: its folder vanishes again and again. Look for a program that "
        "removes folders there."
    )


def link(temporary: str, path: str) -> None:
    """Give *temporary* a second name, *path*, if that is free.

    Raises:
        FileExistsError: It is not.
        StorageError: The file system makes no hard links, so nobody can promise one winner.
    """
    try:
        os.link(temporary, path)
    except OSError as cause:
        if cause.errno not in _NO_LINKS:
            raise
        raise StorageError(
            f"cannot create {path}: its file system makes no hard links ({cause.strerror}), and "
            "without them two writers could both win. Keep the vault on ext4, XFS, btrfs, APFS, "
            "NFS or the like."
        ) from cause


def prune(folder: str, root: str) -> str:
    """Remove *folder* and those above it while they are empty; return the first that stays.

    *root* stays, and so do the folders directly below it: they are few, and used again.
    """
    while folder != root and os.path.dirname(folder) != root:
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass  # another delete was first
        except OSError as cause:
            if cause.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                break
            raise
        folder = os.path.dirname(folder)
    return folder


def sync_folders(folders: Iterable[str]) -> None:
    """Make the names in *folders*, and their absence, durable."""
    for folder in sorted(folders):
        try:
            file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # then its own absence is what has to last
            sync_folders([os.path.dirname(folder)])
            continue
        try:
            _sync(file)
        except OSError as cause:
            if cause.errno not in _NO_FOLDER_SYNC:
                raise
        finally:
            os.close(file)


def remove_quietly(paths: Iterable[str]) -> None:
    """Remove temporaries on the way out of a failure, which is what the caller hears of."""
    for path in paths:
        with suppress(OSError):
            os.unlink(path)


def sweep(folder: str, before: float) -> int:
    """Remove from *folder* what killed processes left there; return how many files went.

    A put that is still writing one of them fails and may be tried again: be generous.

    Args:
        folder: Where temporaries lie.
        before: Seconds since 1970; what was written later stays.

    Raises:
        OSError: The disk failed, or a file is another user's.
    """
    swept = 0
    with suppress(FileNotFoundError):
        for path in Path(folder).iterdir():
            with suppress(FileNotFoundError):  # it became an object, or went before us
                if path.lstat().st_mtime < before:
                    path.unlink()
                    swept += 1
    return swept


def _write_all(file: int, body: bytes | bytearray | memoryview) -> None:
    view = memoryview(body)
    if view.ndim != 1 or view.format != "B" or not view.contiguous:
        view = memoryview(view.tobytes())
    while view:
        view = view[os.write(file, view) :]


def _sync(file: int) -> None:
    if sys.platform == "darwin":
        # There fsync hands the bytes to the drive, which may keep them in a volatile cache.
        try:
            fcntl.fcntl(file, fcntl.F_FULLFSYNC)
        except OSError:  # not on network file systems
            os.fsync(file)
        return
    os.fsync(file)
