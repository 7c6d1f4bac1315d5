"""The inner loops in numpy: whole arrays at a time, nothing to install or compile."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlflow_vault.format.coding import floats
from mlflow_vault.format.coding.kernels.protocol import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from mlflow_vault.format.coding.floats import Numbers
    from mlflow_vault.format.coding.kernels.protocol import Bytes, Ends, Planes
    from mlflow_vault.format.coding.scratch import Scratch
    from mlflow_vault.format.elements import Element

# Elements sorted at once.  At 64 Ki every array stays in the second-level cache and below what the
# allocator maps afresh: 1.1 ms for 2^19 elements where one sort over all of them takes 4-6 ms.
_BLOCK: Final = 1 << 16


def split(values: Numbers, element: Element, work: Scratch) -> Planes:
    """See `Kernels.split`."""
    return _split(floats.rotate(values, element), work)


def join(planes: Planes, element: Element, work: Scratch) -> Numbers:
    """See `Kernels.join`."""
    return floats.unrotate(_join(planes, work), element)


def _split(values: Numbers, work: Scratch) -> Planes:
    planes = work.array("planes", values.nbytes, np.uint8).reshape(values.dtype.itemsize, -1)
    for place, plane in enumerate(planes):
        plane[:] = values >> values.dtype.type(8 * place)
    return planes


def _join(planes: Planes, work: Scratch) -> Numbers:
    kind = np.dtype(f"<u{len(planes)}")
    values = work.array("joined", planes.shape[1], kind)
    values[:] = planes[0]
    for place in range(1, len(planes)):
        if planes[place].any():  # most high planes are zero throughout
            high = planes[place].astype(kind)
            high <<= kind.type(8 * place)
            values |= high
    return values


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
        return _split(floats.subtract(values, self.base, self.element), self.work)

    def add(self, planes: Planes) -> Numbers:
        """See `Grouping.add`."""
        return floats.add(_join(planes, self.work), self.base, self.element)


@dataclass(frozen=True, slots=True)
class _Grouping:
    """A chunk's elements in the order of the base's clamped exponent, then of position.

    Works block by block, so that what it needs for a moment stays small and near.

    Attributes:
        base: What is subtracted; as many elements as the chunk.
        element: Of what type both are.
        counts: Elements of each exponent from the lowest on, one row per block of positions.
        orders: For each block, its positions in the new order.
        work: Memory for the results.
    """

    base: Numbers
    element: Element
    counts: npt.NDArray[np.int64]
    orders: list[npt.NDArray[np.intp]]
    work: Scratch

    @property
    def sizes(self) -> list[int]:
        """Elements of each exponent from the lowest on."""
        sizes: list[int] = self.counts.sum(axis=0).tolist()
        return sizes

    def subtract(self, values: Numbers) -> Planes:
        """See `Grouping.subtract`."""
        grouped = self.work.array("joined", len(values), values.dtype)
        for block, order, pieces in self._blocks():
            steps = floats.subtract(values[block], self.base[block], self.element).take(order)
            for here, there in pieces:
                grouped[there] = steps[here]
        return _split(grouped, self.work)

    def add(self, planes: Planes) -> Numbers:
        """Undo `subtract`."""
        grouped = _join(planes, self.work)
        values = self.work.array("values", len(grouped), grouped.dtype)
        for block, order, pieces in self._blocks():
            sorted_steps = np.empty(len(order), grouped.dtype)
            for here, there in pieces:
                sorted_steps[here] = grouped[there]
            steps = np.empty_like(sorted_steps)
            steps[order] = sorted_steps
            values[block] = floats.add(steps, self.base[block], self.element)
        return values

    def _blocks(self) -> Iterator[tuple[slice, npt.NDArray[np.intp], list[tuple[slice, slice]]]]:
        """Yield each block, its order, and where each exponent lies in it and in the chunk's."""
        stops = self.counts.cumsum(axis=1).tolist()
        ends = self.counts.T.cumsum().reshape(self.counts.T.shape).T.tolist()
        for index, block in enumerate(_blocks(len(self.base))):
            row = zip(stops[index], ends[index], self.counts[index].tolist(), strict=True)
            pieces = [
                (slice(stop - count, stop), slice(end - count, end))
                for stop, end, count in row
                if count
            ]
            yield block, self.orders[index], pieces


