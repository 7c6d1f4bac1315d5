"""Gives files back as plain ones in a folder, each verified.

What is in the destination is not trusted: a link there may lead anywhere and is not followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow_vault.engine.upkeep import Damage, Verification
from mlflow_vault.errors import CorruptionError, NotFoundError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mlflow_vault.engine.reader import Reader
    from mlflow_vault.engine.tree import Tree


def targets(tree: Tree, path: str, destination: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file at and below *path*, and where below *destination* an export puts it."""
    for name in tree.walk(path):
        inside = name[len(path) :].lstrip("/") or name.rpartition("/")[2]
        yield name, destination.joinpath(*inside.split("/"))


def export(
    tree: Tree, reader: Reader, path: str, destination: Path, progress: Callable[[int], None]
) -> Verification:
    """Write every file at and below *path* to the folder *destination*.

    A damaged file is left out and named in the result; the others are written.

    Raises:
        NotFoundError: There is nothing at *path*.
        StorageError: The store failed, or *destination* cannot be written.
    """

    def read(name: str, target: Path) -> None:
        reader.read_to(name, target, progress)

    found = write_out(targets(tree, path, destination), destination, read)
    if path and not found.files and not found.damaged:
        raise NotFoundError(f"there is nothing at {path!r} to export")
    return found


def write_out(
    files: Iterable[tuple[str, Path]], destination: Path, read: Callable[[str, Path], None]
) -> Verification:
    """Write *files* to their places below the folder *destination*.

    Args:
        files: Names, and where each goes.
        destination: A folder, made if missing.
        read: Writes the file of a name to a place.

    Raises:
        StorageError: The store failed, or *destination* cannot be written.
    """
    written = size = 0
    damaged = []
    try:
        destination.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise StorageError(f"{destination} cannot be made: {cause.strerror}") from cause
    for name, target in files:
        obstacle = _make_way(destination, target, written)
        if obstacle:
            damaged.append(Damage(name, obstacle))
            continue
        try:
            read(name, target)
        except NotFoundError:
            continue  # deleted since it was listed
        except CorruptionError as error:
            damaged.append(Damage(name, str(error)))
        else:
            written += 1
            size += target.stat().st_size
    return Verification(written, size, tuple(damaged))


def _make_way(destination: Path, target: Path, written: int) -> str:
    """Make the folder that *target* needs below *destination*; return what stands in its way.

    A link there is not followed: it may lead anywhere.
    """
    if not target.is_relative_to(destination):  # Windows takes a component "C:" for a disk
        return "its path leads out of the destination here; export it on another system"
    inner = target.relative_to(destination).parents
    if any((destination / folder).is_symlink() for folder in inner if folder.name):
        return "a link in the destination leads elsewhere; remove it and export again"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clashes = target.is_dir()
    except (FileExistsError, NotADirectoryError):
        clashes = True
    except OSError as cause:
        raise StorageError(
            f"{target.parent} cannot be made: {cause.strerror}; {written} files were written"
        ) from cause
    return "a file and a folder share a name; export them apart" if clashes else ""
