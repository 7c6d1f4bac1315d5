"""Which tensors of two versions belong together.

In files of one path a tensor is found by its name, or where names mean nothing by its type, shape
and turn.  What is left over is found by its name in any file, because a checkpoint that is
saved in other shards has the same tensors elsewhere:

    model.safetensors   embed, layer.0, layer.1    ->    model-00001-of-00002   embed, layer.0
                                                         model-00002-of-00002   layer.1

The entry of a small file holds its bytes, and nothing of its tensors: these are parsed for here.
What was only guessed to be numbers is no tensor.

An entry may come from strangers.  A tensor of which it says what cannot be true has a flaw: it is
shown, and never compared.

Pure: decides only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.differences import Change
from mlflow_vault.format.rows import Tensor
from mlflow_vault.format.tensors import find_arrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mlflow_vault.decide.differences import FileChange
    from mlflow_vault.format.elements import Element
    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.version import File

GUESSED: Final = "binary"  # the parser of files that look like numbers, and may be none
_MAX_RANK: Final = 64
_Label = tuple[str, object, int]


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor, and the file that holds it.

    Attributes:
        path: Of the file, from the version's root.
        tensor: As the file's entry describes it.
        flaw: Why it cannot be what its entry says; empty if it can.
    """

    path: str
    tensor: Tensor
    flaw: str = ""

    @property
    def size(self) -> int:
        """Bytes of the tensor."""
        return self.tensor.stop - self.tensor.start

    def to_dict(self) -> dict[str, Any]:
        """This place as plain values."""
        element = self.tensor.element
        return {
            "path": self.path,
            "name": self.tensor.name,
            "element": element.name if element else None,
            "shape": list(self.tensor.shape),
            "start": self.tensor.start,
            "stop": self.tensor.stop,
        }


@dataclass(frozen=True, slots=True)
class _Inline:
    """The bytes of a file that lies in its entry, for parsers."""

    plain: bytes

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.plain)

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes ``[start, stop)``."""
        return self.plain[start:stop]


@dataclass(frozen=True, slots=True)
class Pair:
    """A tensor before and after; None where there is none."""

    before: Place | None
    after: Place | None

    @property
    def verdict(self) -> tuple[Change | None, str]:
        """What became of it and why, as far as that can be said without its bytes.

        Returns:
            None for a change that only its bytes can tell.
        """
        if self.before is None:
            return Change.ADDED, self.after.flaw if self.after else ""
        if self.after is None:
            return Change.REMOVED, self.before.flaw
        before, after = self.before.tensor, self.after.tensor
        flaw = self.before.flaw or self.after.flaw
        if flaw:
            return Change.INCOMPARABLE, flaw
        # Of one type and shape, only numbers of an unknown type can be of another size.
        if before.element is not after.element or (
            before.shape == after.shape and self.before.size != self.after.size
        ):
            return Change.RETYPED, ""
        if before.shape != after.shape:
            return Change.RESHAPED, ""
        return None, ""


def places(path: str, entry: Entry) -> list[Place]:
    """Return the tensors of *entry*, with what is wrong with them."""
    found: list[Place] = []
    whole = entry.inline is not None or entry.size == sum(
        entry.rows[index].size for index in entry.sequence
    )
    reached = 0
    for tensor in sorted(_tensors(path, entry), key=lambda tensor: tensor.start):
        flaw = _flaw(tensor, entry.size) if whole else "its file does not add up"
        if not flaw and tensor.start < reached:
            flaw = "it overlaps another"
        if not flaw:
            reached = tensor.stop
        found.append(Place(path, tensor, flaw))
    return found


def match(
    changes: Iterable[FileChange], before: Mapping[str, Entry], after: Mapping[str, Entry]
) -> list[Pair]:
    """Pair the tensors of all files that did not stay as they were.

    Args:
        changes: Of the files.
        before: Entries of the first version, by path; a path that is missing has no tensors.
        after: Those of the second.

    Returns:
        Each tensor of those files once, in order of path and position.
    """
    pairs: list[Pair] = []
    for change in changes:
        if change.change in {Change.UNCHANGED, Change.RENAMED}:
            continue
        pairs += _pair(_places_of(change.before, before), _places_of(change.after, after))
    return sorted(_meet(pairs), key=_position)


def _tensors(path: str, entry: Entry) -> Iterable[Tensor]:
    if entry.inline is None:
        return () if entry.parser == GUESSED else entry.tensors
    layout = find_arrays(_Inline(entry.inline), name=path.rpartition("/")[2])
    if layout.parser == GUESSED:
        return ()
    return [
        Tensor(one.name, one.element, one.shape, one.start, one.stop, None, 0, 0)
        for one in layout.arrays
    ]


def _places_of(file: File | None, entries: Mapping[str, Entry]) -> list[Place]:
    return places(file.path, entries[file.path]) if file and file.path in entries else []


def _pair(olds: Sequence[Place], news: Sequence[Place]) -> Iterator[Pair]:
    """Pair the tensors of one file with those of another."""
    left = dict(zip(_labels(olds), olds, strict=True))
    fresh: list[Place] = []
    for label, new in zip(_labels(news), news, strict=True):
        if label in left:
            yield Pair(left.pop(label), new)
        else:
            fresh.append(new)
    gone = list(left.values())
    if _kinds(gone) == _kinds(fresh) and not any(one.tensor.name for one in (*gone, *fresh)):
        yield from map(Pair, gone, fresh)  # the same arrays in turn, of other shapes
        return
    yield from (Pair(old, None) for old in gone)
    yield from (Pair(None, new) for new in fresh)


def _kinds(found: Iterable[Place]) -> list[Element | None]:
    return [place.tensor.element for place in found]


def _meet(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Join what is gone here with what is new there, where a name leaves no doubt."""
    pairs = list(pairs)
    gone = _by_name(pair.before for pair in pairs if pair.before and not pair.after)
    new = _by_name(pair.after for pair in pairs if pair.after and not pair.before)
    both = gone.keys() & new.keys()
    for pair in pairs:
        place = pair.after or pair.before
        name = place.tensor.name if place else ""
        if name not in both or (pair.before and pair.after):
            yield pair
        elif pair.after:
            yield Pair(gone[name], pair.after)


def _by_name(found: Iterable[Place | None]) -> dict[str, Place]:
    """Those of *found* that are the only ones of their name."""
    named = [place for place in found if place and place.tensor.name]
    times = Counter(place.tensor.name for place in named)
    return {place.tensor.name: place for place in named if times[place.tensor.name] == 1}


def _labels(found: Iterable[Place]) -> Iterator[_Label]:
    """Name tensors so that they can be found again: by name, or by kind and turn."""
    turns: Counter[tuple[str, object]] = Counter()
    for place in found:
        tensor = place.tensor
        key = (tensor.name, None if tensor.name else (tensor.element, tensor.shape))
        turns[key] += 1
        yield (*key, turns[key])


def _position(pair: Pair) -> tuple[str, int]:
    place = pair.after or pair.before
    return (place.path, place.tensor.start) if place else ("", 0)


def _flaw(tensor: Tensor, size: int) -> str:
    """Why *tensor* cannot lie in a file of *size* bytes; empty if it can."""
    if not 0 <= tensor.start < tensor.stop <= size:
        return "it lies outside its file"
    if tensor.element is None:
        return ""
    if len(tensor.shape) > _MAX_RANK or any(not 0 < side <= size for side in tensor.shape):
        return "its shape is none"
    if prod(tensor.shape) * tensor.element.width != tensor.stop - tensor.start:
        return "its shape is not that of its bytes"
    return ""