def _blocks(count: int) -> Iterator[slice]:
    """Cut *count* elements into the blocks that are sorted at once."""
    return (slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK))


def group(base: Numbers, element: Element, ends: Ends | None, work: Scratch) -> _Chunk | _Grouping:
    """See `Kernels.group`."""
    if ends is None:
        return _Chunk(base, element, work)
    low, high = ends
    orders, counts = [], []
    for block in _blocks(len(base)):
        keys = floats.exponents(base[block], element)
        np.clip(keys, low, high, out=keys)
        order = np.argsort(keys, kind="stable")
        probes = np.arange(low + 1, high + 1, dtype=keys.dtype)
        stops = np.searchsorted(keys, probes, sorter=order)
        counts.append(np.diff(stops, prepend=0, append=len(keys)))
        orders.append(order)
    rows = np.array(counts, np.int64).reshape(len(counts), high + 1 - low)
    return _Grouping(base, element, rows, orders, work)


def tally(planes: Planes, counts: Sequence[int], sample: int) -> Tally:
    """See `Kernels.tally`."""
    ends = [0, *accumulate(count for count in counts if count)]
    bands = [plane[start:stop] for start, stop in pairwise(ends) for plane in planes]
    if not bands:
        return Tally(np.zeros((0, 256), np.int64), np.zeros(0, np.bool_))
    low, high = (one.reduceat(planes, ends[:-1], axis=1) for one in (np.minimum, np.maximum))
    constant = (low == high).T.ravel()
    rows = [band[:: max(1, len(band) // sample)] for band in bands]
    spread = np.repeat(np.arange(len(rows)) << 8, [len(row) for row in rows])
    spread += np.concatenate(rows)
    counted = np.bincount(spread, minlength=len(rows) << 8).reshape(len(rows), -1)
    return Tally(counted, constant)


def pack(plane: Bytes, bits: int, work: Scratch) -> tuple[Bytes, Bytes]:  # noqa: ARG001 - compiled needs it
    """See `Kernels.pack`."""
    most = np.uint8((1 << bits) - 1)
    beyond = plane.compress(plane >= most)  # twice as fast as indexing
    beyond -= most
    fold = 8 // bits
    whole = np.zeros(-(-len(plane) // fold) * fold, np.uint8)
    np.minimum(plane, most, out=whole[: len(plane)])
    words, joined = whole.view(f"<u{fold}"), 1
    while joined < fold:  # two neighbours, then two such pairs, then all
        words |= words >> words.dtype.type(joined * (8 - bits))
        joined *= 2
    return words.astype(np.uint8), beyond


def caps(packed: Bytes, bits: int, count: int) -> int:
    """See `Kernels.caps`."""
    whole, rest = divmod(count, 8 // bits)
    most = (1 << bits) - 1
    last = [packed[whole] >> bits * place & most for place in range(rest)]
    return int(_CAPS[bits].take(packed[:whole]).sum(dtype=np.int64)) + last.count(most)


def unpack(packed: Bytes, bits: int, beyond: Bytes, plane: Bytes) -> None:
    """See `Kernels.unpack`."""
    most = np.uint8((1 << bits) - 1)
    plane[:] = _TABLES[bits].take(packed).view(np.uint8)[: len(plane)]
    plane[np.flatnonzero(plane == most)] = beyond + most  # twice as fast as by a mask


def _table(bits: int) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Return for each packed byte its small bytes, side by side."""
    places = np.arange(0, 8, bits, dtype=np.uint8)
    small = (np.arange(256, dtype=np.uint8)[:, None] >> places) & np.uint8((1 << bits) - 1)
    return np.ascontiguousarray(small).view(f"<u{8 // bits}").ravel()


_TABLES: Final = {bits: _table(bits) for bits in (1, 2, 4)}
_CAPS: Final = {
    bits: (table.view(np.uint8).reshape(256, -1) == (1 << bits) - 1).sum(axis=1).astype(np.uint8)
    for bits, table in _TABLES.items()
}
