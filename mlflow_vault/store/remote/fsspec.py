"""A store in a bucket of Google's or a container of Azure's, through fsspec.

gcsfs and adlfs know those stores and how their users prove who they are; what is added here is
what they leave open:

- **Nothing is remembered.**  They keep listings, in which what another client deleted still is.
- **Who creates wins**, by ``mode="create"``: one request, with a condition.
- **Etags come with the answer to the put itself**, so they are never another writer's: Google's
  generation, Azure's etag.

Both try again by themselves, and cannot be told not to; ours comes on top and ends by the same
clock.  The file systems are opened at the first operation, anew in each process.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

import fsspec
from fsspec.asyn import sync

from mlflow_vault.errors import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    UnsupportedError,
    VaultError,
)
from mlflow_vault.store.keys import check_key, check_prefix, check_span
from mlflow_vault.store.protocol import Folder, Stat
from mlflow_vault.store.remote.retries import TRANSIENT_STATUSES, Patience, Transient, persist
from mlflow_vault.store.remote.together import put_together

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fsspec.asyn import AsyncFileSystem

    from mlflow_vault.store.address import Address

_WHOLE: Final = 1 << 30  # bytes; nothing that a vault puts is as large, so nothing is split
_MISSING: Final = 404
_PAST_END: Final = 416
_DENIED: Final = frozenset({401, 403})
_PACKAGES: Final = {"gs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


class FsspecStore:
    """Keys to bytes in a bucket that fsspec knows.

    Args:
        address: The bucket, and the prefix that all keys are under.
        environment: Where settings are looked for; the libraries look into the process's, too.
        options: Of the file system, besides what is set.
        patience: How long to wait, and how often to try.
    """

    def __init__(
        self,
        address: Address,
        environment: Mapping[str, str] = os.environ,
        options: Mapping[str, object] | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        self._address = address
        self._root = f"{address.authority}{address.path}/"
        self._environment = environment
        self._options = options or {}
        self._patience = patience
        self._lock = threading.Lock()
        self._opened: tuple[int, AsyncFileSystem] | None = None

    def __repr__(self) -> str:
        return f"FsspecStore({self.uri!r})"

    @property
    def uri(self) -> str:
        """Where this store lies, for messages."""
        return str(self._address)

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return bytes ``[start, stop)`` of *key*, as `Store.get`."""
        check_key(key)
        check_span(start, stop)
        if start == stop:  # HTTP knows no empty spans
            if self.stat(key) is None:
                raise NotFoundError(f"{self.uri} holds no {key}")
            return b""
        span = {} if (start, stop) == (0, None) else {"start": start, "end": stop}
        try:
            return bytes(self._ask("get", "cat_file", key, **span))
        except _PastEnd:
            return b""

    def put(self, key: str, body: bytes | bytearray | memoryview) -> str:
        """Write *key* whole and return its new etag, as `Store.put`."""
        check_key(key)
        return self._put(key, body, "overwrite")

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> list[str]:
        """Put *items*, some at a time, and return their etags in order, as `Store.put_many`."""
        return put_together(self.put, items)

    def create(self, key: str, body: bytes | bytearray | memoryview) -> str:
        """Write *key* only if nothing is there, as `Store.create`."""
        check_key(key)
        return self._put(key, body, "create")

    def stat(self, key: str) -> Stat | None:
        """Return what a listing would say of *key*, as `Store.stat`."""
        check_key(key)
        try:
            found = self._ask("ask for", "info", key)
        except NotFoundError:
            return None
        return self._stat(found) if found["type"] == "file" else None

    def list(self, prefix: str) -> Iterator[Stat]:
        """Yield every object below *prefix*, as `Store.list`."""
        check_prefix(prefix)
        # Not by the folder's own path: of an object that is called as it is, adlfs returns that.
        found = self._ask("list", "find", "", prefix=prefix[:-1], detail=True)
        if not isinstance(found, dict):
            raise StorageError(f"an object lies where {self.uri} needs a folder: move it away")
        return iter(sorted(self._objects(prefix, found.values())))

    def list_level(self, prefix: str) -> Iterator[Stat | Folder]:
        """Yield what lies directly below *prefix*, as `Store.list_level`."""
        check_prefix(prefix)
        try:
            found = self._ask("list", "ls", prefix, detail=True)
        except NotFoundError:
            return iter(())
        level: list[Stat | Folder] = list(self._objects(prefix, found))
        names = (self._key(each) for each in found if each["type"] == "directory")
        level += [Folder(f"{name.rstrip('/')}/") for name in names if name.startswith(prefix)]
        return iter(sorted(level, key=lambda each: each.key))

    def delete(self, key: str) -> None:
        """Remove *key* if it is there, as `Store.delete`."""
        check_key(key)
        try:
            self._ask("delete", "rm_file", key)
        except NotFoundError:
            return

    def _put(self, key: str, body: bytes | bytearray | memoryview, mode: str) -> str:
        whole = body if isinstance(body, bytes) else memoryview(body).tobytes()
        splitting = {"chunksize": _WHOLE} if self._address.scheme == "gs" else {}
        doing = "create" if mode == "create" else "put"
        try:
            put = self._ask(doing, "pipe_file", key, whole, mode=mode, **splitting)
        except NotFoundError as cause:
            raise StorageError(f"there is no bucket {self._address.authority}: make it") from cause
        return _etag(put)

    def _objects(self, prefix: str, found: Iterable[dict[str, Any]]) -> Iterator[Stat]:
        for each in found:
            # They also return an object that is called as the folder is.
            if each["type"] == "file" and self._key(each).startswith(prefix):
                yield self._stat(each)

    def _stat(self, found: dict[str, Any]) -> Stat:
        return Stat(self._key(found), found["size"], _etag(found))

    def _key(self, found: dict[str, Any]) -> str:
        return str(found["name"])[len(self._root) :]

    def _ask(self, doing: str, name: str, key: str, *args: object, **options: object) -> Any:
        """Call the file system's method *name* on *key*, with patience."""
        system = self._system()
        path = f"{self._root}{key}".rstrip("/")

        def attempt() -> Any:
            try:
                return sync(
                    system.loop,
                    getattr(system, f"_{name}"),
                    path,
                    *args,
                    timeout=self._patience.request,
                    **options,
                )
            except Exception as cause:
                raise _meaning(cause, f"cannot {doing} {self.uri}/{key}") from cause

        return persist(attempt, self._patience)

    def _system(self) -> AsyncFileSystem:
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = os.getpid(), self._open()
            return self._opened[1]

    def _open(self) -> AsyncFileSystem:
        scheme = self._address.scheme
        try:
            return fsspec.filesystem(
                scheme,
                use_listings_cache=False,
                skip_instance_cache=True,
                **{**self._settings(), **self._options},
            )
        except ImportError as cause:
            raise UnsupportedError(
                f"{self.uri} needs {_PACKAGES[scheme]}: pip install {_PACKAGES[scheme]}"
            ) from cause
        except VaultError:
            raise
        except Exception as cause:
            raise StorageError(
                f"cannot open {self.uri}: {str(cause).rstrip('.')}. Look at the account's settings "
                "(AZURE_STORAGE_*, GOOGLE_APPLICATION_CREDENTIALS)"
            ) from cause

    def _settings(self) -> dict[str, object]:
        if self._address.scheme == "gs":
            return {"requests_timeout": self._patience.request}
        settings: dict[str, object] = {
            "connection_timeout": self._patience.connect,
            "read_timeout": self._patience.silence,
        }
        key = self._environment.get("AZURE_STORAGE_ACCESS_KEY")  # as MLflow calls it
        if key:
            settings["account_key"] = key
        elif "AZURE_STORAGE_ANON" not in self._environment:
            settings["anon"] = False  # who has no key is asked for an identity, as by MLflow
        return settings


