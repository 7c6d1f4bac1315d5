"""One writer that may be killed at any moment and goes on where it was; for `test_killed`.

    python killed_writer.py <uri of a vault> <folder> <writer> <writes>

What a writer does is a function of its number alone, so that a test knows every content that may
be at a path.  In ``<folder>/<writer>.log`` it notes when a write begins, and when it is done:

    began 12 8123.25
    done 12 8123.31

Every third writer goes through MLflow's artifact repository, the others through the vault.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from mlflow_vault.testing.models import npy, safetensors, trained, weights
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

RUN: Final = f"7/{'0' * 32}/artifacts"
SHARED: Final = 3  # paths of each kind that all writers write
COMMON: Final = np.random.default_rng(1).bytes(320_000)
WEIGHTS: Final = weights(2, 90_000)
KINDS: Final = ("inline", "chunked", "delta", "tensors")


@dataclass(frozen=True, slots=True)
class Write:
    """The *number*-th write of *writer*: one file, or a folder of one file of each kind."""

    writer: int
    number: int

    @property
    def is_folder(self) -> bool:
        """Whether files of all kinds are written together."""
        return self.number % 10 == 9

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of which kinds its files are."""
        return KINDS if self.is_folder else (KINDS[self.number % len(KINDS)],)

    @property
    def folder(self) -> str:
        """Below the run: every third one is the writer's own, else it is shared."""
        if self.number % 3 == 0:
            return f"of-{self.writer}"
        return f"shared-{self.number % SHARED}"

    def files(self) -> dict[str, bytes]:
        """Every content by its path below the run."""
        return {f"{self.folder}/{kind}": self.content(kind) for kind in self.kinds}

    def content(self, kind: str) -> bytes:
        """What is written: it says who wrote it, and shares most of its bytes with others."""
        seed = self.writer * 1000 + self.number
        if kind == "inline":
            return f"{seed} ".encode() * (1 + self.number)
        if kind == "chunked":
            own = np.random.default_rng(seed).bytes(60_000)
            return COMMON[:160_000] + own + COMMON[160_000:]
        if kind == "delta":
            return npy(trained(WEIGHTS, seed))
        return safetensors({"a": WEIGHTS[:70_000], "b": weights(seed, 15_000)})


def write_all(uri: str, folder: Path, writer: int, writes: int) -> None:
    """Write until *writes* are done, beginning with the one that a killed predecessor began."""
    log = folder / f"{writer}.log"
    done = log.read_text().count("done") if log.exists() else 0
    put = _through_mlflow(uri) if writer % 3 == 0 else _through_vault(uri)
    notes = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(what: str, number: int) -> None:
        os.write(notes, f"{what} {number} {time.monotonic()}\n".encode())

    for number in range(done, writes):
        write = Write(writer, number)
        sources = folder / f"{writer}-{number}"
        for path, content in write.files().items():
            source = sources / path
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_bytes(content)
        note("began", number)
        put(write, sources)
        note("done", number)


def _through_vault(uri: str) -> Callable[[Write, Path], None]:
    vault = Vault.open(uri)

    def put(write: Write, sources: Path) -> None:
        if write.is_folder:
            vault.write_folder(sources, RUN)
            return
        for path in write.files():
            vault.write_file(sources / path, f"{RUN}/{path}")

    return put


def _through_mlflow(uri: str) -> Callable[[Write, Path], None]:
    from mlflow_vault.plugin.artifact_repo import (  # noqa: PLC0415 - a second that others need not wait
        VaultArtifactRepository,
    )

    repository = VaultArtifactRepository(f"{uri}/{RUN}")

    def put(write: Write, sources: Path) -> None:
        if write.is_folder:
            repository.log_artifacts(sources)
            return
        for path in write.files():
            repository.log_artifact(sources / path, write.folder)

    return put


if __name__ == "__main__":
    write_all(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
