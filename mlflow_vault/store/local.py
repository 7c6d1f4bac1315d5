"""A store in a folder of a local disk: one file per object.

    <root>/packs/...  <root>/tree/...     objects, each at its key
    <root>/tmp/<process>-<random>         bytes that are not yet an object

An object is written to ``tmp/``, synced, and then given its name in one step: `os.replace` for
a put, `os.link` for a create, which fails if the name is taken and so has one winner.  Whoever
dies leaves at most a temporary; each process that writes removes those that are a day old, once.

Nothing is cached and no file stays open, so a store survives a fork and may be shared by
threads, and any number of processes may use one folder.  Only plain files are objects: a
listing that meets a symbolic link or a device raises, since it cannot say what lies behind it.

POSIX only: Windows cannot replace a file that someone reads.
"""
# ruff: noqa: PTH108, PTH112, PTH120

from __future__ import annotations

import errno
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from mlflow_vault.config import MIB
from mlflow_vault.errors import ConflictError, NotFoundError, UnsupportedError
from mlflow_vault.store.address import Address
from mlflow_vault.store.durability import (
    explained,
    link,
    make_folders,
    place,
    prune,
    remove_quietly,
    storage_error,
    sweep,
    sync_folders,
    write_new,
)
from mlflow_vault.store.keys import check_key, check_prefix, check_span
from mlflow_vault.store.walking import TEMPORARIES, stat_file, walk, walk_level

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mlflow_vault.store.protocol import Folder, Stat

# put_many: 2 KB files one after another take 0.6-0.9 ms each on ext4 here (slower, the slower the
# disk flushes); written and synced by 16 threads, so that the file system commits many at once,
# 0.17-0.3 ms (4 threads: 0.25-0.4).  One syncfs for all is cheaper still (0.08-0.16) but does
# nothing on FUSE, hides errors before Linux 5.8, waits for what other programs wrote and is
# missing on macOS.
_SYNCERS: Final = 16  # threads
# But a thread costs more than it takes a disk to sync that is quick just now: six files, one after
# another, 1.4 ms where threads take 2.6.
_FEW: Final = 8  # files that are worth the look
_QUICK: Final = 0.0005  # seconds for a file
_BATCH_ITEMS: Final = 512  # more gain nothing
_BATCH_BYTES: Final = 64 * MIB  # what put_many holds of its items at a time
_LEFT_BEHIND: Final = 86_400.0  # seconds after which nobody still writes a temporary


