"""Writes files into a vault.

    small file -> entry                                  one put, many together in a folder
    large file -> digest -> known? -> its chunks named again
                                   -> else cut, coded, packed
               -> outcome -> entries -> hints

Nothing is named before it is durable: `engine.write.transaction` holds the order.  Small files are
named last, up to some 32 MiB of them, so that a model's description does not appear before its
weights.
"""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from mlflow_vault.config import INLINE_ENCODED, INLINE_PLAIN, MIB
from mlflow_vault.decide.casts import prints_of
from mlflow_vault.decide.families import family_buckets, series_buckets
from mlflow_vault.engine.hints import Hints
from mlflow_vault.engine.write.incoming import batches
from mlflow_vault.engine.write.packer import Packer
from mlflow_vault.engine.write.relatives import remember
from mlflow_vault.engine.write.shelf import Job, Shelf
from mlflow_vault.engine.write.transaction import Transaction
from mlflow_vault.errors import ConflictError
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlflow_vault.engine.seals import Seals
    from mlflow_vault.engine.world import World
    from mlflow_vault.engine.write.incoming import Incoming
    from mlflow_vault.format.record import Identity
    from mlflow_vault.store.protocol import Store

_log = logging.getLogger(__name__)
_TRIES: Final = 3  # transactions begun for one write before a collector's abort is reported
_BATCH: Final = 32 * MIB  # bytes of small entries held before they are put
_LISTED: Final = 16  # files logged together from which a folder's sizes are noted


class Writer:
    """Writes files into one vault.  Holds no threads between writes, so it survives a fork."""

    def __init__(self, store: Store, identity: Identity, world: World, seals: Seals) -> None:
        self._store = store
        self._identity = identity
        self._world = world
        self._seals = seals

    def write(
        self,
        files: Iterable[Incoming],
        *,
        parents: Sequence[str] = (),
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Make each of *files* what its path holds.

        Args:
            files: Their paths are checked before anything is read.
            parents: Paths of files that these are likely to continue, tried first as bases.
            progress: Told the plain bytes as they are done.

        Raises:
            InvalidInputError: A path or a file cannot be logged.
            SealedError: A path no longer changes.
            SourceChangedError: A file moved while it was read; its batch was not committed.
            StorageError: The store failed; what was there before is still there.
        """
        job = Job(parents, progress, self._world.monotonic())
        large: list[tuple[Incoming, int]] = []
        small: list[tuple[str, int, bytes]] = []
        held = 0
        for file in files:
            layout.check_path(file.path)
            body, size = _inline(file)
            if body is None:
                large.append((file, size))
                continue
            self._seals.refuse(file.path)
            small.append((file.path, size, body))
            progress(size)
            held += len(body)
            if held >= _BATCH:
                self._put_small(small, job)
                small, held = [], 0
        for batch in batches(large):
            self._write_large(batch, job)
        self._put_small(small, job)
        self._note_listings(job)

    def _put_small(self, small: list[tuple[str, int, bytes]], job: Job) -> None:
        if len(small) == 1:
            etags = [self._put_one(small[0][0], small[0][2], job.began)]
        else:
            for path, _, _ in small:
                self._seals.refuse(path, job.began)
            etags = self._store.put_many((layout.tree_key(path), body) for path, _, body in small)
        for (path, size, _), etag in zip(small, etags, strict=True):
            job.add(path, size, etag)

    def _put_one(self, path: str, body: bytes, began: float) -> str:
        """Name one small file, in one request unless that would replace another."""
        key = layout.tree_key(path)
        try:
            return self._store.create(key, body)
        except ConflictError:
            self._seals.refuse(path, began)
            return self._store.put(key, body)

    def _note_listings(self, job: Job) -> None:
        hints = Hints(self._store)
        for folder, sizes in job.folders.items():
            if len(sizes) >= _LISTED:
                hints.remember_sizes(folder, sizes)
        hints.put()

    def _write_large(self, files: Sequence[Incoming], job: Job) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                return self._transact(files, job)
            except ConflictError:
                if attempt == _TRIES:
                    raise
                _log.info("a collector aborted this write; it starts again")
        return None

    def _transact(self, files: Sequence[Incoming], job: Job) -> None:
        world, hints = self._world, Hints(self._store)
        with (
            ThreadPoolExecutor(world.threads, "vault-code") as pool,
            ThreadPoolExecutor(world.readers, "vault-fetch") as readers,
        ):
            permit = partial(self._permit, files, job.began)
            transaction = Transaction(self._store, world, readers, permit)
            try:
                with Packer(transaction, world) as packer:
                    shelf = Shelf(
                        store=self._store,
                        pool=pool,
                        readers=readers,
                        transaction=transaction,
                        packer=packer,
                        hints=hints,
                        near=world.near,
                        cache=world.cache,
                        cut_seed=self._identity.cut_seed,
                    )
                    written = [self._write_one(file, shelf, job) for file in files]
                    packer.flush()
                self._permit(files)  # that was minutes ago, perhaps
                packs = frozenset[bytes]().union(*(entry.packs for entry, _ in written))
                named = ((layout.tree_key(entry.path), entry.to_bytes()) for entry, _ in written)
                etags = transaction.commit(packs, named)
            except BaseException:
                transaction.abandon()
                raise
            for (entry, prints), etag in zip(written, etags, strict=True):
                job.add(entry.path, entry.size, etag)
                remember(hints, entry, prints)
            finishing = readers.submit(transaction.finish)  # hints name no pack: in any order
            hints.put()
            finishing.result()

    def _permit(self, files: Iterable[Incoming], since: float = float("-inf")) -> None:
        """Refuse to go on if one of *files* may not be written; a transaction looks at notices."""
        for file in files:
            self._seals.refuse(file.path, since, notices=False)

    def _write_one(self, file: Incoming, shelf: Shelf, job: Job) -> tuple[Entry, tuple[str, ...]]:
        """Store one file; return its entry, and the prints of its numbers."""
        with file.open() as source:
            shelf.expect(series_buckets(file.path))
            digest = source.digest(shelf.pool, shelf.transaction.refresh)
            shelf.transaction.ready()
            known = shelf.hints.known_file(digest)
            if known:
                entry = replace(known, path=file.path, transaction=shelf.transaction.id)
                shelf.expect(family_buckets(entry.tensors))
                ask = map if shelf.near else shelf.readers.map
                if all(ask(shelf.transaction.may_reuse, known.packs)):
                    prints = prints_of(known.tensors, source.read)
                    source.check()
                    job.progress(source.size)
                    return entry, prints
            from mlflow_vault.engine.write.content import write_content  # noqa: PLC0415 - see there

            entry = write_content(source, digest, file.path, shelf, job)
            shelf.expect(family_buckets(entry.tensors))
            return entry, prints_of(entry.tensors, source.read)


def _inline(file: Incoming) -> tuple[bytes | None, int]:
    """The entry of *file* if it is small enough to lie in it whole, and its plain size."""
    with file.open() as source:
        if source.size > INLINE_PLAIN:
            return None, source.size
        plain = source.read(0, source.size)
        source.check()
    entry = Entry(
        path=file.path,
        size=len(plain),
        digest=Digest.of(plain),
        sha256=hashlib.sha256(plain).digest(),
        inline=plain,
    )
    body = entry.to_bytes()
    return (body if len(body) <= INLINE_ENCODED else None), len(plain)
