"""Finds the entries whose chunks a new file may share or be coded against.

In this order: what the caller names, the newest versions of the same file in the experiment, and,
where those do not know most of its tensors, members of its family.  At most a dozen requests,
however large the vault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.bases import Relative
from mlflow_vault.decide.families import family_buckets, series_buckets
from mlflow_vault.engine.hints import HintWriter, entry_at, members
from mlflow_vault.format.chunking import mean_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlflow_vault.engine.write.transaction import Transaction
    from mlflow_vault.format.entry import Entry, Tensor
    from mlflow_vault.store.protocol import Store

_MOST: Final = 3  # relatives of one file; each costs a read
_OF_SERIES: Final = 2  # the newest versions of the same file that are tried
_ENOUGH: Final = 0.5  # share of tensor bytes that a series must know, else the family is asked


def find_relatives(
    store: Store,
    transaction: Transaction,
    path: str,
    tensors: Sequence[Tensor],
    parents: Sequence[str],
) -> list[Relative]:
    """Read the relatives of a new file at *path*, best first.

    Their packs may be reused afterwards: they are read within *transaction*.
    """
    found: dict[str, Relative] = {}

    def consider(paths: Iterable[str], most: int) -> None:
        for other in paths:
            if len(found) >= most:
                return
            entry = None if other in found else entry_at(store, other)
            if entry is not None and entry.rows:
                transaction.trust(entry)
                found[other] = Relative(entry)

    consider(parents, _MOST)
    for bucket in series_buckets(path):
        if not found:
            consider(members(store, bucket)[: _OF_SERIES + 1], _OF_SERIES)
    if _known_share(found.values(), tensors) < _ENOUGH:
        votes: dict[str, int] = {}
        for bucket in family_buckets(tensors):
            for other in members(store, bucket):
                votes[other] = votes.get(other, 0) + 1
        consider(sorted(votes, key=lambda other: -votes[other])[:_MOST], _MOST)
    return list(found.values())


def inherited_mean(relatives: Sequence[Relative], size: int) -> int:
    """The mean chunk size of a new file: that of the file it is compared with, else by *size*.

    A forest grown from 14.8 to 29.6 MB is all new where the mean changes between versions.
    """
    return next((relative.entry.mean for relative in relatives), mean_for(size))


def remember(notes: HintWriter, entry: Entry) -> None:
    """Note *entry* where later files look for relatives."""
    notes.remember_file(entry)
    for bucket in (*series_buckets(entry.path), *family_buckets(entry.tensors)):
        notes.remember_member(bucket, entry.path)


def _known_share(relatives: Iterable[Relative], tensors: Sequence[Tensor]) -> float:
    """The share of the bytes of *tensors* that some relative continues; 1 without tensors."""
    total = sum(tensor.stop - tensor.start for tensor in tensors)
    matches = [relative.match(tensors) for relative in relatives]
    known = sum(
        tensor.stop - tensor.start
        for index, tensor in enumerate(tensors)
        if any(match[index] for match in matches)
    )
    return known / total if total else 1.0