class LocalStore:
    """Keys to files below *root*, which is made by the first write.

    Raises:
        UnsupportedError: This is Windows.
    """

    def __init__(self, root: Path) -> None:
        require_posix(os.name)
        address = Address.of_path(root)
        self._uri = str(address)
        self._root = address.path
        self._temporaries = f"{self._root}/{TEMPORARIES}"
        self._swept = False

    def __repr__(self) -> str:
        return f"LocalStore({self._root!r})"

    @property
    def uri(self) -> str:
        """Where this store lies, for messages."""
        return self._uri

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return bytes ``[start, stop)`` of *key*, as `Store.get`."""
        check_key(key)
        check_span(start, stop)
        path = f"{self._root}/{key}"
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                return _read(file, start, stop)
            finally:
                os.close(file)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as cause:
            raise NotFoundError(f"{self._uri} holds no {key}") from cause
        except OSError as cause:
            raise storage_error("read", path, cause) from cause

    def put(self, key: str, body: bytes | bytearray | memoryview) -> str:
        """Write *key* whole and return its new etag, as `Store.put`."""
        check_key(key)
        path = f"{self._root}/{key}"
        with explained("write", path):
            temporary = self._temporary()
            try:
                etag = self._write(temporary, body)
                touched = place(temporary, path, os.replace)
            except BaseException:
                remove_quietly([temporary])
                raise
            sync_folders(touched)
        return etag

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> list[str]:
        """Put each of *items* and return their etags in order, as `Store.put_many`."""
        return [etag for batch in _batches(items) for etag in self._put_batch(batch)]

    def create(self, key: str, body: bytes | bytearray | memoryview) -> str:
        """Write *key* only if nothing is there, as `Store.create`.

        Raises:
            ConflictError: The key exists.
            StorageError: The disk failed, or its file system has no hard links: nothing else
                gives a name to finished bytes only if the name is free.
        """
        check_key(key)
        path = f"{self._root}/{key}"
        with explained("create", path):
            temporary = self._temporary()
            try:
                etag = self._write(temporary, body)
                sync_folders(place(temporary, path, link))
            except FileExistsError as cause:
                if os.path.isdir(path):
                    raise storage_error(
                        "create", path, IsADirectoryError(errno.EISDIR, "")
                    ) from cause
                raise ConflictError(f"{self._uri} already holds {key}: read and compare") from cause
            finally:
                remove_quietly([temporary])
        return etag

    def stat(self, key: str) -> Stat | None:
        """Return what a listing would say of *key*, as `Store.stat`."""
        check_key(key)
        with explained("look at", f"{self._root}/{key}"):
            return stat_file(self._root, key)

    def list(self, prefix: str) -> Iterator[Stat]:
        """Yield every object below *prefix*, as `Store.list`.

        Raises:
            StorageError: A folder cannot be read, or the root itself is missing: an unmounted
                disk must not look like an empty store.
        """
        check_prefix(prefix)
        return walk(self._root, prefix)

    def list_level(self, prefix: str) -> Iterator[Stat | Folder]:
        """Yield what lies directly below *prefix*, as `Store.list_level`.

        A folder shows only if an object lies below it: not one that a dying put left empty.
        """
        check_prefix(prefix)
        return walk_level(self._root, prefix)

    def delete(self, key: str) -> None:
        """Remove *key* if it is there and the folders this leaves empty, as `Store.delete`.

        Folders directly below the root stay: they are few, and used again.
        """
        check_key(key)
        path = f"{self._root}/{key}"
        with explained("delete", path):
            try:
                if stat.S_ISDIR(os.lstat(path).st_mode):
                    return
                os.unlink(path)
            except (FileNotFoundError, NotADirectoryError):
                return
            sync_folders([prune(os.path.dirname(path), self._root)])

    def _temporary(self) -> str:
        """A new name; whoever asks removes what gets it, whatever happens."""
        if not self._swept:
            self._swept = True
            with suppress(OSError):  # other users' leftovers are theirs to remove
                sweep(self._temporaries, time.time() - _LEFT_BEHIND)
        return f"{self._temporaries}/{os.getpid()}-{token_hex(8)}"

    def _write(self, temporary: str, body: bytes | bytearray | memoryview) -> str:
        try:
            return write_new(temporary, body)
        except FileNotFoundError:  # the first write of all
            touched: set[str] = set()
            make_folders(self._temporaries, touched)
            sync_folders(touched)
            return write_new(temporary, body)

    def _put_batch(self, batch: _Batch) -> _Strings:
        temporaries = [self._temporary() for _ in batch]
        with explained("write below", self._root):
            try:
                etags = self._write_all(temporaries, [body for _, body in batch])
                touched: set[str] = set()
                for (key, _), temporary in zip(batch, temporaries, strict=True):
                    touched |= place(temporary, f"{self._root}/{key}", os.replace)
            except BaseException:
                remove_quietly(temporaries)
                raise
            sync_folders(touched)
        return etags

    def _write_all(self, temporaries: _Strings, bodies: _Bodies) -> _Strings:
        """Write *bodies* to *temporaries* and return their etags; no thread writes afterwards."""
        etags: _Strings = []
        quick = len(bodies) <= _FEW
        while quick and len(etags) < len(bodies):
            began = time.perf_counter()
            etags.append(self._write(temporaries[len(etags)], bodies[len(etags)]))
            quick = time.perf_counter() - began < _QUICK
        names, rest = temporaries[len(etags) :], bodies[len(etags) :]
        try:
            with ThreadPoolExecutor(_SYNCERS) as pool:  # without rest, without threads
                return [*etags, *pool.map(self._write, names, rest)]
        except RuntimeError:  # no thread can be had: too many, or the interpreter ends
            remove_quietly(names)
            return [*etags, *map(self._write, names, rest)]


_Batch = list[tuple[str, bytes]]
_Bodies = list[bytes]
_Strings = list[str]  # inside the class `list` is the method


def require_posix(system: str) -> None:
    """Refuse to keep a vault on a disk of Windows (*system* is `os.name`).

    Raises:
        UnsupportedError: Files there cannot be replaced while they are read.
    """
    if system != "posix":
        raise UnsupportedError(
            "a vault on a local disk needs Linux or macOS. On Windows log through an MLflow server "
            "that serves artifacts (mlflow-artifacts:), with the vault behind it"
        )


def _read(file: int, start: int, stop: int | None) -> bytes:
    status = os.fstat(file)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    stop = status.st_size if stop is None else min(stop, status.st_size)
    if start >= stop:
        return b""
    body = os.pread(file, stop - start, start)
    if len(body) == stop - start:
        return body
    parts = [body]  # Linux reads at most 2 GiB at a time
    start += len(body)
    while start < stop:
        body = os.pread(file, stop - start, start)
        if not body:
            raise OSError(errno.EIO, "the file shrank while it was read")
        parts.append(body)
        start += len(body)
    return b"".join(parts)


def _batches(items: Iterable[tuple[str, bytes]]) -> Iterator[_Batch]:
    batch: _Batch = []
    held = 0
    for key, body in items:
        check_key(key)
        batch.append((key, body))
        held += len(body)
        if len(batch) == _BATCH_ITEMS or held >= _BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
