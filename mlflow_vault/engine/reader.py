"""Reads files back: entry, joined reads, decode, verify every digest.

Nothing reaches its destination before all of it was verified.  When a pack is missing the
entry is read again, because a collector or another writer may have been at work; only if it still
says the same is that damage.
"""

from __future__ import annotations

import itertools
import logging
import os
import secrets
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from blake3 import blake3

from mlflow_vault.config import MIB
from mlflow_vault.engine.payloads import Payloads, closure
from mlflow_vault.errors import CorruptionError, NotFoundError, StorageError
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from mlflow_vault.engine.world import World
    from mlflow_vault.format.rows import Row
    from mlflow_vault.store.protocol import Store

_log = logging.getLogger(__name__)
_WINDOW: Final = 16 * MIB  # plain bytes decoded at once
_AHEAD: Final = 2  # windows that are fetched and decoded while one is given out
_NAME: Final = 50  # characters of a name kept in its temporary's: 200 bytes of a disk's 255
_TRIES: Final = 5  # times an entry that changes under a reader is read again


class Reader:
    """Reads files of one vault.  Holds no threads between reads, so it survives a fork."""

    def __init__(self, store: Store, world: World) -> None:
        self._store = store
        self._world = world

    def entry(self, path: str) -> Entry:
        """Return the entry of *path*.

        Raises:
            NotFoundError: There is none.
            CorruptionError: It is damaged, or another path's.
        """
        key = layout.tree_key(path)
        try:
            entry = Entry.from_bytes(self._store.get(key), key)
        except NotFoundError as cause:
            raise NotFoundError(f"there is no artifact {path!r} in {self._store.uri}") from cause
        if entry.path != path:
            raise CorruptionError(key, f"it is the entry of {entry.path!r}")
        return entry

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield bytes ``[start, stop)`` of *path*, each piece verified before it is given out.

        Read from start to end, the file's own digest is verified too before this ends.

        Raises:
            NotFoundError: There is no such file.
            CorruptionError: It cannot be read as it was written.
        """
        entry = self.entry(path)
        given, hasher = start, blake3()
        for tries in itertools.count(1):
            try:
                for piece in self.pieces(entry, given, stop):
                    hasher.update(piece)
                    yield piece
                    given += len(piece)
            except NotFoundError as cause:
                again = self.entry(path)
                if again == entry or tries >= _TRIES:
                    raise CorruptionError(
                        layout.tree_key(path), f"a pack that it names is gone: {cause}"
                    ) from cause
                if again.digest != entry.digest and given != start:
                    raise StorageError(
                        f"{path} was replaced while it was read; read it again"
                    ) from cause
                entry = again
            else:
                break
        if start == 0 and given == entry.size and hasher.digest() != entry.digest.raw:
            found = Digest(hasher.digest())
            raise CorruptionError(layout.tree_key(path), f"its chunks make {found}")

    def read_to(
        self, path: str, destination: Path, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """Write the file *path* to *destination*, atomically, after all of it was verified.

        Raises:
            NotFoundError: There is no such file.
            CorruptionError: It cannot be read as it was written; nothing was written.
            StorageError: The destination cannot be written.
        """
        _write(self.read(path), destination, progress)

    def restore(
        self, entry: Entry, destination: Path, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """Write the file that *entry* holds to *destination*, as `read_to` does.

        Raises:
            CorruptionError: It cannot be read as it was written; nothing was written.
            StorageError: The destination cannot be written.
        """
        _write(self.whole(entry), destination, progress)

    def whole(self, entry: Entry) -> Iterator[bytes]:
        """Yield the file that *entry* holds; its digest is verified before this ends.

        Raises:
            CorruptionError: It cannot be read as it was written.
        """
        hasher = blake3()
        try:
            for piece in self.pieces(entry):
                hasher.update(piece)
                yield piece
        except NotFoundError as cause:
            raise CorruptionError(
                layout.tree_key(entry.path), f"a pack that it names is gone: {cause}"
            ) from cause
        if hasher.digest() != entry.digest.raw:
            found = Digest(hasher.digest())
            raise CorruptionError(layout.tree_key(entry.path), f"its chunks make {found}")

    def pieces(self, entry: Entry, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield bytes ``[start, stop)`` of the file that *entry* holds.

        Raises:
            NotFoundError: A pack is gone.
            CorruptionError: A chunk is damaged.
        """
        stop = entry.size if stop is None else min(stop, entry.size)
        if entry.inline is not None:
            if Digest.of(entry.inline) != entry.digest:
                raise CorruptionError(layout.tree_key(entry.path), "its inline bytes are not whole")
            if start < stop:
                yield entry.inline[start:stop]
            return
        if start >= stop:
            return
        first, rows = _covering(entry, start, stop)
        skip, left = start - first, stop - start
        for plain in self._decoded(entry, rows):
            piece = plain[skip : skip + left]
            skip = 0
            left -= len(piece)
            yield piece

    def _decoded(self, entry: Entry, rows: Sequence[Row]) -> Iterator[bytes]:
        """Yield the plain chunks *rows*, fetching and decoding windows ahead."""
        with (
            ThreadPoolExecutor(self._world.threads, "vault-read") as pool,
            ThreadPoolExecutor(self._world.readers, "vault-fetch") as readers,
            ThreadPoolExecutor(_AHEAD, "vault-plan") as planners,
        ):

            def begin(window: Sequence[Row]) -> list[Future[bytes]]:
                payloads = Payloads(self._store, pool, readers, self._world.cache)
                payloads.fetch(window, entry.rows)
                return payloads.begin(window, entry.rows)

            windows = _windows(rows, entry.rows)
            coming = deque(
                planners.submit(begin, window) for window in itertools.islice(windows, _AHEAD)
            )
            while coming:
                decoding = deque(coming.popleft().result())
                coming.extend(
                    planners.submit(begin, following) for following in itertools.islice(windows, 1)
                )
                while decoding:
                    yield decoding.popleft().result()


