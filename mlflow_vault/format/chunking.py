"""Where to cut a file into chunks: at tensors, on the grid, by content.

    | header | tensor a           | pad | tensor b |
    |  cut   | 1 MiB | 1 MiB | …  | cut |  1 MiB   |
       by      on the grid inside    by     on the
     content   each tensor        content    grid

A change inside one tensor then moves no cut of another, and two files that hold the
same tensor share its chunks wherever it lies.  What no parser knows is cut by content with
FastCDC (Xia et al., USENIX ATC 2016; the 2020 variant of `pyfastcdc`).

Pure: no I/O.  Written down in docs/format.md, "Cutting".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pyfastcdc import FastCDC

from mlflow_vault.config import EARLIER_MEANS, GRID, LARGEST_MEAN, MEANS, SMALLEST_ARRAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.tensors import Array, Layout


# Of all our files, those of earlier releases included.
MEAN_SIZES: Final = frozenset({LARGEST_MEAN, *EARLIER_MEANS, *(mean for _, mean in MEANS)})


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes ``[start, stop)`` of a file: one array, or bytes between arrays.

    Attributes:
        start: First byte.
        stop: One past the last.
        array: Its index in the layout, None for bytes that are cut by content.
    """

    start: int
    stop: int
    array: int | None


def mean_for(size: int) -> int:
    """The mean size of content-defined chunks for a first file of *size* bytes.

    >>> mean_for(7_000_000), mean_for(10**10)
    (262144, 1048576)
    """
    return next((mean for limit, mean in MEANS if size < limit), LARGEST_MEAN)


def plan_regions(layout: Layout, size: int) -> Iterator[Region]:
    """Split a file of *size* bytes into arrays and what lies between them.

    Arrays below `config.SMALLEST_ARRAY` are left to the bytes around them.

    Yields:
        Regions in order that cover the file exactly.
    """
    at = 0
    for index, array in enumerate(layout.arrays):
        if array.stop - array.start < SMALLEST_ARRAY:
            continue
        if array.start > at:
            yield Region(at, array.start, None)
        yield Region(array.start, array.stop, index)
        at = array.stop
    if at < size:
        yield Region(at, size, None)


def cut_grid(array: Array | Region) -> list[int]:
    """Where the chunks of one array stop, in the file."""
    return [*range(array.start + GRID, array.stop, GRID), array.stop]


class ContentCutter:
    """Finds cut points in bytes whose arrays no parser knows.

    Args:
        mean: Mean bytes of a chunk.
        seed: Of the gear table; the same content cuts alike under the same seed.
        width: Bytes of the numbers that must not be cut in two, 1 for none.
    """

    def __init__(self, mean: int, seed: int = 0, width: int = 1) -> None:
        self._mean, self._seed, self._width = mean, seed, width
        self.largest = 4 * mean  # bytes; a cut is certain when so many follow its start
        # A cut moves to the number's start, so a chunk may grow by what the one before it lost.
        most = self.largest - (width - 1)
        self._fastcdc = FastCDC(mean, min_size=mean // 4, max_size=most, seed=seed)

    def between(self, width: int) -> ContentCutter:
        """The same cutter for numbers of *width* bytes, which it cuts between only."""
        return ContentCutter(self._mean, self._seed, width)

    def cut(self, window: bytes, *, final: bool) -> list[int]:
        """Return where chunks stop in *window*, which starts where a chunk starts.

        Without *final* more bytes follow, so the last chunk is left for the next window.

        >>> ContentCutter(65536).cut(bytes(300_000), final=True)
        [262144, 300000]
        >>> ContentCutter(65536).between(8).cut(bytes(300_000), final=False)
        [262136]
        """
        *stops, last = [chunk.offset + chunk.length for chunk in self._fastcdc.cut_buf(window)]
        return [stop - stop % self._width for stop in stops] + ([last] if final else [])
