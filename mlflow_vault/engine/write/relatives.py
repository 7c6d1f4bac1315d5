"""Finds the entries whose chunks a new file may share or be coded against.

In this order: what the caller names, the newest versions of the same file in the experiment, and,
where those do not know most of its tensors, members of its family.  At most a dozen requests,
however large the vault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.bases import Relative
from mlflow_vault.decide.families import family_buckets, series_buckets
from mlflow_vault.format.chunking import MEAN_SIZES, mean_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlflow_vault.engine.hints import Hints
    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.rows import Tensor

_MOST: Final = 2  # relatives of one file; each costs a read
_ENOUGH: Final = 0.5  # share of tensor bytes that is known well enough to look no further


def find_relatives(
    hints: Hints, path: str, tensors: Sequence[Tensor], parents: Sequence[str]
) -> list[Relative]:
    """Read the relatives of a new file at *path*, best first."""
    found: dict[str, Relative] = {}

    def consider(paths: Iterable[str]) -> None:
        for other in paths:
            if len(found) >= _MOST or _known_share(found.values(), tensors) >= _ENOUGH:
                return
            entry = None if other in found else hints.entry(other)
            if entry is not None and entry.rows:
                found[other] = Relative(entry)

    consider(parents)
    for bucket in series_buckets(path):
        consider(hints.members(bucket)[:_MOST])
        if found:
            break
    if tensors and _known_share(found.values(), tensors) < _ENOUGH:
        votes: dict[str, int] = {}
        for bucket in family_buckets(tensors):
            for other in hints.members(bucket):
                votes[other] = votes.get(other, 0) + 1
        consider(sorted(votes, key=lambda other: -votes[other])[:_MOST])
    return list(found.values())


def inherited_mean(relatives: Sequence[Relative], size: int) -> int:
    """The mean chunk size of a new file: that of the file it is compared with, else by *size*.

    A forest grown from 14.8 to 29.6 MB is all new where the mean changes between versions.
    """
    inherited = relatives[0].entry.mean if relatives else 0
    return inherited if inherited in MEAN_SIZES else mean_for(size)


def remember(hints: Hints, entry: Entry) -> None:
    """Note *entry* where later files look for relatives.

    The second bucket of a series is for its first version only: later ones find it by the first.
    """
    hints.remember_file(entry)
    exact, *loose = series_buckets(entry.path)
    begins = not hints.members(exact)
    for bucket in (exact, *(loose if begins else ()), *family_buckets(entry.tensors)):
        hints.remember_member(bucket, entry.path)


def _known_share(relatives: Iterable[Relative], tensors: Sequence[Tensor]) -> float:
    """The share of the bytes of *tensors* that some relative continues.

    Without tensors any relative knows all.
    """
    relatives = list(relatives)
    if not tensors:
        return float(bool(relatives))
    total = sum(tensor.stop - tensor.start for tensor in tensors)
    matches = [relative.match(tensors) for relative in relatives]
    known = sum(
        tensor.stop - tensor.start
        for index, tensor in enumerate(tensors)
        if any(match[index] for match in matches)
    )
    return known / total
