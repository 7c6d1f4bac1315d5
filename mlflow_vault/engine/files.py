"""The verbs of paths: write, list, read, verify, export and delete what lies in one vault.

Paths are POSIX strings below the vault's root.  Everything here may be called from many threads
and after a fork; nothing is held between calls but what `vault.json` said.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from mlflow_vault.engine.export import export, targets
from mlflow_vault.engine.reader import Reader
from mlflow_vault.engine.seals import Seals
from mlflow_vault.engine.tree import Item, Tree
from mlflow_vault.engine.upkeep import Stats, Verification, measure, verify
from mlflow_vault.engine.world import World
from mlflow_vault.engine.write.incoming import Incoming, files_below
from mlflow_vault.engine.write.source import Source
from mlflow_vault.engine.write.writer import Writer
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.record import Identity
    from mlflow_vault.store.protocol import Store

Items = list[Item]  # inside the class, `list` is its method


class Files:
    """The files of one vault, by path."""

    def __init__(self, store: Store, identity: Identity, world: World | None = None) -> None:
        world = world or World()
        self.store = store
        self.identity = identity
        self._world = world
        self._seals = Seals(store, world)
        self._tree = Tree(store, world, self._seals)
        self._reader = Reader(store, world)
        self._verifier = Reader(store, replace(world, cache=None))  # asks the store for every byte
        self._writer = Writer(store, identity, world, self._seals)

    @property
    def uri(self) -> str:
        """Where this vault lies."""
        return self.store.uri

    def write_file(
        self,
        source: Path,
        path: str,
        *,
        parents: Sequence[str] = (),
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Make the file *source* what *path* holds.

        Args:
            source: A file on disk.
            path: Where to, from the vault's root.
            parents: Paths of files that this one is likely to continue, tried first as bases.
            progress: Told the bytes as they are done.

        Raises:
            InvalidInputError: *path* climbs, or *source* is no file.
            SealedError: A version pins *path*.
            SourceChangedError: The file changed while it was read; nothing was committed.
            StorageError: The store failed; what *path* held before is still there.
        """
        self._writer.write(
            [Incoming(_file_path(path), partial(Source.open, source))],
            parents=parents,
            progress=progress,
        )

    def write_folder(
        self, source: Path, path: str, *, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """Make every file below the folder *source* a file below *path*; others there stay.

        Links to files are followed, links to folders are not entered.

        Raises:
            InvalidInputError: *source* is no folder, or a path cannot be logged.
            SealedError: A version pins one of the paths; files before it may have been written.
            StorageError: The store failed; some files may have been written, each whole.
        """
        self._writer.write(files_below(source, path), progress=progress)

    def write_stream(self, stream: BinaryIO, path: str, *, folder: Path | None = None) -> None:
        """Make what *stream* yields the content of *path*.

        Args:
            stream: Read until it is empty.
            path: Where to, from the vault's root.
            folder: Where to spool; None for the system's temporary folder.

        Raises:
            InvalidInputError: *path* climbs.
            SealedError: A version pins *path*.
            StorageError: The store or the spool failed.
        """
        _file_path(path)
        with Source.spool(stream, folder) as spooled:
            self._writer.write([Incoming(path, spooled.again)])

    def list(self, path: str = "") -> Items:
        """The files and folders directly below *path*, sorted; none for a file or nothing."""
        return self._tree.items(layout.check_path(path))

    def stat(self, path: str) -> Item | None:
        """What *path* is, None if nothing is there."""
        return self._tree.stat(layout.check_path(path))

    def entry(self, path: str) -> Entry:
        """What the vault knows of the file *path*: size, digests, tensors, chunks.

        Raises:
            NotFoundError: There is no such file.
            CorruptionError: The entry is damaged.
        """
        return self._reader.entry(_file_path(path))

    def walk(self, path: str = "") -> Iterator[str]:
        """Yield the paths of all files at and below *path*."""
        return self._tree.walk(layout.check_path(path))

    def read_file(
        self, path: str, destination: Path, *, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """Write the file *path* to *destination*, atomically, after all of it was verified.

        Raises:
            NotFoundError: There is no such file.
            CorruptionError: It cannot be read as it was written; nothing was written.
            StorageError: The destination cannot be written, or the store failed.
        """
        self._reader.read_to(_file_path(path), destination, progress)

    def read_span(self, path: str, start: int, stop: int) -> bytes:
        """Return bytes ``[start, stop)`` of the file *path*; a stop past the end is cut there.

        Raises:
            NotFoundError: There is no such file.
            CorruptionError: It cannot be read as it was written.
        """
        return b"".join(self.iter_file(path, start, stop))

    def iter_file(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the file *path* in verified pieces of at most a few MiB.

        Raises:
            InvalidInputError: *start* is negative.
            NotFoundError: There is no such file.
            CorruptionError: It cannot be read as it was written.
        """
        if start < 0:
            raise InvalidInputError(f"a span starts at 0 or later, not at {start}")
        return self._reader.read(_file_path(path), start, stop)

    def stats(self) -> Stats:
        """What this vault holds and what it costs; reads every entry, and no pack."""
        return measure(self.store)

    def verify(
        self, path: str = "", *, progress: Callable[[int], None] = lambda _: None
    ) -> Verification:
        """Read every file at and below *path* and compare it with its digests.

        Damage is in the result, not an exception.

        Raises:
            StorageError: The store failed.
        """
        return verify(self._tree, self._verifier, layout.check_path(path), progress)

    def export(
        self, path: str, destination: Path, *, progress: Callable[[int], None] = lambda _: None
    ) -> Verification:
        """Write every file at and below *path* to the folder *destination*, each verified.

        A damaged file is left out and named in the result; files that are there are replaced.

        Raises:
            NotFoundError: There is nothing at *path*.
            StorageError: The store failed, or *destination* cannot be written.
        """
        return export(self._tree, self._reader, layout.check_path(path), destination, progress)

    def targets(self, path: str, destination: Path) -> Iterator[tuple[str, Path]]:
        """Yield every file at and below *path*, and where an `export` would put it."""
        return targets(self._tree, layout.check_path(path), destination)

    def delete(self, path: str) -> tuple[str, ...]:
        """Remove everything at and below *path* but what is sealed.

        Returns:
            The sealed paths because of which something was kept.
        """
        return self._tree.delete(layout.check_path(path))


def _file_path(path: str) -> str:
    if not path:
        raise InvalidInputError("a file needs a path; '' is the vault itself")
    return layout.check_path(path)
