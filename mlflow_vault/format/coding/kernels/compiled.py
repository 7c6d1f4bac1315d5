"""The inner loops, compiled by numba: one pass over the bytes each, outside Python's lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlflow_vault.format.coding.kernels import loops
from mlflow_vault.format.coding.kernels.protocol import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mlflow_vault.format.coding.floats import Numbers
    from mlflow_vault.format.coding.kernels.protocol import Bytes, Planes
    from mlflow_vault.format.coding.scratch import Scratch
    from mlflow_vault.format.elements import Element

_KEYS: Final = 256  # fit in a byte
_NONE: Final = np.zeros(1, np.uint8)


@dataclass(frozen=True, slots=True)
class _Grouping:
    """See `Grouping`.

    Attributes:
        base: What is subtracted.
        element: Of what type both are.
        keys: The clamped exponent of each of its elements, less the lowest.
        places: Where the first element of each key (column) of each stream (row) goes.
        work: Memory for the results.
    """

    base: Numbers
    element: Element
    keys: npt.NDArray[np.unsignedinteger[Any]]
    places: npt.NDArray[np.uint32]
    work: Scratch

    @property
    def sizes(self) -> list[int]:
        """See `Grouping.sizes`."""
        sizes: list[int] = np.diff(self.places[0], append=np.uint32(len(self.keys))).tolist()
        return sizes

    def subtract(self, values: Numbers) -> Planes:
        """See `Grouping.subtract`."""
        steps = self.work.array("steps", len(values), values.dtype)
        ordered = self.work.array("joined", len(values), values.dtype)
        loops.subtracting(self.element.width)(values, self.base, steps)
        sort = loops.sorting(self.element.width, self.keys.itemsize)
        sort(steps, self.keys, self.places.copy(), ordered)
        return split(ordered, self.work)

    def add(self, planes: Planes) -> Numbers:
        """See `Grouping.add`."""
        ordered = join(planes, self.work) if planes[1:].max(initial=0) else planes[0]
        steps = self.work.array("steps", len(self.base), self.base.dtype)
        unsort = loops.unsorting(ordered.itemsize, self.element.width, self.keys.itemsize)
        unsort(ordered, self.keys, self.places.copy(), steps)
        # In place adding would be five times slower: the compiler could not tell that it may
        # take many numbers at once.
        values = self.work.array("values", len(self.base), self.base.dtype)
        loops.adding(self.element.width)(steps, self.base, values)
        return values


def group(base: Numbers, element: Element, ends: tuple[int, int], work: Scratch) -> _Grouping:
    """See `Kernels.group`."""
    low, high = ends
    keys = work.array("keys", len(base), np.uint8 if high - low < _KEYS else np.uint16)
    where = element.width, element.mantissa_bits, element.exponent_bits
    loops.keying(*where, keys.itemsize)(base, low, high, keys)
    places = np.zeros((loops.STREAMS, high + 1 - low), np.uint32)
    loops.counting(keys.itemsize)(keys, places)
    return _Grouping(base, element, keys, places, work)


def split(values: Numbers, work: Scratch) -> Planes:
    """See `Kernels.split`."""
    planes = work.array("planes", values.nbytes, np.uint8).reshape(values.dtype.itemsize, -1)
    loops.splitting(len(planes))(values, planes)
    return planes


def join(planes: Planes, work: Scratch) -> Numbers:
    """See `Kernels.join`."""
    values = work.array("joined", planes.shape[1], f"<u{len(planes)}")
    loops.joining(len(planes))(planes, values)
    return values


def tally(planes: Planes, counts: Sequence[int], sample: int) -> Tally:
    """See `Kernels.tally`."""
    ends = np.cumsum([0, *filter(None, counts)])
    rows = (len(ends) - 1) * len(planes)
    found = Tally(np.zeros((rows, 256), np.int64), np.zeros(rows, np.bool_))
    loops.tallying()(planes, ends, sample, *found)
    return found


def pack(plane: Bytes, bits: int, work: Scratch) -> tuple[Bytes, Bytes]:
    """See `Kernels.pack`."""
    packed = work.array("packed", -(-len(plane) * bits // 8), np.uint8)
    beyond = work.array("beyond", len(plane) + 1, np.uint8)
    count = loops.packing(bits)(plane, packed, beyond)
    return packed, beyond[:count]


def caps(packed: Bytes, bits: int, count: int) -> int:
    """See `Kernels.caps`."""
    return int(loops.counting_caps(bits)(packed, count))


def unpack(packed: Bytes, bits: int, beyond: Bytes, plane: Bytes) -> None:
    """See `Kernels.unpack`."""
    loops.unpacking(bits)(packed, beyond if len(beyond) else _NONE, plane)
