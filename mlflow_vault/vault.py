"""The face: one `Vault` and its few verbs.

Paths are POSIX strings below the vault's root.  Everything here may be called from many threads
and after a fork; nothing is held between calls but what `vault.json` said.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from mlflow_vault.engine.identity import identity_of, make_identity
from mlflow_vault.engine.reader import Reader
from mlflow_vault.engine.seals import Seals
from mlflow_vault.engine.tree import Item, Tree
from mlflow_vault.engine.upkeep import Stats, Verification, export, measure, targets, verify
from mlflow_vault.engine.world import World
from mlflow_vault.engine.write.incoming import Incoming, files_below
from mlflow_vault.engine.write.source import Source
from mlflow_vault.engine.write.writer import Writer
from mlflow_vault.errors import InvalidInputError, NotFoundError, PermissionDeniedError
from mlflow_vault.format import layout
from mlflow_vault.store.address import Address
from mlflow_vault.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.record import Identity
    from mlflow_vault.store.protocol import Store

__all__ = ["Item", "Vault"]

Items = list[Item]  # inside the class, `list` is its method

_log = logging.getLogger(__name__)
_found: dict[str, Vault] = {}  # vaults by canonical URI; a vault.json never changes


class Vault:
    """A store with our format in it.

    Example:
        >>> from pathlib import Path
        >>> vault = Vault.init("vault-memory://example")
        >>> vault.write_file(Path(__file__), "1/run/artifacts/vault.py")
        >>> [item.path for item in vault.list("1/run/artifacts")]
        ['1/run/artifacts/vault.py']
    """

    def __init__(self, store: Store, identity: Identity, world: World | None = None) -> None:
        world = world or World()
        seals = Seals(store, world)
        self.store = store
        self.identity = identity
        self._tree = Tree(store, world, seals)
        self._reader = Reader(store, world)
        self._verifier = Reader(store, replace(world, cache=None))  # asks the store for every byte
        self._writer = Writer(store, identity, world, seals)

    def __repr__(self) -> str:
        return f"Vault({self.uri!r})"

    @property
    def uri(self) -> str:
        """Where this vault lies."""
        return self.store.uri

    @classmethod
    def open(cls, uri: str) -> Vault:
        """Open the vault whose root is *uri*.

        Raises:
            NotFoundError: There is no vault.
            UnsupportedError: It needs a newer release, which the message names.
        """
        return cls.at(open_store(address := Address.parse(uri)), World.around(address))

    @classmethod
    def at(cls, store: Store, world: World | None = None) -> Vault:
        """Open the vault in *store*.

        Raises:
            NotFoundError: There is no vault.
            UnsupportedError: It needs a newer release, which the message names.
        """
        return cls(store, identity_of(store), world)

    @classmethod
    def init(cls, uri: str) -> Vault:
        """Make a vault at *uri*, or open the one that is there; of two first makers one wins.

        Raises:
            StorageError: The store cannot be written.
        """
        return cls.init_at(open_store(address := Address.parse(uri)), World.around(address))

    @classmethod
    def init_at(cls, store: Store, world: World | None = None) -> Vault:
        """Make a vault in *store*, or open the one that is there."""
        return cls(store, make_identity(store, world or World()), world)

    @classmethod
    def find(cls, uri: str) -> tuple[Vault, str] | None:
        """Find the vault that *uri* lies in: the nearest folder, itself included, that is one.

        A place above the vault that we may not look at is taken for none.

        Returns:
            The vault and the path of *uri* in it, or None.

        Raises:
            PermissionDeniedError: We may look at none of them.
        """
        address = Address.parse(uri)
        denied: list[PermissionDeniedError] = []
        places = [address, *address.parents()]
        for place in places:
            name = str(place)
            vault = _found.get(name)
            if vault is None:
                try:
                    vault = cls.at(open_store(place), World.around(place))
                except NotFoundError:
                    continue
                except PermissionDeniedError as error:
                    denied.append(error)
                    continue
                _found[name] = vault
            return vault, layout.check_path(address.path[len(place.path) :].strip("/"))
        if len(denied) == len(places):
            raise denied[0]
        return None

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
