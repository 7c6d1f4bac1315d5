"""What a vault holds, as MLflow sees it: folders, files, their sizes; and deleting them.

Folders exist as long as something lies in them.  A listing is one request for each thousand
names; sizes come from a hint where one fits and else from the entries themselves.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlflow_vault.engine.hints import listed_sizes
from mlflow_vault.engine.seals import covers
from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.format import layout
from mlflow_vault.format.entry import size_of
from mlflow_vault.format.spelling import CONTINUED
from mlflow_vault.store.protocol import Stat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow_vault.engine.seals import Seals
    from mlflow_vault.engine.world import World
    from mlflow_vault.store.protocol import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """A file or folder in a vault.

    Attributes:
        path: From the vault's root.
        size: Bytes of the file; None for a folder.
    """

    path: str
    size: int | None

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder."""
        return self.size is None


class Tree:
    """The artifact paths of one vault."""

    def __init__(self, store: Store, world: World, seals: Seals) -> None:
        self._store = store
        self._world = world
        self._seals = seals

    def items(self, path: str = "") -> list[Item]:
        """The files and folders directly below *path*, sorted; none for a file or nothing."""
        folders, files = self._level(layout.tree_prefix(path))
        items = [Item(name, None) for _, name in _named(folders)]
        items += self._with_sizes(path, files)
        # A file and a folder may share a name, and their sizes do not compare.
        return sorted(items, key=lambda item: (item.path, not item.is_folder))

    def stat(self, path: str) -> Item | None:
        """What *path* is, None if nothing is there."""
        if path:
            key = layout.tree_key(path)
            try:
                return Item(path, size_of(self._store.get(key), key))
            except NotFoundError:
                pass
        inside = next(iter(self._store.list_level(layout.tree_prefix(path))), None)
        return None if inside is None and path else Item(path, None)

    def walk(self, path: str = "") -> Iterator[str]:
        """Yield the paths of all files at and below *path*."""
        for _, name in _named(found.key for found in self._entries(path)):
            yield name

    def etags(self, path: str = "") -> dict[str, str]:
        """The paths of all files at and below *path*, and what changes when they do."""
        found = {entry.key: entry.etag for entry in self._entries(path)}
        return {name: found[key] for key, name in _named(found)}

    def delete(self, path: str = "") -> tuple[str, ...]:
        """Remove everything at and below *path* but what is sealed.

        Returns:
            The sealed paths because of which something was kept.
        """
        seals = self._seals.below(layout.check_path(path))
        kept = set()
        for key, name in _named(found.key for found in self._entries(path)):
            sealed = [seal for seal in seals if covers(seal, name)]
            if sealed:
                kept.update(sealed)
            else:
                self._store.delete(key)
        return tuple(sorted(kept))

    def _entries(self, path: str) -> Iterator[Stat]:
        if path:
            found = self._store.stat(layout.tree_key(path))
            if found is not None:
                yield found
        yield from self._store.list(layout.tree_prefix(path))

    def _level(self, prefix: str) -> tuple[list[str], list[Stat]]:
        folders: list[str] = []
        files: list[Stat] = []
        for found in self._store.list_level(prefix):
            if isinstance(found, Stat):
                files.append(found)
            elif found.key.endswith(CONTINUED + "/"):  # the rest of a long name
                more_folders, more_files = self._level(found.key)
                folders += more_folders
                files += more_files
            else:
                folders.append(found.key)
        return folders, files

    def _with_sizes(self, folder: str, files: list[Stat]) -> list[Item]:
        names = dict(_named(file.key for file in files))
        known = listed_sizes(self._store, folder) if len(names) > 1 else {}
        sizes: dict[str, int | None] = {}
        for file in files:
            etag, size = known.get(file.key, ("", 0))
            if etag and etag == file.etag:
                sizes[file.key] = size
        asked = names.keys() - sizes.keys()
        if asked:
            with ThreadPoolExecutor(min(16, len(asked)), "vault-list") as pool:
                sizes.update(zip(asked, pool.map(self._size, asked), strict=True))
        return [Item(name, sizes[key]) for key, name in names.items() if sizes[key] is not None]

    def _size(self, key: str) -> int | None:
        try:
            return size_of(self._store.get(key), key)
        except NotFoundError:
            return None  # deleted since it was listed


def _named(keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each key with its path; what no path has was put there by somebody else, and stays."""
    for key in keys:
        try:
            name = layout.path_of(key)
        except InvalidInputError:
            _log.warning("%s is no artifact's key and is passed over", key)
        else:
            yield key, name
