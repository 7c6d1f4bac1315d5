"""Signs what the log holds, and keeps the tiles that prove it.

    read entries since the last checkpoint -> put tiles -> create the checkpoint

A checkpoint is an entry of the log, too, as its last one: so the log says when there was one and
who made it.  Checkpoints are numbered and created once.  Tiles are derived: putting them again
puts the same bytes, and those that are damaged are made anew from the entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import (
    ConflictError,
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    StorageError,
    UntrustedError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.checkpoint import LARGEST, Checkpoint, SignedCheckpoint, origin_of
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.entry_tiles import entries_path, join
from mlflow_vault.format.log import Action, Actor, Subject
from mlflow_vault.format.merkle import SIZE, WIDTH, Tree, leaf_hash, tile_path
from mlflow_vault.govern.audit.finding import newest
from mlflow_vault.govern.audit.keys import signers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow_vault.format.checkpoint import PublicKey
    from mlflow_vault.govern.audit.keys import Signer
    from mlflow_vault.govern.audit.log import Log

_TRIES: Final = 20  # other signers may be first
_TILES: Final = 16  # put together: two megabytes, usually


class Checkpoints:
    """The checkpoints over one log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._store = log.store
        self.origin = origin_of(log.vault)

    def count(self) -> int:
        """How many there are; they are numbered from 0."""
        return 1 + newest(
            lambda number: self._store.stat(layout.checkpoint_key(number)) is not None
        )

    def read(self, number: int) -> SignedCheckpoint:
        """Return one, parsed but not believed.

        Raises:
            NotFoundError: There is none.
            CorruptionError: It is damaged, or of another vault.
        """
        key = layout.checkpoint_key(number)
        signed = SignedCheckpoint.from_bytes(self._store.get(key, 0, LARGEST + 1), key)
        if signed.checkpoint.origin != self.origin:
            raise CorruptionError(key, f"it is of another log, {signed.checkpoint.origin[:80]!r}")
        return signed

    def latest(self, trusted: Iterable[PublicKey]) -> SignedCheckpoint | None:
        """Return the newest one, None if there is none.

        Raises:
            CorruptionError: It is damaged, or of another vault.
            UntrustedError: None of the *trusted* keys signed it.
        """
        number = self.count() - 1
        return None if number < 0 else self._trusted(number, trusted)

    def make(self, signer: Signer, trusted: Iterable[PublicKey] = ()) -> SignedCheckpoint:
        """Sign what the log holds; if nothing was added since the last one, return that.

        Args:
            signer: The key.
            trusted: Keys that may have signed earlier ones, besides *signer*'s.

        Raises:
            CorruptionError: The log is not what the last checkpoint says, or damaged since; nothing
                was signed.
            UntrustedError: The last checkpoint is signed by another key.
        """
        keys = (signer.public, *trusted)
        for _ in range(_TRIES):
            number = self.count()
            last = self._trusted(number - 1, keys) if number else None
            size = last.checkpoint.size if last else 0
            if last and self._log.size() <= size:
                return last
            tree = self._tree(last.checkpoint) if last else Tree()
            entry = self._log.append(
                Action.CHECKPOINT,
                Actor(signer.public.name, verified=True),
                Subject("checkpoint", str(number)),
                before={"size": size},
            )
            self._put_tiles(self._grown(tree, entry.sequence + 1))
            signed = signer.sign(Checkpoint(self.origin, tree.size, tree.root()))
            if self._create(number, signed):
                return signed
        raise ConflictError(f"others made checkpoints first, {_TRIES} times in a row: try again")

    def tile(self, level: int, index: int, size: int) -> bytes:
        """Return a tile's bytes as they were when the log had *size* entries; not believed.

        Raises:
            CorruptionError: It is missing, or not as long as it should be.
        """
        hashes = size >> (8 * level)
        width = min(WIDTH, hashes - index * WIDTH)
        key = layout.LOG + tile_path(level, index, width)
        try:
            stored = self._store.get(key, 0, width * SIZE + 1)
        except NotFoundError as cause:
            raise CorruptionError(key, "this tile is missing") from cause
        if len(stored) != width * SIZE:
            raise CorruptionError(key, f"it is no tile of {width} hashes")
        return stored

    def _trusted(self, number: int, trusted: Iterable[PublicKey]) -> SignedCheckpoint:
        signed = self.read(number)
        if not signers(signed, trusted):
            names = ", ".join(repr(one.name) for one in signed.signatures[:5])
            raise UntrustedError(
                f"{layout.checkpoint_key(number)} is signed by {names}, none of which is a trusted "
                "key. Give the public key that should have signed it, or verify the log."
            )
        return signed

    def _tree(self, checkpoint: Checkpoint) -> Tree:
        """The tree as *checkpoint* has it: from tiles, or from the entries if those are damaged."""
        try:
            tree = Tree(
                checkpoint.size, lambda level, index, _: self.tile(level, index, checkpoint.size)
            )
            if tree.root() == checkpoint.root:
                return tree
        except (CorruptionError, InvalidInputError):
            pass
        tree = Tree()
        self._put_tiles(self._grown(tree, checkpoint.size))
        if tree.root() != checkpoint.root:
            raise CorruptionError(
                layout.LOG,
                f"its first {checkpoint.size} entries are not those of the last checkpoint; "
                "verify the log to see which",
            )
        return tree

    def _grown(self, tree: Tree, size: int) -> Iterator[tuple[str, bytes]]:
        """Take entries into *tree* until it has *size*; yield the tiles that are new."""
        # A tile of entries that becomes full holds some that were signed before.
        fills = tree.size // WIDTH < size // WIDTH
        start = tree.size - tree.size % WIDTH if fills else tree.size
        before: Digest | None = None
        entries: list[bytes] = []
        for sequence, stored in self._log.fetch(range(max(start - 1, 0), size)):
            key = layout.log_key(sequence)
            if stored is None:
                raise CorruptionError(key, "this entry of the log is missing")
            entry = self._log.parse(sequence, stored)
            if (before is not None or sequence == 0) and entry.predecessor != before:
                raise CorruptionError(key, "it was not written behind the entry before it")
            before = Digest.of(stored)
            if sequence == tree.size:
                yield from tree.grow(leaf_hash(stored))
            if sequence % WIDTH == 0:
                entries = []
            entries.append(stored)
            if len(entries) == WIDTH:
                yield entries_path(sequence // WIDTH), join(entries)
        yield from tree.partial()

    def _put_tiles(self, tiles: Iterator[tuple[str, bytes]]) -> None:
        batch: list[tuple[str, bytes]] = []
        for path, tile in tiles:
            batch.append((layout.LOG + path, tile))
            if len(batch) == _TILES:
                self._store.put_many(batch)
                batch = []
        self._store.put_many(batch)

    def _create(self, number: int, signed: SignedCheckpoint) -> bool:
        """Create it; False if another's has this number."""
        key, stored = layout.checkpoint_key(number), signed.to_bytes()
        try:
            self._store.create(key, stored)
        except (ConflictError, StorageError) as error:
            try:
                return self._store.get(key, 0, LARGEST + 1) == stored
            except NotFoundError:
                raise error from None
        return True
