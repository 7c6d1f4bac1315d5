"""What a version promises: its files come back, and every byte is as it was committed.

Both work from the entries that the version embeds, so they ask neither MLflow nor the artifact
path, and go on working when either is gone.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from typing import TYPE_CHECKING

from mlflow_vault.engine.export import write_out
from mlflow_vault.engine.upkeep import Damage, Verification
from mlflow_vault.errors import (
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    StorageError,
    VaultError,
)
from mlflow_vault.format import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlflow_vault.engine.reader import Reader
    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.version import File, Version


def check_out(
    version: Version,
    entries: Mapping[str, Entry],
    reader: Reader,
    destination: Path,
    progress: Callable[[int], None],
) -> None:
    """Write the files of *version* to the folder *destination*: all of them, or nothing.

    Raises:
        InvalidInputError: There is something at *destination* already.
        CorruptionError: A file cannot be read as it was committed; nothing was written.
        StorageError: The destination cannot be written; nothing was.
    """
    if destination.is_symlink() or (destination.exists() and not _is_empty(destination)):
        raise InvalidInputError(
            f"{destination} is not empty: check {version.label} out to a new or empty folder"
        )
    name = f"{destination.name[:50]}.{secrets.token_hex(6)}.part"
    temporary = destination.absolute().parent / name

    def read(path: str, target: Path) -> None:
        reader.restore(entries[path], target, progress)

    try:
        places = ((path, temporary.joinpath(*path.split("/"))) for path in entries)
        found = write_out(places, temporary, read)
        if found.damaged:
            first = found.damaged[0]
            raise CorruptionError(f"{version.label}, {first.path}", first.reason)
        _move(temporary, destination)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def verify_version(
    version: Version,
    entries: Mapping[str, Entry],
    reader: Reader,
    at_path: Callable[[str], Entry],
    progress: Callable[[int], None],
) -> Verification:
    """Read every file of *version* and compare it with both of its digests.

    The artifact path that it came from is compared too: what MLflow loads from there, where there
    still is something, should be what was committed.

    Raises:
        StorageError: The store failed.
    """
    size = 0
    damaged = []
    for file in version.files:
        sha256 = hashlib.sha256()
        try:
            for piece in reader.whole(entries[file.path]):
                sha256.update(piece)
                size += len(piece)
                progress(len(piece))
            if sha256.digest() != file.sha256:
                damaged.append(Damage(file.path, "its SHA-256 is not the one that was committed"))
        except StorageError:
            raise  # the store failed, which says nothing about the file
        except VaultError as error:
            damaged.append(Damage(file.path, str(error)))
        damaged += _at_path(version, file, at_path)
    return Verification(len(version.files), size, tuple(damaged))


def _at_path(version: Version, file: File, at_path: Callable[[str], Entry]) -> list[Damage]:
    root = version.origin.path
    alone = len(version.files) == 1 and root.rpartition("/")[2] == file.path
    try:
        entry = at_path(root if alone else layout.join(root, file.path))
    except NotFoundError:
        return []  # deleted since; the version does not need it
    except CorruptionError as error:
        return [Damage(file.path, f"at its artifact path: {error}")]
    if entry.digest == file.digest:
        return []
    return [
        Damage(
            file.path,
            f"its artifact path holds {entry.digest} instead: it was written around the seal. "
            "Check the version out to have what was committed",
        )
    ]


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and next(folder.iterdir(), None) is None


def _move(temporary: Path, destination: Path) -> None:
    try:
        if destination.exists():
            destination.rmdir()
        temporary.rename(destination)
    except OSError as cause:
        raise StorageError(
            f"{destination} cannot be written: {cause.strerror or cause}; nothing was changed there"
        ) from cause
