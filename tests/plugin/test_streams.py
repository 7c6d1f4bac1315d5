"""Chunks that arrive on an event loop are read from a thread, whole or not at all."""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.plugin.streams import CountedStream, SpoolLimit, read_in_thread
from mlflow_vault.plugin.translate import SpoolFullError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


def run(chunks: AsyncIterator[bytes], read: Callable[[BinaryIO], None]) -> None:
    """Read *chunks* as a server would."""
    with ThreadPoolExecutor(1) as threads:
        asyncio.run(read_in_thread(chunks, read, threads))


@given(
    chunks=st.lists(st.binary(max_size=40), max_size=12),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4),
)
def test_read(chunks: list[bytes], sizes: list[int]) -> None:
    """However chunks are cut and asked for, what is read is what was sent."""

    async def arriving() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    pieces: list[bytes] = []

    def read(stream: BinaryIO) -> None:
        while piece := stream.read(sizes[len(pieces) % len(sizes)]):
            pieces.append(piece)

    run(arriving(), read)

    assert b"".join(pieces) == b"".join(chunks)


def test_client_goes_away() -> None:
    """A chunk that does not arrive fails the read: it is not the end."""

    async def arriving() -> AsyncIterator[bytes]:
        yield b"x" * 10
        raise ConnectionResetError("gone")

    read: list[bytes] = []

    with pytest.raises(ConnectionResetError):
        run(arriving(), lambda stream: read.append(stream.read()))

    assert read == []


def test_refusal_reads_the_rest() -> None:
    """A refusal comes after the client has sent all, so that the client hears it."""
    sent = []

    async def arriving() -> AsyncIterator[bytes]:
        for number in range(10):
            sent.append(number)
            yield b"x"

    def refuse(stream: BinaryIO) -> None:
        stream.read(1)
        raise SpoolFullError("no")

    with pytest.raises(SpoolFullError):
        run(arriving(), refuse)

    assert sent == list(range(10))


def test_cancelled() -> None:
    """A cancelled upload fails the reader, though more of it arrives."""
    ended: list[type[BaseException]] = []

    async def upload(threads: ThreadPoolExecutor) -> None:
        started = asyncio.Event()

        async def arriving() -> AsyncIterator[bytes]:
            while True:
                started.set()
                await asyncio.sleep(0.01)
                yield b"x"

        def read(stream: BinaryIO) -> None:
            try:
                stream.read()
            except OSError as error:
                ended.append(type(error))

        task = asyncio.ensure_future(read_in_thread(arriving(), read, threads))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(threads.shutdown)

    asyncio.run(asyncio.wait_for(upload(ThreadPoolExecutor(1)), 30))

    assert ended == [ConnectionAbortedError]


def test_more_uploads_than_threads() -> None:
    """Uploads that wait for a thread wait for nothing else: none of them starves."""
    done: list[bytes] = []

    async def upload(threads: ThreadPoolExecutor) -> None:
        async def arriving(number: int) -> AsyncIterator[bytes]:
            for _ in range(3):
                await asyncio.sleep(0)
                yield bytes([number])

        def read(stream: BinaryIO) -> None:
            done.append(stream.read())

        await asyncio.gather(
            *(read_in_thread(arriving(number), read, threads) for number in range(20))
        )

    with ThreadPoolExecutor(2) as threads:
        asyncio.run(asyncio.wait_for(upload(threads), 30))

    assert sorted(done) == [bytes([number]) * 3 for number in range(20)]


def test_spool_limit() -> None:
    """Uploads share one limit; what ends, well or not, gives its bytes back."""
    limit = SpoolLimit(10)

    with limit.upload() as first:
        first(6)
        with limit.upload() as second:
            second(4)
            with pytest.raises(SpoolFullError):
                second(1)
        first(4)
    with limit.upload() as third:
        third(10)


def test_counted() -> None:
    """Every byte is counted once, before it is handed on."""
    taken: list[int] = []

    counted = CountedStream(io.BytesIO(b"0123456789"), taken.append)

    assert counted.read(4) == b"0123"
    assert counted.read() == b"456789"
    assert sum(taken) == 10


@pytest.mark.parametrize("text", ["", "-1", "1 GB", "1e9"])
def test_bad_limit(text: str) -> None:
    """A limit that is no number of bytes is refused, not guessed."""
    with pytest.raises(InvalidInputError, match="MLFLOW_VAULT_SPOOL_LIMIT"):
        SpoolLimit.from_environment({"MLFLOW_VAULT_SPOOL_LIMIT": text})
