"""What a version promises: its files come back, and every byte is as it was committed.

Both work from the entries that the version embeds, so they ask neither MLflow nor the artifact
path, and go on working when either is gone.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final

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
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from mlflow_vault.engine.reader import Reader
    from mlflow_vault.engine.tree import Tree
    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.version import Version

_SMALL: Final = 1 << 20  # bytes of a file that facts are taken from


def check_out(
    version: Version,
    entries: Mapping[str, Entry],
    reader: Reader,
    destination: Path,
    progress: Callable[[int], None],
) -> None:
    """Write the files of *version* to the folder *destination*: all of them, or nothing.

    A folder that is there stays the folder that it is, as it may be where a volume is mounted, or
    closed to others: all is written inside it, and then moved up.

    Raises:
        InvalidInputError: There is something at *destination* already, or two of the paths are
            one to its disk.
        CorruptionError: A file cannot be read as it was committed; nothing was written.
        StorageError: The destination cannot be written; nothing was.
    """
    if destination.is_symlink() or (destination.exists() and not _is_empty(destination)):
        raise InvalidInputError(
            f"{destination} is not empty: check {version.label} out to a new or empty folder"
        )
    name = f"{destination.name[:50]}.{secrets.token_hex(6)}.part"
    temporary = (destination if destination.exists() else destination.absolute().parent) / name

    def read(path: str, target: Path) -> None:
        if target.exists():  # the folder is new, so this was written a moment ago
            raise InvalidInputError(
                f"{version.label} cannot be checked out here: to this disk {path!r} is the name "
                "of another of its files. Check it out to a disk that tells letters' case apart"
            )
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
    tree: Tree,
    progress: Callable[[int], None],
) -> Verification:
    """Read every file of *version* and compare it with both of its digests.

    The artifact path that it came from is compared too: what MLflow loads from there, where there
    still is something, should be what was committed, and nothing else.

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
    damaged += _at_path(version, reader, tree)
    return Verification(len(version.files), size, tuple(damaged))


def _at_path(version: Version, reader: Reader, tree: Tree) -> Iterator[Damage]:
    """Yield what is wrong at the artifact path; what was deleted there the version needs not."""
    root = version.origin.path
    committed = {file.path: file.digest for file in version.files}
    for name in tree.walk(root):
        path = name[len(root) :].lstrip("/") or name.rpartition("/")[2]
        try:
            digest = reader.entry(name).digest
        except NotFoundError:
            continue
        except CorruptionError as error:
            yield Damage(path, f"at its artifact path: {error}")
            continue
        if digest != committed.get(path):
            instead = "instead" if path in committed else "besides"
            yield Damage(
                path,
                f"its artifact path holds {digest} {instead}: it was written around the seal. "
                "Check the version out to have what was committed",
            )


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and next(folder.iterdir(), None) is None


def _move(temporary: Path, destination: Path) -> None:
    is_inside = temporary.parent == destination
    if is_inside and [*destination.iterdir()] != [temporary]:
        raise StorageError(f"{destination} was written to meanwhile; it was left as it is")
    moved: list[Path] = []
    try:
        if is_inside:
            for written in sorted(temporary.iterdir()):
                written.rename(destination / written.name)
                moved.append(destination / written.name)
            temporary.rmdir()
        else:
            temporary.rename(destination)
    except OSError as cause:
        for place in moved:
            with suppress(OSError):
                place.rename(temporary / place.name)
        raise StorageError(
            f"{destination} cannot be written: {cause.strerror or cause}; nothing was changed there"
        ) from cause


def small_files(reader: Reader, path: str) -> Callable[[str], bytes | None]:
    """Return what reads a small file below *path*, None where there is none that can be read."""

    def read(name: str) -> bytes | None:
        try:
            entry = reader.entry(layout.join(path, name))
            return b"".join(reader.whole(entry)) if entry.size <= _SMALL else None
        except (NotFoundError, CorruptionError, InvalidInputError):
            return None

    return read
