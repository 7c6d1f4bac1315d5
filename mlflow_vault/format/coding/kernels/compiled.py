"""The inner loops, compiled by numba: one pass over the bytes each, outside Python's lock."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlflow_vault.format.coding.kernels import arithmetic, packs, sorts
from mlflow_vault.format.coding.kernels.protocol import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mlflow_vault.format.coding.floats import Numbers
    from mlflow_vault.format.coding.kernels.protocol import Bytes, Ends, Planes
    from mlflow_vault.format.coding.scratch import Scratch
    from mlflow_vault.format.elements import Element

_KEYS: Final = 256  # fit in a byte
_NONE: Final = np.zeros(1, np.uint8)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A chunk's elements in its own order: one band.  See `Grouping`."""

    base: Numbers
    element: Element
    work: Scratch

    @property
    def sizes(self) -> list[int]:
        """See `Grouping.sizes`."""
        return [len(self.base)]

    def subtract(self, values: Numbers) -> Planes:
        """See `Grouping.subtract`."""
        return _split(self.steps(values), self.work, rotated=False)

    def add(self, planes: Planes) -> Numbers:
        """See `Grouping.add`."""
        return self.sum(_join(planes, self.work, rotated=False))

    def steps(self, values: Numbers) -> Numbers:
        """Return the steps from the base to *values*."""
        steps = self.work.array("steps", len(values), values.dtype)
        loop = arithmetic.subtracting(self.element.width, signed=self.element.exponent_bits > 0)
        loop(values, self.base, steps)
        return steps

    def sum(self, steps: Numbers) -> Numbers:
        """Undo `steps`."""
        # In place adding would be five times slower: the compiler could not tell that it may
        # take many numbers at once.
        values = self.work.array("values", len(self.base), self.base.dtype)
        loop = arithmetic.adding(self.element.width, signed=self.element.exponent_bits > 0)
        loop(steps, self.base, values)
        return values


@dataclass(frozen=True, slots=True)
class _Grouping:
    """See `Grouping`.

    Attributes:
        chunk: In its own order.
        keys: The clamped exponent of each element of the base, less the lowest.
        places: Where the first element of each key (row) of each stream (column) goes.
    """

    chunk: _Chunk
    keys: npt.NDArray[np.unsignedinteger[Any]]
    places: npt.NDArray[np.uint32]

    @property
    def sizes(self) -> list[int]:
        """See `Grouping.sizes`."""
        starts = [*self.places[:, 0].tolist(), len(self.keys)]
        return [stop - start for start, stop in pairwise(starts)]

    def subtract(self, values: Numbers) -> Planes:
        """See `Grouping.subtract`."""
        steps, work = self.chunk.steps(values), self.chunk.work
        ordered = work.array("joined", len(values), values.dtype)
        sort = sorts.sorting(steps.itemsize, self.keys.itemsize)
        sort(steps, self.keys, self.places.flatten(), ordered)
        return _split(ordered, work, rotated=False)

    def add(self, planes: Planes) -> Numbers:
        """See `Grouping.add`."""
        work, kind = self.chunk.work, self.chunk.base.dtype
        large = planes[1:].max(initial=0)
        ordered = _join(planes, work, rotated=False) if large else planes[0]
        steps = work.array("steps", len(self.keys), kind)
        unsort = sorts.unsorting(ordered.itemsize, kind.itemsize, self.keys.itemsize)
        unsort(ordered, self.keys, self.places.flatten(), steps)
        return self.chunk.sum(steps)


def group(base: Numbers, element: Element, ends: Ends | None, work: Scratch) -> _Chunk | _Grouping:
    """See `Kernels.group`."""
    chunk = _Chunk(base, element, work)
    if ends is None:
        return chunk
    low, high = ends
    keys = work.array("keys", len(base), np.uint8 if high - low < _KEYS else np.uint16)
    where = element.width, element.mantissa_bits, element.exponent_bits
    sorts.keying(*where, keys.itemsize)(base, low, high, keys)
    places = np.zeros((high + 1 - low, sorts.STREAMS), np.uint32)
    sorts.counting(keys.itemsize)(keys, places)
    return _Grouping(chunk, keys, places)


def split(values: Numbers, element: Element, work: Scratch) -> Planes:
    """See `Kernels.split`."""
    return _split(values, work, rotated=element.exponent_bits > 0)


def join(planes: Planes, element: Element, work: Scratch) -> Numbers:
    """See `Kernels.join`."""
    return _join(planes, work, rotated=element.exponent_bits > 0)


def _split(values: Numbers, work: Scratch, *, rotated: bool) -> Planes:
    planes = work.array("planes", values.nbytes, np.uint8).reshape(values.dtype.itemsize, -1)
    arithmetic.splitting(len(planes), rotated=rotated)(values, planes)
    return planes


def _join(planes: Planes, work: Scratch, *, rotated: bool) -> Numbers:
    values = work.array("joined", planes.shape[1], f"<u{len(planes)}")
    arithmetic.joining(len(planes), rotated=rotated)(planes, values)
    return values


def tally(planes: Planes, counts: Sequence[int], sample: int) -> Tally:
    """See `Kernels.tally`."""
    ends = np.cumsum([0, *filter(None, counts)])
    rows = (len(ends) - 1) * len(planes)
    found = Tally(np.zeros((rows, 256), np.int64), np.zeros(rows, np.bool_))
    packs.tallying()(planes, ends, sample, *found)
    return found


def pack(plane: Bytes, bits: int, work: Scratch) -> tuple[Bytes, Bytes]:
    """See `Kernels.pack`."""
    packed = np.empty(-(-len(plane) * bits // 8), np.uint8)
    beyond = work.array("beyond", len(plane) + 1, np.uint8)
    count = packs.packing(bits)(plane, packed, beyond)
    return packed, beyond[:count].copy()


def caps(packed: Bytes, bits: int, count: int) -> int:
    """See `Kernels.caps`."""
    return int(packs.counting_caps(bits)(packed, count))


def unpack(packed: Bytes, bits: int, beyond: Bytes, plane: Bytes) -> None:
    """See `Kernels.unpack`."""
    packs.unpacking(bits)(packed, beyond if len(beyond) else _NONE, plane)
