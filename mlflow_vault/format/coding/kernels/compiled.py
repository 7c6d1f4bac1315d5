"""The inner loops in C: a few passes over the bytes, outside Python's lock.

The sources lie in ``source``; installing compiles them where there is a compiler.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlflow_vault.format.coding.kernels import _numbers, _planes
from mlflow_vault.format.coding.kernels.protocol import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mlflow_vault.format.coding.floats import Numbers
    from mlflow_vault.format.coding.kernels.protocol import Bytes, Ends, Planes
    from mlflow_vault.format.coding.scratch import Scratch
    from mlflow_vault.format.elements import Element

_REVISION: Final = 1  # as in loops.h
if {getattr(module, "REVISION", 0) for module in (_numbers, _planes)} != {_REVISION}:
    raise ImportError("the compiled loops are of another release: install this one again")

_STREAMS: Final = 4  # as in numbers.c: parts of a chunk that are sorted side by side


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
        planes, floats = _planes_for(values, self.work), self.element.exponent_bits > 0
        _numbers.subtract(values, self.base, planes, len(planes), floats)
        return planes

    def add(self, planes: Planes) -> Numbers:
        """See `Grouping.add`."""
        values = self.work.array("values", len(self.base), self.base.dtype)
        _numbers.add(planes, self.base, values, len(planes), self.element.exponent_bits > 0)
        return values


@dataclass(frozen=True, slots=True)
class _Grouping:
    """See `Grouping`.

    Attributes:
        chunk: In its own order.
        bits: Of an element's mantissa and exponent.
        ends: The exponents to which the base's are clamped.
        places: Where the first element of each exponent (row) of each stream (column) goes.
    """

    chunk: _Chunk
    bits: tuple[int, int]
    ends: Ends
    places: npt.NDArray[np.uint32]

    @property
    def sizes(self) -> list[int]:
        """See `Grouping.sizes`."""
        starts = [*self.places[:, 0].tolist(), len(self.chunk.base)]
        return [stop - start for start, stop in pairwise(starts)]

    def subtract(self, values: Numbers) -> Planes:
        """See `Grouping.subtract`."""
        planes = _planes_for(values, self.chunk.work)
        self._run(_numbers.subtract_grouped, values, planes)
        return planes

    def add(self, planes: Planes) -> Numbers:
        """See `Grouping.add`."""
        base = self.chunk.base
        values = self.chunk.work.array("values", len(base), base.dtype)
        self._run(_numbers.add_grouped, planes, values)
        return values

    def _run(self, loop: Any, origin: npt.NDArray[Any], target: npt.NDArray[Any]) -> None:
        base, work = self.chunk.base, self.chunk.work
        room = work.array("joined", len(base), base.dtype)
        places = self.places.copy()  # they are moved on
        loop(origin, base, places, room, target, base.itemsize, self.bits, self.ends)


def group(base: Numbers, element: Element, ends: Ends | None, work: Scratch) -> _Chunk | _Grouping:
    """See `Kernels.group`."""
    chunk = _Chunk(base, element, work)
    if ends is None:
        return chunk
    bits = element.mantissa_bits, element.exponent_bits
    places = np.empty((ends[1] + 1 - ends[0], _STREAMS), np.uint32)
    _numbers.place(base, places, element.width, bits, ends)
    return _Grouping(chunk, bits, ends, places)


def split(values: Numbers, element: Element, work: Scratch) -> Planes:
    """See `Kernels.split`."""
    planes = _planes_for(values, work)
    _numbers.split(values, planes, element.width, element.exponent_bits > 0)
    return planes


def join(planes: Planes, element: Element, work: Scratch) -> Numbers:
    """See `Kernels.join`."""
    values = work.array("joined", planes.shape[1], f"<u{element.width}")
    _numbers.join(planes, values, element.width, element.exponent_bits > 0)
    return values


def _planes_for(values: Numbers, work: Scratch) -> Planes:
    return work.array("planes", values.nbytes, np.uint8).reshape(values.itemsize, -1)


def tally(planes: Planes, counts: Sequence[int], sample: int) -> Tally:
    """See `Kernels.tally`."""
    sizes = np.array([count for count in counts if count], np.int64)
    rows = len(sizes) * len(planes)
    found = Tally(np.zeros((rows, 256), np.int64), np.empty(rows, np.bool_))
    _planes.tally(planes, len(planes), sizes, sample, *found)
    return found


def pack(plane: Bytes, bits: int, work: Scratch) -> tuple[Bytes, Bytes]:
    """See `Kernels.pack`."""
    packed = np.empty(-(-len(plane) * bits // 8), np.uint8)
    beyond = work.array("beyond", len(plane), np.uint8)
    count = _planes.pack(plane, packed, beyond, bits)
    return packed, beyond[:count].copy()


def caps(packed: Bytes, bits: int, count: int) -> int:
    """See `Kernels.caps`."""
    return _planes.caps(packed, bits, count)


def unpack(packed: Bytes, bits: int, beyond: Bytes, plane: Bytes) -> None:
    """See `Kernels.unpack`."""
    _planes.unpack(packed, beyond, plane, bits)
