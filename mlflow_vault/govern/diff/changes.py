"""What a comparison of two versions found: files, values, tensors, and how much is shared.

Plain facts, from the first version to the second.  `comparing` finds them,
`spelled` spells them for people.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.differences import Change
from mlflow_vault.format.version import spelled as spelled_path
from mlflow_vault.govern.diff import spelled

if TYPE_CHECKING:
    from mlflow_vault.decide.differences import FileChange, ValueChange
    from mlflow_vault.decide.pairs import Place
    from mlflow_vault.govern.diff.measures import Numbers


@dataclass(frozen=True, slots=True)
class TensorChange:
    """What became of one tensor.

    Attributes:
        change: Any but renamed and unchanged.
        before: The tensor in the first version, None if it was added.
        after: The tensor in the second version, None if it was removed.
        numbers: How far both are apart; of changed tensors only.
        reason: Why they cannot be compared; what is wrong with a tensor that was added or removed.
    """

    change: Change
    before: Place | None
    after: Place | None
    numbers: Numbers | None = None
    reason: str = ""

    @property
    def place(self) -> Place:
        """Where it is now, or was."""
        place = self.after or self.before
        assert place is not None  # noqa: S101 - a tensor is in one of both
        return place

    @property
    def mirrored(self) -> TensorChange:
        """The same, seen from the other side."""
        numbers = self.numbers.mirrored if self.numbers else None
        return TensorChange(self.change.mirrored, self.after, self.before, numbers, self.reason)

    def to_dict(self) -> dict[str, Any]:
        """This change as plain values."""
        return {
            "change": self.change.value,
            "before": self.before.to_dict() if self.before else None,
            "after": self.after.to_dict() if self.after else None,
            "numbers": self.numbers.to_dict() if self.numbers else None,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of both versions, and how many of them are in the other one too.

    What both have is told by digests: files, chunks, and of small files tensors.
    """

    before: int
    after: int
    shared_before: int
    shared_after: int

    @property
    def mirrored(self) -> Sizes:
        """The same, seen from the other side."""
        return Sizes(self.after, self.before, self.shared_after, self.shared_before)


@dataclass(frozen=True, slots=True, repr=False)
class Diff:
    """What differs between two versions.

    Attributes:
        before: What the first version is called.
        after: What the second version is called.
        files: Those that are not what they were, sorted by path.
        unchanged_files: How many are.
        values: Of metadata, parameters, metrics, tags, signature, flavors, environment, git and
            datasets: those that are not what they were.
        tensors: Those that are not what they were, by path and position.
        unchanged_tensors: How many are; by digest or, where that left it open, by their bytes.
        sizes: Bytes, and how many are shared.
    """

    before: str
    after: str
    files: tuple[FileChange, ...]
    unchanged_files: int
    values: tuple[ValueChange, ...]
    tensors: tuple[TensorChange, ...]
    unchanged_tensors: int
    sizes: Sizes

    def __repr__(self) -> str:
        return f"Diff({self.summary!r})"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __bool__(self) -> bool:
        return not self.is_empty

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.files or self.values or self.tensors)

    @property
    def summary(self) -> str:
        """The most of it in one line."""
        return spelled.summary(self)

    @property
    def mirrored(self) -> Diff:
        """The difference from the second version to the first."""
        files = (file.mirrored for file in self.files)
        return Diff(
            self.after,
            self.before,
            tuple(sorted(files, key=lambda file: spelled_path(file.path))),
            self.unchanged_files,
            tuple(value.mirrored for value in self.values),
            tuple(sorted((one.mirrored for one in self.tensors), key=position)),
            self.unchanged_tensors,
            self.sizes.mirrored,
        )

    @property
    def tensor_counts(self) -> Counter[Change]:
        """How many tensors became what."""
        counts = Counter(tensor.change for tensor in self.tensors)
        counts[Change.UNCHANGED] = self.unchanged_tensors
        return counts

    def lines(self, limit: int = 20) -> list[str]:
        """Spell this for a terminal, the summary first.

        Args:
            limit: Of each kind of thing no more than this many.
        """
        return spelled.lines(self, limit)

    def _repr_html_(self) -> str:
        return spelled.html(self)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "before": self.before,
            "after": self.after,
            "summary": self.summary,
            "files": [file.to_dict() for file in self.files],
            "unchanged_files": self.unchanged_files,
            "values": [value.to_dict() for value in self.values],
            "tensors": [tensor.to_dict() for tensor in self.tensors],
            "unchanged_tensors": self.unchanged_tensors,
            "size_before": self.sizes.before,
            "size_after": self.sizes.after,
            "shared_before": self.sizes.shared_before,
            "shared_after": self.sizes.shared_after,
        }


def position(change: TensorChange) -> tuple[bytes, int, str, bool]:
    """Where a change stands among others: one order for both directions."""
    tensor = change.place.tensor
    return spelled_path(change.place.path), tensor.start, tensor.name, change.before is None