def _write(pieces: Iterable[bytes], destination: Path, progress: Callable[[int], None]) -> None:
    """Write *pieces* to *destination*, atomically, after the last of them came."""
    short = destination.name[:_NAME]
    temporary = destination.with_name(f"{short}.{secrets.token_hex(6)}.part")
    try:
        with temporary.open("xb") as file:
            for piece in pieces:
                file.write(piece)
                progress(len(piece))
        os.replace(temporary, destination)  # noqa: PTH105 - one word for the same call
    except OSError as cause:
        if isinstance(cause, (NotFoundError, StorageError)):
            raise
        raise StorageError(
            f"{destination} cannot be written: {cause.strerror or cause}; nothing was changed "
            "there. Make room or choose another place, and try again."
        ) from cause
    finally:
        with suppress(OSError):
            temporary.unlink()


def _covering(entry: Entry, start: int, stop: int) -> tuple[int, list[Row]]:
    """The rows under bytes ``[start, stop)`` of the file, and where the first one starts."""
    rows: list[Row] = []
    first = at = 0
    for index in entry.sequence:
        row = entry.rows[index]
        if at + row.size > start and at < stop:
            if not rows:
                first = at
            rows.append(row)
        at += row.size
    return first, rows


def _windows(rows: Sequence[Row], table: Sequence[Row]) -> Iterator[list[Row]]:
    """Cut *rows* into runs of a window's bytes, with their bases of two windows' at most.

    Nearly always each chunk has a base of its own size.  A hostile entry may give every chunk
    bases that are much larger.
    """
    window: list[Row] = []
    needed: dict[Digest, int] = {}
    plain = 0
    for row in rows:
        more = {one.digest: one.size for one in closure([row], table)}
        together = sum((needed | more).values())
        if window and (plain + row.size > _WINDOW or together > 2 * _WINDOW):
            yield window
            window, needed, plain = [], {}, 0
        window.append(row)
        needed |= more
        plain += row.size
    if window:
        yield window