class _PastEnd(StorageError):  # noqa: N818 - it never leaves this module
    """The span begins where the object ends, or later."""


def _meaning(cause: Exception, failed: str) -> VaultError:
    """Return *cause* as an error of the vault's."""
    status = _status(cause)
    if status == _MISSING or isinstance(cause, FileNotFoundError):
        return NotFoundError(f"{failed}: there is none")
    if isinstance(cause, FileExistsError):
        return ConflictError(f"{failed}: it exists already. Read it and compare")
    why = str(cause).partition(chr(10))[0].rstrip(".") or type(cause).__name__
    if isinstance(cause, TimeoutError):
        why = "no answer in time. Look at the account's name and at the network"
    said = f"{failed}: {why}."
    if status == _PAST_END:
        return _PastEnd(said)
    if status in _DENIED or isinstance(cause, PermissionError):
        return PermissionDeniedError(
            f"{said} Give this identity the right to, or look at its key, token and clock."
        )
    unanswered = status == 0 and not isinstance(cause, (ValueError, TypeError))
    if unanswered or status in TRANSIENT_STATUSES:
        return Transient(said)
    return StorageError(f"{said} Look at the settings of the account; trying again is safe.")


def _status(cause: Exception) -> int:
    """Return HTTP's status, 0 if there was none."""
    if str(cause).startswith("Forbidden"):  # gcsfs
        return 403
    for name in ("status_code", "code", "status"):
        found = getattr(cause, name, None)
        if isinstance(found, int):
            return found
    return 0


def _etag(found: dict[str, Any]) -> str:
    return str(found.get("generation") or found.get("etag") or "").strip('"')
