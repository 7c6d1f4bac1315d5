"""Uploads through the proxy: MLflow's asynchronous chunks as a file that can be read.

The server hands us an asynchronous iterator that lives on its event loop; the vault reads
from a thread.  The thread asks the loop for the next chunk and waits, so at most one chunk
is under way and a slow client slows only itself:

    client --> event loop (the chunks) <--asks-- thread (`AsyncStream`) --> Vault.write_stream

What a client sends may have to be spooled, because some files can be cut only once their
end is known.  `SpoolLimit` counts the bytes of all unfinished uploads of this process and
refuses those beyond its limit; each worker process of a server counts for itself.
"""

from __future__ import annotations

import asyncio
import io
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mlflow.exceptions import MlflowException

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.plugin.translate import SpoolFullError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from typing import BinaryIO

    from _typeshed import WriteableBuffer

LIMIT_VARIABLE: Final = "MLFLOW_VAULT_SPOOL_LIMIT"
# bytes: a large checkpoint passes, and sixteen do not fill an ordinary server's disk
DEFAULT_LIMIT: Final = 64 << 30
BUFFER: Final = 1 << 20  # bytes: what MLflow's own repository moves at a time
UPLOADS_AT_ONCE: Final = 64  # threads; further uploads wait with their bytes still in the socket


class SpoolLimit:
    """How many bytes of unfinished uploads this process takes; safe to share."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> SpoolLimit:
        """Read the limit, in bytes, from `MLFLOW_VAULT_SPOOL_LIMIT`.

        Raises:
            InvalidInputError: It is not a number of bytes.
        """
        text = environment.get(LIMIT_VARIABLE, str(DEFAULT_LIMIT))
        if not text.isdecimal():
            raise InvalidInputError(f"{LIMIT_VARIABLE} is a number of bytes, got {text!r}")
        return cls(int(text))

    @contextmanager
    def upload(self) -> Iterator[Callable[[int], None]]:
        """Yield what an upload calls with the size of every piece; give all back at the end."""
        held = 0

        def take(size: int) -> None:
            nonlocal held
            with self._lock:
                if self._held + size > self._limit:
                    raise SpoolFullError(
                        f"unfinished uploads would exceed {self._limit} bytes; "
                        f"try again later or raise {LIMIT_VARIABLE} on the server"
                    )
                self._held += size
            held += size

        try:
            yield take
        finally:
            with self._lock:
                self._held -= held


class CountedStream(io.RawIOBase):
    """A stream whose every read is told to *take* before it is handed on."""

    def __init__(self, stream: BinaryIO, take: Callable[[int], None]) -> None:
        super().__init__()
        self._stream = stream
        self._take = take

    def readable(self) -> bool:
        """Return True: there is nothing else one can do."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read what there is, at most the size of *buffer*; 0 at the end."""
        view = memoryview(buffer)
        piece = self._stream.read(len(view))
        self._take(len(piece))
        view[: len(piece)] = piece
        return len(piece)


class AsyncStream(io.RawIOBase):
    """Chunks that arrive on an event loop, read from a thread.

    A chunk that fails to arrive (the client went away) fails the read, so that whoever
    reads knows that this is not the end.
    """

    def __init__(self, chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._chunks = chunks
        self._loop = loop
        self._rest = memoryview(b"")
        self._gone = threading.Event()

    def readable(self) -> bool:
        """Return True: there is nothing else one can do."""
        return True

    def abandon(self) -> None:
        """Fail the next read: nobody waits for this upload any more."""
        self._gone.set()

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read what the last chunk left, or wait for the next; 0 at the end."""
        view = memoryview(buffer)
        while not self._rest:
            try:
                chunk = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            except CancelledError as cause:
                raise ConnectionAbortedError("the upload was abandoned") from cause
            if self._gone.is_set():
                raise ConnectionAbortedError("the upload was abandoned")
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    async def _next(self) -> bytes | None:
        return await anext(self._chunks, None)


async def read_in_thread(
    chunks: AsyncIterator[bytes], read: Callable[[BinaryIO], None], threads: ThreadPoolExecutor
) -> None:
    """Call *read* in one of *threads* with *chunks* as a stream; return when it has read them.

    A refusal is raised only after the rest of the upload was read and dropped: answered
    while it still sends, a client would see a broken connection and try again.  Cancelling
    this fails the stream, so that nothing half-read is kept.
    """
    loop = asyncio.get_running_loop()
    stream = AsyncStream(chunks, loop)
    try:
        await loop.run_in_executor(threads, read, io.BufferedReader(stream, BUFFER))
    except MlflowException:
        async for _ in chunks:
            pass
        raise
    finally:
        stream.abandon()
