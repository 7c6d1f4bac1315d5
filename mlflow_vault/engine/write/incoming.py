"""What is to be written: files, and the files of a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_vault.engine.write.source import Source
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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


def _raise(error: OSError) -> None:
    raise InvalidInputError(f"{error.filename} cannot be read: {error.strerror}") from error
