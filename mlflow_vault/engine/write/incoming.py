"""What is to be written: files, the files of a folder, and which are named together."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlflow_vault.config import MIB
from mlflow_vault.engine.write.source import Source
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_FILES: Final = 256  # large files named by one transaction
# Plain bytes named by one transaction: their 65,000 rows take 40 MB until it commits.
_NAMED: Final = 64 * 1024 * MIB


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file to write: where to, and how to open it; opened again if a transaction is retried."""

    path: str
    open: Callable[[], Source]


def files_below(source: Path, path: str) -> Iterator[Incoming]:
    """Find every file below the folder *source*, sorted, and say where below *path* it goes.

    Links to files are followed, links to folders are not entered.

    Raises:
        InvalidInputError: *source* is no folder, or one below it cannot be read.
    """
    try:
        is_folder = source.is_dir()
    except OSError as cause:
        raise InvalidInputError(f"{source} cannot be read: {cause.strerror}") from cause
    if not is_folder:
        raise InvalidInputError(f"{source} is not a folder, so it cannot be logged as one")
    for folder, folders, names in os.walk(source, onerror=_raise):
        folders.sort()
        inside = Path(folder).relative_to(source).as_posix()
        target = path if inside == "." else layout.join(path, inside)
        for name in sorted(names):
            file = Path(folder) / name
            yield Incoming(layout.join(target, name), partial(Source.open, file))


def batches(files: Iterable[tuple[Incoming, int]]) -> Iterator[list[Incoming]]:
    """Split *files*, each with its size, into those that one transaction names."""
    batch: list[Incoming] = []
    named = 0
    for file, size in files:
        batch.append(file)
        named += size
        if len(batch) == _FILES or named >= _NAMED:
            yield batch
            batch, named = [], 0
    if batch:
        yield batch


def _raise(error: OSError) -> None:
    raise InvalidInputError(f"{error.filename} cannot be read: {error.strerror}") from error
