"""Where the bytes of a write come from: a file that holds still, or a spooled stream.

A source is read with ``pread`` into private copies and never mapped: another process that
truncates a mapped file kills the reader with SIGBUS.  What the file looked like before is
compared with what it looks like after, so a file that is written to while it is logged
is an error and not a chimera.
"""

from __future__ import annotations

import os
import stat
import tempfile
from concurrent.futures import wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from blake3 import blake3

from mlflow_vault.errors import InvalidInputError, NotFoundError, SourceChangedError, StorageError
from mlflow_vault.format.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from pathlib import Path
    from types import TracebackType

_PIECE: Final = 1 << 20  # bytes moved at a time from a stream
# Bytes read at a time for the digest.  While one piece is hashed the next is read: 91 MB that the
# page cache holds take 17 ms where reading and hashing in turn take 23 (in pieces of 0.5 MiB 21,
# of 4 MiB 20), if a core is free.
_READ: Final = 1 << 20
_Queue = SimpleQueue["memoryview | None"]


class Source:
    """An open file of known size.  A context manager; `check` says it did not change."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self.name = name
        self._before = self._look()
        self.size = self._before[0]

    @classmethod
    def open(cls, path: Path) -> Source:
        """Open the file *path*.

        Raises:
            NotFoundError: There is no such file.
            InvalidInputError: It is a folder, a socket or another thing without bytes.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as cause:
            raise NotFoundError(f"there is no file {path} to log") from cause
        except OSError as cause:
            raise InvalidInputError(f"{path} cannot be read: {cause.strerror}") from cause
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise InvalidInputError(f"{path} is not a regular file, so it cannot be logged")
        source = cls(descriptor, str(path))
        if not source.size and source.read_some(0):  # as files of /proc and of some mounts say
            with source, open(os.dup(descriptor), "rb") as stream:  # noqa: PTH123 - no name
                return cls.spool(stream)
        return source

    @classmethod
    def spool(cls, stream: BinaryIO, folder: Path | None = None) -> Source:
        """Take all of *stream* into a file without a name, which vanishes whatever happens.

        Args:
            stream: Read until it is empty.
            folder: Where to put the file; None for the system's temporary folder.

        Raises:
            StorageError: The disk is full.
        """
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                while piece := stream.read(_PIECE):
                    file.write(piece)
                file.flush()
                return cls(os.dup(file.fileno()), "the upload")
        except StorageError:
            raise
        except OSError as cause:
            raise StorageError(
                f"the upload could not be spooled to {folder or tempfile.gettempdir()}: "
                f"{cause.strerror or cause}; make room there and try again"
            ) from cause

    def read(self, start: int, stop: int) -> bytes:
        """Return a private copy of bytes ``[start, stop)``.

        Raises:
            SourceChangedError: The file is shorter than it was.
        """
        pieces = []
        while start < stop:
            try:
                piece = os.pread(self._descriptor, stop - start, start)
            except OSError as cause:
                raise self._unreadable(cause) from cause
            if not piece:
                raise self._shorter()
            pieces.append(piece)
            start += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def digest(self, pool: Executor, proceed: Callable[[], None] = lambda: None) -> Digest:
        """Return the digest of the whole file.

        Args:
            pool: Where one piece is read while the one before is hashed; it must have a thread
                besides the caller's.
            proceed: Called after each.

        Raises:
            SourceChangedError: The file is shorter than it was.
        """
        # Memory that is used again: what fresh memory costs is more than reading into it.
        # It goes to and fro by the one kind of queue that an interrupt cannot break.
        empty, full = _Queue(), _Queue()
        for _ in range(2):
            empty.put(memoryview(bytearray(min(_READ, self.size))))
        hasher, reading = blake3(), pool.submit(self._fill, empty, full)
        try:
            while (piece := full.get()) is not None:
                hasher.update(piece)
                empty.put(piece)
                proceed()
        finally:
            empty.put(None)
            wait([reading])  # it reads from a descriptor that is ours
        reading.result()
        return Digest(hasher.digest())

    def _fill(self, empty: _Queue, full: _Queue) -> None:
        """Read the file into what comes from *empty*; None ends either."""
        try:
            for start in range(0, self.size, _READ):
                piece = empty.get()
                if piece is None:
                    return
                full.put(self._read_into(piece[: self.size - start], start))
        finally:
            full.put(None)

    def _read_into(self, wanted: memoryview, start: int) -> memoryview:
        filled = 0
        while filled < len(wanted):
            try:
                count = os.preadv(self._descriptor, [wanted[filled:]], start + filled)
            except OSError as cause:
                raise self._unreadable(cause) from cause
            if not count:
                raise self._shorter()
            filled += count
        return wanted

    def read_some(self, start: int) -> bytes:
        """Return a byte at *start*, or none where the file really ends."""
        try:
            return os.pread(self._descriptor, 1, start)
        except OSError as cause:
            raise self._unreadable(cause) from cause

    def again(self) -> Source:
        """Open the same file once more; each is closed on its own."""
        return Source(os.dup(self._descriptor), self.name)

    def check(self) -> None:
        """Make sure that the file is what it was when it was opened.

        Raises:
            SourceChangedError: It is not.
        """
        if self._look() != self._before or self.read_some(self.size):
            raise SourceChangedError(
                f"{self.name} changed while it was read; nothing was committed. "
                "Log it again when nobody writes to it."
            )

    def _unreadable(self, cause: OSError) -> StorageError:
        return StorageError(f"{self.name} cannot be read: {cause.strerror}")

    def _shorter(self) -> SourceChangedError:
        return SourceChangedError(
            f"{self.name} became shorter while it was read; nothing was committed. "
            "Log it again when nobody writes to it."
        )

    def _look(self) -> tuple[int, int]:
        found = os.fstat(self._descriptor)
        return found.st_size, found.st_mtime_ns

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)
