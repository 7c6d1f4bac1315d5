"""The index's file: opened only if it is this vault's, of this release, and as we left it.

Beside the file lies the digest of what was in it after the last change::

    <cache>/index/<vault id>.sqlite
    <cache>/index/<vault id>.sqlite.b3

Whatever else is there - damaged, of another vault or release, or left by a process that was killed
between the two - is removed and made again: all of it can be read from the vault and from MLflow.
SQLite alone would not notice a flipped bit.  A file that somebody else could have written is not
read either.

A change holds SQLite's exclusive lock until the digest is written; so of many processes one
changes, and none sees the file between two changes.  Where no file can be, the index lives in
memory.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import weakref
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.expression.likeness import is_like
from mlflow_vault.engine.cache import DEFAULT_LIMIT, FOLDER_VARIABLE, LIMIT_VARIABLE
from mlflow_vault.errors import StorageError, VaultError
from mlflow_vault.format.digest import Digest
from mlflow_vault.govern.index.tables import SCHEMA, SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_log = logging.getLogger(__name__)

_PATIENCE: Final = 60.0  # seconds that one process waits for another's change
_TRIES: Final = 3  # times that a file is made again before there is none
_OTHERS: Final = 0o022  # rights by which others could have written a file


def place_of(environment: Mapping[str, str], vault: str) -> Path | None:
    """Return where the index of the vault with the id *vault* lies, None if in memory.

    It lies in the cache's folder, see `engine.cache`, and in memory where there is no cache.
    """
    limit = environment.get(LIMIT_VARIABLE, "").strip() or str(DEFAULT_LIMIT)
    if not limit.isdecimal() or int(limit) == 0:
        return None
    chosen = environment.get(FOLDER_VARIABLE)
    home = environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    folder = Path(chosen) if chosen else Path(home, "mlflow-vault")
    return folder / "index" / f"{vault}.sqlite" if folder.is_absolute() else None


class File:
    """SQLite in the file *path*, or in memory if there is none; of the vault with the id *vault*.

    For many threads, which take turns, and many processes.
    """

    def __init__(self, path: Path | None, vault: str) -> None:
        self._vault = vault
        path = path.absolute() if path else None
        self._path = path
        self._turn = threading.RLock()
        self._memory: sqlite3.Connection | None = None
        if path is not None and not self._open(path):
            _log.debug("cannot keep an index at %s: it lives in memory", path)
            self._path = None
        if self._path is None:
            self._memory = _connect(None)
            weakref.finalize(self, self._memory.close)
            _make(self._memory, vault)

    def __repr__(self) -> str:
        return f"File({str(self._path) if self._path else None!r}, {self._vault!r})"

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for reading."""
        with self._turn, self._translated():
            if self._memory is not None:
                yield self._memory
                return
            with closing(_connect(self._path)) as connection:
                yield connection

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for one change, which is all made or not at all."""
        with self._turn, self._translated():
            if self._memory is not None:
                with _transaction(self._memory):
                    yield self._memory
                return
            with closing(_connect(self._path)) as connection:
                with _transaction(connection):
                    yield connection
                    # From here the lock stays until the connection closes.
                    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._describe(connection)

    def _open(self, path: Path) -> bool:
        """Whether the file is sound now, made again if it had to be."""
        for _ in range(_TRIES):
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _create(path)
                sound = _is_ours(path) and self._believe(path)
            except sqlite3.OperationalError as cause:
                if "locked" in str(cause):  # somebody is at it for long, and it may well be sound
                    return False
                sound = False
            except (AttributeError, OSError, sqlite3.Error):  # SQLite may lack `serialize`
                _log.debug("no sound index at %s", path, exc_info=True)
                sound = False
            if sound:
                return True
            _remove(path)
        return False

    def _believe(self, path: Path) -> bool:
        """Whether the file holds what its last writer left, for this vault and this release."""
        with closing(_connect(path)) as connection:
            with _transaction(connection):
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
                    return self._is_as_left(connection)
                _make(connection, self._vault)
            self._describe(connection)
        return True

    def _is_as_left(self, connection: sqlite3.Connection) -> bool:
        described = self._digest_path().read_text("ascii").strip()
        if described != str(Digest.of(connection.serialize())):
            return False
        meta = connection.execute("SELECT vault, schema FROM meta").fetchall()
        return meta == [(self._vault, SCHEMA_VERSION)]

    def _describe(self, connection: sqlite3.Connection) -> None:
        """Write the digest of what the file holds now."""
        path = self._digest_path()
        temporary = path.with_name(f"{path.name}.part")  # ours alone, as the lock is
        with suppress(FileNotFoundError):
            temporary.unlink()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(str(Digest.of(connection.serialize())))
        os.replace(temporary, path)  # noqa: PTH105 - one word for the same call

    def _digest_path(self) -> Path:
        path = self._path or Path()
        return path.with_name(f"{path.name}.b3")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Remove a file that turned out to be damaged, and let no foreign exception pass."""
        try:
            yield
        except VaultError:
            raise
        except (sqlite3.Error, OSError) as cause:
            # What SQLite says of a malformed file, and of one that somebody removed.
            damaged = type(cause) is sqlite3.DatabaseError or "unable to open" in str(cause)
            if damaged and self._path is not None:
                _remove(self._path)
            after = "it is made again when it is opened next" if damaged else "try again"
            raise StorageError(f"the search index cannot be used ({cause}): {after}") from cause


def _connect(path: Path | None) -> sqlite3.Connection:
    """Connect to the file *path*, which there must be, or to a new one in memory."""
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw" if path else ":memory:",
        timeout=_PATIENCE,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cache_size = -65536")
    except sqlite3.Error:
        connection.close()
        raise
    for function, fold in (("is_like", False), ("is_ilike", True)):
        connection.create_function(function, 2, _pattern(fold=fold), deterministic=True)
    return connection


def _pattern(*, fold: bool) -> Callable[[str | None, str], bool | None]:
    def fits(text: str | None, pattern: str) -> bool | None:
        return None if text is None else is_like(text, pattern, fold=fold)

    return fits


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _make(connection: sqlite3.Connection, vault: str) -> None:
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute("INSERT INTO meta VALUES (?, ?, '')", (vault, SCHEMA_VERSION))


def _create(path: Path) -> None:
    """Make an empty file that nobody else may read; SQLite's own would be open to all."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _is_ours(path: Path) -> bool:
    """Whether nobody else could have written the file."""
    if os.name != "posix":
        return path.is_file()
    status = path.lstat()
    plain = path.is_file() and not path.is_symlink()
    return plain and status.st_uid == os.geteuid() and not status.st_mode & _OTHERS


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}.b3", f"{path.name}-journal"):
        with suppress(OSError):
            path.with_name(name).unlink()
