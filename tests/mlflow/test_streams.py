"""Uploads from streams arrive as they do in a local folder, whole or not at all."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.artifacts import get_artifact_repository

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Tell = Callable[[Callable[[str], object]], Any]
    Seen = Callable[[str], dict[str, int | None]]
    Outcome = Callable[[Callable[[], object]], str]


def repository(experiment: str) -> Any:
    """Return the repository of a new run of *experiment*."""
    with mlflow.start_run(experiment_id=experiment) as run:
        return get_artifact_repository(run.info.artifact_uri)


def test_streams(tell: Tell, seen: Seen) -> None:
    """What is logged from a stream, or from chunks as they arrive, is one file each."""
    body = bytes(range(256)) * 5000

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 70_001):
            await asyncio.sleep(0)
            yield body[start : start + 70_001]
            yield b""

    def story(experiment: str) -> object:
        made = repository(experiment)
        made.log_artifact_from_stream(io.BytesIO(body), "one.bin", "some/where")
        made.log_artifact_from_stream(io.BytesIO(), "dropped/folder/none.bin")
        asyncio.run(made.log_artifact_from_async_stream(chunks(), "two.bin", "some"))
        return seen(made.artifact_uri)

    assert tell(story) == {
        "none.bin": 0,
        "some": None,
        "some/two.bin": len(body),
        "some/where": None,
        "some/where/one.bin": len(body),
    }


def test_broken_streams(tell: Tell, seen: Seen, outcome: Outcome) -> None:
    """A stream that breaks leaves what was there before."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionResetError("the client is gone")

    def story(experiment: str) -> object:
        made = repository(experiment)
        made.log_artifact_from_stream(io.BytesIO(b"old"), "kept.bin")
        upload = made.log_artifact_from_async_stream
        return (
            outcome(lambda: asyncio.run(upload(chunks(), "kept.bin"))) != "no error",
            outcome(lambda: asyncio.run(upload(chunks(), "new.bin"))) != "no error",
            seen(made.artifact_uri),
        )

    assert tell(story) == (True, True, {"kept.bin": 3})
