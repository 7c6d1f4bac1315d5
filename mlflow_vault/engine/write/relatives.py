"""Finds the entries whose chunks a new file may share or be coded against.

In this order: the file that a half-precision one is a copy of, what the caller names, the newest
versions of the same file in the experiment, and, where those do not know most of its tensors,
members of its family.  At most a dozen requests,
however large the vault.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.bases import Relative
from mlflow_vault.decide.casts import is_half
from mlflow_vault.decide.families import family_buckets, series_buckets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from mlflow_vault.engine.hints import Hints
    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.rows import Tensor

_MOST: Final = 2  # relatives of one file; each costs a read
_ENOUGH: Final = 0.5  # share of tensor bytes that is known well enough to look no further


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A file that is about to be coded.

    Attributes:
        path: Where it goes.
        tensors: Its tensors.
        prints: What `decide.casts` says of its numbers.
        parents: Paths of files that the caller names as likely relatives.
    """

    path: str
    tensors: Sequence[Tensor]
    prints: Sequence[str] = ()
    parents: Sequence[str] = ()


def find_relatives(hints: Hints, file: Newcomer) -> list[Relative]:
    """Read the relatives of *file*, best first."""
    found: dict[str, Relative] = {}
    for path in _candidates(hints, file, found):
        if len(found) >= _MOST or _known_share(found.values(), file.tensors) >= _ENOUGH:
            break
        entry = None if path in found else hints.entry(path)
        if entry is not None and entry.rows:
            found[path] = Relative(entry)
    return list(found.values())


def _candidates(hints: Hints, file: Newcomer, found: Collection[str]) -> Iterator[str]:
    """Yield the paths of likely relatives, best first, given those that were *found* so far."""
    families = family_buckets(file.tensors)
    if is_half(file.prints):
        for bucket in families:
            noted = hints.prints(bucket).items()
            yield from [path for path, prints in noted if file.prints[0] in prints][:1]
    yield from file.parents
    for bucket in series_buckets(file.path):
        yield from _members(hints, bucket, file)[:_MOST]
        if found:
            break
    votes = Counter(path for bucket in families for path in _members(hints, bucket, file))
    yield from [path for path, _ in votes.most_common(_MOST)]


def remember(hints: Hints, entry: Entry, prints: Sequence[str] = ()) -> None:
    """Note *entry* and the *prints* of its numbers where later files look for relatives."""
    hints.remember_file(entry)
    for bucket in _buckets(hints, entry):
        hints.remember_member(bucket, entry.path, prints)


def _buckets(hints: Hints, entry: Entry) -> list[str]:
    """Where *entry* is noted.

    The second bucket of a series is for its first version only: later ones find it by the first.
    """
    exact, *loose = series_buckets(entry.path)
    begins = not hints.members(exact)
    return [exact, *(loose if begins else ()), *family_buckets(entry.tensors)]


def _members(hints: Hints, bucket: str, file: Newcomer) -> list[str]:
    """Paths of the newest entries in *bucket* that *file* may continue, newest first."""
    noted = hints.prints(bucket).items()
    return [other for other, prints in noted if is_half(file.prints) or not is_half(prints)]


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
