"""What differs between two versions, as far as their records tell: files and values.

A file that only moved has its digest still.  Values - parameters, metrics, packages, whatever was
declared - are trees of plain JSON, so they are laid out flat and compared leaf by leaf:

    environment  packages  numpy   1.26 -> 2.0
    params       lr                0.01 -> 0.001

What a run is by nature and no other is - its id, its times - is not compared.

Pure: decides only.  What differs inside files is for `decide.pairs` and `decide.stretches`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.format.version import finite, spelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow_vault.format.version import File, Version

# Of a version's facts, in the order in which people ask.
SECTIONS: Final = (
    "params",
    "metrics",
    "environment",
    "signature",
    "flavors",
    "datasets",
    "inputs",
    "git",
    "tags",
    "input_example",
    "mlflow_version",
    "command",
    "source",
)
_DEEPEST: Final = 16  # levels that are laid out; what lies deeper is one value
_ABSENT: Final = object()


class Change(Enum):
    """What became of a file, a value or a tensor."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"
    RETYPED = "retyped"
    RESHAPED = "reshaped"
    UNCHANGED = "unchanged"
    UNREAD = "unread"  # its chunks differ, and nobody asked for reading them
    INCOMPARABLE = "incomparable"  # what its entry says of it does not add up

    @property
    def mirrored(self) -> Change:
        """The same, seen from the other side."""
        return _MIRRORED.get(self, self)


_MIRRORED: Final = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED}


@dataclass(frozen=True, slots=True)
class FileChange:
    """What became of one file.

    Attributes:
        change: Added, removed, changed, renamed or unchanged.
        before: The file in the first version, None if it was added.
        after: The file in the second version, None if it was removed.
    """

    change: Change
    before: File | None
    after: File | None

    @property
    def path(self) -> str:
        """Where it lies now, or lay."""
        file = self.after or self.before
        return file.path if file else ""

    @property
    def mirrored(self) -> FileChange:
        """The same, seen from the other side."""
        return FileChange(self.change.mirrored, self.after, self.before)

    def to_dict(self) -> dict[str, Any]:
        """This change as plain values."""
        return {
            "change": self.change.value,
            "before": self.before.to_dict() if self.before else None,
            "after": self.after.to_dict() if self.after else None,
        }


@dataclass(frozen=True, slots=True)
class ValueChange:
    """What became of one value.

    Attributes:
        change: Added, removed or changed.
        section: Which of the version's facts; "metadata" for what was declared.
        keys: Where in it.
        before: The value in the first version, None if it was added.
        after: The value in the second version, None if it was removed.
    """

    change: Change
    section: str
    keys: tuple[str, ...]
    before: Any
    after: Any

    @property
    def name(self) -> str:
        """What people call it: ``params.lr``, ``numpy``."""
        if self.section == "environment":
            return self.keys[-1] if self.keys else self.section
        return ".".join((self.section, *self.keys))

    @property
    def mirrored(self) -> ValueChange:
        """The same, seen from the other side."""
        return ValueChange(self.change.mirrored, self.section, self.keys, self.after, self.before)

    def to_dict(self) -> dict[str, Any]:
        """This change as plain values."""
        return {
            "change": self.change.value,
            "section": self.section,
            "keys": list(self.keys),
            "before": self.before,
            "after": self.after,
        }


def files_between(before: Iterable[File], after: Iterable[File]) -> list[FileChange]:
    """Say what became of every file.

    Of several files with one content the first that is gone is taken for the first that is new.

    Returns:
        A change for each file of either side, sorted by path.
    """
    old = {file.path: file for file in before}
    new = {file.path: file for file in after}
    changes = [_file_change(old[path], new[path]) for path in old.keys() & new.keys()]
    gone: dict[object, list[File]] = defaultdict(list)
    for path in sorted(old.keys() - new.keys(), key=spelled, reverse=True):
        gone[old[path].digest].append(old[path])
    for path in sorted(new.keys() - old.keys(), key=spelled):
        file = new[path]
        # Every empty file has the same content, which says nothing of where it came from.
        if file.size and gone[file.digest]:
            changes.append(FileChange(Change.RENAMED, gone[file.digest].pop(), file))
        else:
            changes.append(FileChange(Change.ADDED, None, file))
    changes.extend(
        FileChange(Change.REMOVED, file, None) for files in gone.values() for file in files
    )
    return sorted(changes, key=lambda change: spelled(change.path))


def values_between(before: Version, after: Version) -> list[ValueChange]:
    """Say which values of *before* and *after* differ, section by section."""
    changes = []
    for section in ("metadata", *SECTIONS):
        old, new = (dict(_leaves(_section(version, section))) for version in (before, after))
        for keys in sorted(old.keys() | new.keys()):
            was, now = old.get(keys, _ABSENT), new.get(keys, _ABSENT)
            if was is _ABSENT:
                changes.append(ValueChange(Change.ADDED, section, keys, None, now))
            elif now is _ABSENT:
                changes.append(ValueChange(Change.REMOVED, section, keys, was, None))
            elif not _equal(was, now):
                changes.append(ValueChange(Change.CHANGED, section, keys, was, now))
    return changes


def _file_change(before: File, after: File) -> FileChange:
    same = before.digest == after.digest
    return FileChange(Change.UNCHANGED if same else Change.CHANGED, before, after)


def _section(version: Version, section: str) -> Any:
    return version.metadata if section == "metadata" else version.facts.get(section, {})


def _leaves(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Lay out *value* flat: each leaf, and where it hangs.

    A list of things that have names hangs by these, so that one more column moves no other.
    """
    if isinstance(value, list) and (named := _named(value)):
        value = named
    if isinstance(value, dict) and len(keys) < _DEEPEST:
        if not value and keys:
            yield keys, {}
        for key, inner in value.items():
            yield from _leaves(inner, (*keys, str(key)))
    else:
        yield keys, _plain(value)


def _plain(value: Any) -> Any:
    """*value* as JSON has it, so that NaN is NaN."""
    try:
        return finite(value)
    except RecursionError:  # JSON of strangers may be deeper than Python can follow
        return "(nested too deeply)"


def _named(values: list[Any]) -> dict[str, Any]:
    """*values* by their names, or nothing where one has none."""
    names: Counter[str] = Counter()
    found: dict[str, Any] = {}
    for value in values:
        name = value.get("name") if isinstance(value, dict) else None
        if not isinstance(name, str):
            return {}
        names[name] += 1
        label = name if names[name] == 1 else f"{name} ({names[name]})"
        found[label] = {key: inner for key, inner in value.items() if key != "name"}
    return found


def _equal(before: Any, after: Any) -> bool:
    """Whether two values of JSON are one: 1 is 1.0, but neither is true."""
    if isinstance(before, bool) != isinstance(after, bool):
        return False
    return bool(before == after)
