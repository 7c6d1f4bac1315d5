"""Compares two versions: files, values, tensors; reads only chunks that differ.

    records   -> files, values                       no byte of a file is read
    entries   -> pairs of tensors, equal chunks      nor here
    chunks    -> numbers of the tensors that changed

Both files of a pair are read in lockstep, a window at a time, so memory does not grow with them.
Nothing is ever unpickled: tensors are what entries say that lies in a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.differences import Change, files_between, values_between
from mlflow_vault.decide.pairs import match, places
from mlflow_vault.decide.stretches import Chunks
from mlflow_vault.errors import CorruptionError
from mlflow_vault.govern.diff.changes import Diff, Sizes, position
from mlflow_vault.govern.diff.comparing import Comparison, Effort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlflow_vault.decide.differences import FileChange
    from mlflow_vault.engine.reader import Reader
    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.diff.changes import TensorChange

_USUAL: Final = Effort()
_STAYED: Final = frozenset({Change.UNCHANGED, Change.RENAMED})


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two versions.

    Attributes:
        version: What it is.
        entries: Of its files, by path from its root.
    """

    version: Version
    entries: Mapping[str, Entry]


def compare(before: Side, after: Side, reader: Reader, effort: Effort = _USUAL) -> Diff:
    """Say what differs between two versions of one vault.

    Raises:
        CorruptionError: An entry is of another file than its version says, or a chunk is damaged.
        NotFoundError: A pack is gone.
        StorageError: The store failed.
    """
    for side in (before, after):
        _check(side)
    files = files_between(before.version.files, after.version.files)
    pairs = match(files, before.entries, after.entries)
    found = Comparison(before.entries, after.entries, reader, effort).changes(pairs)
    tensors = [change for change in found if change.change is not Change.UNCHANGED]
    unchanged = [change for change in found if change.change is Change.UNCHANGED]
    kept = [file.path for file in files if file.change in _STAYED and file.path in after.entries]
    return Diff(
        before=before.version.label,
        after=after.version.label,
        files=tuple(file for file in files if file.change is not Change.UNCHANGED),
        unchanged_files=sum(file.change is Change.UNCHANGED for file in files),
        values=tuple(values_between(before.version, after.version)),
        tensors=tuple(sorted(tensors, key=position)),
        unchanged_tensors=len(unchanged)
        + sum(len(places(path, after.entries[path])) for path in kept),
        sizes=_sizes(before, after, files, unchanged),
    )


def _check(side: Side) -> None:
    """Refuse entries that are not those of the version's files."""
    for file in side.version.files:
        entry = side.entries.get(file.path)
        if entry and (entry.digest, entry.size) != (file.digest, file.size):
            raise CorruptionError(
                file.path, f"its entry is of other bytes than {side.version.label} has there"
            )


def _sizes(
    before: Side, after: Side, files: Sequence[FileChange], unchanged: Sequence[TensorChange]
) -> Sizes:
    """Count bytes, and those of files, chunks and - where a file has none - tensors in both."""
    shared = []
    for number, (side, other) in enumerate(((before, after), (after, before))):
        digests = frozenset(row.digest for entry in other.entries.values() for row in entry.rows)
        total = 0
        for change in files:
            file = (change.before, change.after)[number]
            entry = side.entries.get(file.path) if file else None
            if file and change.change in _STAYED:
                total += file.size
            elif entry:
                total += Chunks(entry).shared(digests)
        for tensor in unchanged:
            place = (tensor.before, tensor.after)[number]
            if place and side.entries[place.path].inline is not None:
                total += place.size
        shared.append(total)
    return Sizes(before.version.size, after.version.size, *shared)
