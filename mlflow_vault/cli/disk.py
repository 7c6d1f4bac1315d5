"""How much lies on a disk: counted file by file, by nobody's word but the file system's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Never

from mlflow_vault.errors import InvalidInputError


def measure(path: Path) -> tuple[int, int]:
    """How many files are at and below *path*, and their bytes; links as a write takes them.

    Raises:
        InvalidInputError: Something there cannot be read.
    """
    if not path.is_dir():
        return 1, path.stat().st_size
    files = size = 0
    for folder, _, names in os.walk(path, onerror=_refuse):
        for name in names:
            try:
                size += (Path(folder) / name).stat().st_size
            except OSError as cause:
                _refuse(cause)
            files += 1
    return files, size


def _refuse(error: OSError) -> Never:
    raise InvalidInputError(f"{error.filename} cannot be read: {error.strerror}") from error
