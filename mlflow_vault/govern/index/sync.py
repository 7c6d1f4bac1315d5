"""Brings the index up to what the vault holds."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from mlflow_vault.errors import CorruptionError, NotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.index.index import Index

_log = logging.getLogger(__name__)
_BATCH: Final = 5000  # versions that one change adds: its digest costs as much as some hundreds
_A = TypeVar("_A")
_B = TypeVar("_B")


class Mapper(Protocol):
    """``map``, or that of an executor."""

    def __call__(self, function: Callable[[_A], _B], items: Iterable[_A], /) -> Iterator[_B]:
        """Apply *function* to each of *items*."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What changed.

    Attributes:
        added: How many versions are new.
        forgotten: How many are gone.
        unreadable: Keys of records that cannot be read, and are therefore not found.
    """

    added: int = 0
    forgotten: int = 0
    unreadable: tuple[str, ...] = ()


def sync(
    index: Index,
    list_keys: Callable[[], Iterable[str]],
    read_version: Callable[[str], Version],
    mapper: Mapper = map,
) -> Synced:
    """Add the records that are not indexed, and forget those that are gone.

    A record never changes, so its key says all.  One that is damaged is left out with a warning:
    the others can still be found.

    Args:
        index: The index.
        list_keys: Lists the keys of all records; whatever it raises, nothing is forgotten.
        read_version: Reads one record.
        mapper: Applies that to many; an executor's ``map`` reads several at once.
    """
    held = set(list_keys())
    indexed = index.keys()
    gone = indexed - held
    if gone:
        index.forget(gone)
    added = 0
    unreadable: list[str] = []

    def attempt(key: str) -> tuple[str, Version | None]:
        try:
            return key, read_version(key)
        except NotFoundError:  # deleted since it was listed
            return "", None
        except (CorruptionError, UnsupportedError) as cause:
            _log.warning("%s cannot be read, and its version not be found: %s", key, cause)
            return key, None

    missing = iter(sorted(held - indexed))
    while keys := list(islice(missing, _BATCH)):
        answers = list(mapper(attempt, keys))
        versions = [version for _, version in answers if version is not None]
        unreadable += [key for key, version in answers if version is None and key]
        if versions:
            index.add(versions)
            added += len(versions)
    return Synced(added, len(gone), tuple(unreadable))
