"""Looks at a whole vault: what it holds, what it costs, whether it is whole.

Reads only.  `measure` remembers which chunks it counted, about a hundred bytes each; nothing
else grows with the vault.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mlflow_vault.errors import (
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    StorageError,
    VaultError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.coding.codec import Codec
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.pack import EMPTY, cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow_vault.engine.reader import Reader
    from mlflow_vault.engine.tree import Tree
    from mlflow_vault.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Stats:
    """What a vault holds and what it costs.  All sizes are bytes.

    Attributes:
        files: How many files MLflow sees.
        damaged: How many more have an entry that cannot be read; `verify` says which.
        logical: Their sizes added up: what MLflow alone would store.
        stored: Everything in the store, notes and records of transactions included.
        unreferenced: Bytes of packs that no file needs; a collection would free them.
        by_coding: Stored bytes of what files need, by codec; ``inline`` for small files.
        by_experiment: ``{first folder: (files, logical bytes)}``.
        overhead: What is stored beside payloads: entries, frames of packs, hints, outcomes.
    """

    files: int = 0
    damaged: int = 0
    logical: int = 0
    stored: int = 0
    unreferenced: int = 0
    overhead: int = 0
    by_coding: dict[str, int] = field(default_factory=dict)
    by_experiment: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def saved(self) -> float:
        """The share of the logical bytes that is not stored; negative if more is."""
        return 1 - self.stored / self.logical if self.logical else 0.0

    def to_dict(self) -> dict[str, Any]:
        """These figures as plain values."""
        return {**asdict(self), "saved": self.saved}


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that cannot be read as it was written.

    Attributes:
        path: The artifact path.
        reason: What is wrong, and where in the store.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification or an export saw.

    Attributes:
        files: How many files were read (an export: and written).
        size: Their bytes.
        damaged: Those that cannot be read as they were written.
    """

    files: int
    size: int
    damaged: tuple[Damage, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every file came back as it was written."""
        return not self.damaged

    def to_dict(self) -> dict[str, Any]:
        """These findings as plain values."""
        return {**asdict(self), "is_whole": self.is_whole}


def measure(store: Store) -> Stats:
    """Add up what the vault in *store* holds."""
    packs: dict[bytes, int] = {}
    stored = 0
    for found in store.list(""):
        stored += found.size
        with suppress(InvalidInputError):  # not ours, as all that has such a key
            packs[layout.pack_of(found.key)] = found.size
    files = logical = 0
    seen: set[tuple[bytes, int]] = set()
    needed: Counter[bytes] = Counter()
    by_coding: Counter[str] = Counter()
    by_experiment: dict[str, tuple[int, int]] = {}
    damaged = 0
    for entry, size in _entries(store):
        if entry is None:
            damaged += 1
            continue
        files += 1
        logical += entry.size
        experiment = entry.path.partition("/")[0]
        count, total = by_experiment.get(experiment, (0, 0))
        by_experiment[experiment] = (count + 1, total + entry.size)
        if entry.inline is not None:
            by_coding["inline"] += size
        for row in entry.rows:
            if (row.pack, row.start) not in seen:
                seen.add((row.pack, row.start))
                needed[row.pack] += cost(row.stored, len(row.base))
                by_coding[Codec(row.codec).name.lower()] += row.stored
    unreferenced = sum(
        size if pack not in needed else size - EMPTY - needed[pack] for pack, size in packs.items()
    )
    return Stats(
        files=files,
        damaged=damaged,
        logical=logical,
        stored=stored,
        unreferenced=unreferenced,
        overhead=stored - unreferenced - by_coding.total(),
        by_coding=dict(sorted(by_coding.items())),
        by_experiment=dict(sorted(by_experiment.items())),
    )


def verify(tree: Tree, reader: Reader, path: str, progress: Callable[[int], None]) -> Verification:
    """Read every file at and below *path* and compare it with its digests."""
    files = size = 0
    damaged = []
    for name in tree.walk(path):
        files += 1
        try:
            for piece in reader.read(name):
                size += len(piece)
                progress(len(piece))
        except NotFoundError:
            files -= 1  # deleted since it was listed
        except StorageError:
            raise  # the store failed, which says nothing about the file
        except VaultError as error:
            damaged.append(Damage(name, str(error)))
    return Verification(files, size, tuple(damaged))


def _entries(store: Store) -> Iterator[tuple[Entry | None, int]]:
    """Yield every entry and its stored bytes; None for one that is damaged."""
    for found in store.list(layout.TREE):
        try:
            path = layout.path_of(found.key)
            entry = Entry.from_bytes(store.get(found.key), found.key)
        except (InvalidInputError, NotFoundError):
            continue  # no artifact's key, or deleted since it was listed
        except CorruptionError:
            yield None, found.size
        else:
            yield entry if entry.path == path else None, found.size
