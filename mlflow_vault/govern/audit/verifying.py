"""Compares the whole log with itself and with what was signed.

Every entry is read once and held no longer: it must have its number's key, one spelling and this
vault's id, and name the digest of the entry before it.  The Merkle tree grows along, and where a
checkpoint was made its root must be the signed one.  What it says of decisions must be what the
ledgers say (`ledgers`), and what was said of versions or applied must be in it (`witnessed`).

What nobody signed can be rewritten from some entry to the end.  What was signed can be rewritten
with all checkpoints after some moment; that is what a checkpoint kept elsewhere (`known`) shows.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import tee
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import CorruptionError
from mlflow_vault.format import layout
from mlflow_vault.format.checkpoint import SignedCheckpoint, origin_of
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import LARGEST, Action
from mlflow_vault.format.merkle import SIZE, WIDTH, Tree, leaf_hash, tile_path
from mlflow_vault.govern.audit.finding import fetch
from mlflow_vault.govern.audit.keys import signers
from mlflow_vault.govern.audit.ledgers import Ledgers
from mlflow_vault.govern.audit.verification import Flaw, LogVerification
from mlflow_vault.govern.audit.witnessed import Witnessed
from mlflow_vault.store.protocol import Stat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlflow_vault.format.checkpoint import Checkpoint, PublicKey
    from mlflow_vault.format.log import LogEntry
    from mlflow_vault.govern.audit.log import Log

_MOST: Final = 1000  # flaws that are told
_NUMBER: Final = re.compile(r"[0-9]{20}")
_FOLDERS: Final = frozenset({layout.CHECKPOINTS, layout.TILES})


def verify(
    log: Log,
    trusted: Iterable[PublicKey] = (),
    known: Iterable[SignedCheckpoint] = (),
    progress: Callable[[int], None] = lambda _: None,
) -> LogVerification:
    """Read the whole log and compare everything; memory grows with decisions and their like alone.

    Args:
        log: Which.
        trusted: Keys that may sign checkpoints.  Without any, signatures are not judged: a forger
            of entries who forges checkpoints, too, is not noticed.
        known: Checkpoints that were kept elsewhere; the log must go on from each.
        progress: Told after every 256 entries how many there were since.

    Raises:
        StorageError: The store failed.
    """
    return _Verifying(log, tuple(trusted)).run(known, progress)


class _Verifying:
    """One pass over one log.

    Heads are checkpoints that count, the shortest last, each with what it is called.
    """

    def __init__(self, log: Log, trusted: tuple[PublicKey, ...]) -> None:
        self._log = log
        self._trusted = trusted
        self._flaws: list[Flaw] = []
        self._flawed: set[int] = set()
        self._heads: list[tuple[Checkpoint, str]] = []
        self._tree: Tree | None = Tree()  # None once an entry is missing
        self._count = 0
        self._before: Digest | None = None  # of the entry before; None if that is unknown
        self._like = 0  # as far as roots agree
        self._unlike: list[tuple[int, Checkpoint, str]] = []  # agreed as far as, head
        self._told = 0  # checkpoints that entries tell of, but the newest

    def run(
        self, known: Iterable[SignedCheckpoint], progress: Callable[[int], None]
    ) -> LogVerification:
        # Checkpoints are listed before entries, so that none is ahead of what is listed; so are
        # decisions, so that only the last of each model can be without its entry.
        self._ledgers, self._witnessed = Ledgers(self._log), Witnessed(self._log)
        checkpoints = self._take_checkpoints()
        for index, signed in enumerate(known):
            self._take_head(signed, f"the known checkpoint {index}")
        self._heads.sort(key=lambda head: -head[0].size)
        self._compare()
        listed, numbers = tee(self._numbers(layout.LOG))
        for sequence, stored in zip(listed, self._fetch(layout.log_key, numbers), strict=True):
            self._take(sequence, stored)
            self._compare()
            if self._count % WIDTH == 0:
                progress(WIDTH)
        progress(self._count % WIDTH)
        self._find_unlike()
        self._find_lost(checkpoints)
        for flaw in (*self._ledgers.compare(), *self._witnessed.compare()):
            self._add(flaw.key, flaw.reason, flaw.sequence)
        root = self._tree.root() if self._tree else b""
        vouched = self._like if self._trusted else 0
        flaws, pending = tuple(self._flaws), tuple(self._ledgers.pending)
        found = LogVerification(self._count, checkpoints, vouched, root, flaws)
        absent = tuple(self._witnessed.absent)
        return replace(found, decisions=self._ledgers.count, pending=pending, absent=absent)

    def _add(self, key: str, reason: str, sequence: int | None = None) -> None:
        """Note a flaw, the first of each entry."""
        if len(self._flaws) < _MOST and sequence not in self._flawed:
            self._flaws.append(Flaw(sequence, key, reason))
            if sequence is not None:
                self._flawed.add(sequence)

    def _numbers(self, prefix: str) -> Iterator[int]:
        """Yield the numbers of the objects directly below *prefix*, in order."""
        for found in self._log.store.list_level(prefix):
            name = found.key.removeprefix(prefix)
            if isinstance(found, Stat) and _NUMBER.fullmatch(name):
                yield int(name)
            elif found.key not in _FOLDERS:
                self._add(found.key, "this does not belong to the log")

    def _fetch(self, key: Callable[[int], str], numbers: Iterable[int]) -> Iterator[bytes | None]:
        readers = self._log.world.readers
        return fetch(self._log.store, readers, map(key, numbers), LARGEST + 1)

    def _take_checkpoints(self) -> int:
        listed, numbers = tee(self._numbers(layout.CHECKPOINTS))
        count = 0
        fetched = self._fetch(layout.checkpoint_key, numbers)
        for number, stored in zip(listed, fetched, strict=True):
            key = layout.checkpoint_key(number)
            if number != count:
                self._add(layout.checkpoint_key(count), _missing("checkpoint", count, number))
            count = number + 1
            try:
                self._take_head(SignedCheckpoint.from_bytes(stored or b"", key), key)
            except CorruptionError as error:
                self._add(key, error.reason)
        return count

    def _take_head(self, signed: SignedCheckpoint, name: str) -> None:
        origin = signed.checkpoint.origin
        if origin != origin_of(self._log.vault):
            self._add(name, f"it is of another log, {origin[:80]!r}")
        elif self._trusted and not signers(signed, self._trusted):
            names = ", ".join(repr(one.name) for one in signed.signatures[:5])
            self._add(name, f"no trusted key signed it; it names {names}")
        else:
            self._heads.append((signed.checkpoint, name))

    def _take(self, sequence: int, stored: bytes | None) -> None:
        key = layout.log_key(sequence)
        if sequence != self._count or stored is None:
            missing = sequence + (stored is None)
            self._add(
                layout.log_key(self._count), _missing("entry", self._count, missing), self._count
            )
            self._tree = self._before = None
        self._count = sequence + 1
        if stored is None:
            return
        try:
            self._link(self._log.parse(sequence, stored))
        except CorruptionError as error:
            self._add(key, error.reason, sequence)
        self._before = Digest.of(stored)
        if self._tree is not None:
            self._tree.grow(leaf_hash(stored))

    def _link(self, entry: LogEntry) -> None:
        self._ledgers.take(entry)
        self._witnessed.take(entry)
        sequence, before = entry.sequence, self._before
        if sequence == 0 and entry.predecessor is not None:
            self._add(layout.log_key(0), "the first entry was written behind another", 0)
        elif before is not None and entry.predecessor != before:
            self._add(
                layout.log_key(sequence - 1),
                f"it is not what entry {sequence} was written behind: one of the two was changed",
                sequence - 1,
            )
        if entry.action == Action.CHECKPOINT and _NUMBER.fullmatch(entry.subject.name.zfill(20)):
            self._told = max(self._told, int(entry.subject.name))

    def _compare(self) -> None:
        while self._heads and self._heads[-1][0].size <= self._count:
            head, name = self._heads.pop()
            if self._tree is None or head.size != self._count:
                continue  # what is missing was told
            if self._tree.root() == head.root:
                self._like = head.size
            else:
                self._unlike.append((self._like, head, name))

    def _find_unlike(self) -> None:
        """Which entries are not those that were signed: tiles tell, if they are what was signed."""
        if not self._unlike:
            return
        start, (_, head, name) = self._unlike[0][0], self._unlike[-1]
        if not self._is_tiled(head):
            reason = f"{name} has another root: something from here to entry {head.size - 1} is new"
            self._add(layout.log_key(start), reason, start)
            return
        first = start // WIDTH
        tiles = self._tiles(head, first)
        fetched = self._log.fetch(range(first * WIDTH, head.size))
        for tile in tiles:
            for at, (sequence, stored) in zip(
                range(0, len(tile or b""), SIZE), fetched, strict=False
            ):
                if leaf_hash(stored or b"") != (tile or b"")[at : at + SIZE]:
                    reason = f"it is not the entry that {name} was made over"
                    self._add(layout.log_key(sequence), reason, sequence)

    def _is_tiled(self, head: Checkpoint) -> bool:
        told = Tree()
        for tile in self._tiles(head):
            for at in range(0, len(tile or b""), SIZE):
                told.grow((tile or b"")[at : at + SIZE])
        return told.size == head.size and told.root() == head.root

    def _tiles(self, head: Checkpoint, first: int = 0) -> Iterator[bytes | None]:
        def key(index: int) -> str:
            return layout.LOG + tile_path(0, index, min(WIDTH, head.size - index * WIDTH))

        return self._fetch(key, range(first, -(-head.size // WIDTH)))

    def _find_lost(self, checkpoints: int) -> None:
        for head, name in self._heads:
            reason = f"entries {self._count} to {head.size - 1}, which {name} tells of, are gone"
            self._add(layout.log_key(self._count), reason, self._count)
        # An entry comes before its checkpoint, so the newest may be of one that was interrupted.
        if self._told > checkpoints:
            reason = _missing("checkpoint", checkpoints, self._told)
            self._add(layout.checkpoint_key(checkpoints), reason)


def _missing(what: str, start: int, stop: int) -> str:
    return f"this {what} is missing" + (f", and all up to {stop - 1}" if stop - start > 1 else "")
