"""Reads a source in order and cuts it into chunks, a window at a time.

A window is what is coded at once: enough chunks to keep the threads busy and joined reads
long, few enough to bound memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlflow_vault.config import MIB
from mlflow_vault.format.chunking import ContentCutter, Region, cut_grid, plan_regions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.engine.write.source import Source
    from mlflow_vault.format.tensors import Layout

WINDOW: Final = 16 * MIB  # plain bytes coded at once
_MOST: Final = 4096  # chunks coded at once
_READ: Final = 8 * MIB  # bytes of unknown content read at a time; at least the largest chunk


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of plain bytes of one file, as cut.

    Attributes:
        start: Where it starts in the file.
        plain: Its bytes, a private copy.
        array: Index of the array it is part of, None for bytes that are no known numbers.
    """

    start: int
    plain: bytes
    array: int | None

    @property
    def stop(self) -> int:
        """One past its last byte in the file."""
        return self.start + len(self.plain)


def cut_windows(source: Source, layout: Layout, cutter: ContentCutter) -> Iterator[list[Chunk]]:
    """Yield the chunks of *source* in order, in windows.

    Raises:
        SourceChangedError: It became shorter while it was read.
    """
    window: list[Chunk] = []
    size = 0
    for chunk in _cut(source, layout, cutter):
        window.append(chunk)
        size += len(chunk.plain)
        if size >= WINDOW or len(window) >= _MOST:
            yield window
            window, size = [], 0
    if window:
        yield window


def _cut(source: Source, layout: Layout, cutter: ContentCutter) -> Iterator[Chunk]:
    for region in plan_regions(layout, source.size):
        element = None if region.array is None else layout.arrays[region.array].element
        if region.array is None:
            yield from _cut_content(source, region, cutter)
            continue
        if layout.joined and element:
            yield from _cut_content(source, region, cutter.between(element.width))
            continue
        start = region.start
        for stop in cut_grid(region):
            yield Chunk(start, source.read(start, stop), region.array if element else None)
            start = stop


def _cut_content(source: Source, region: Region, cutter: ContentCutter) -> Iterator[Chunk]:
    start = at = region.start  # the window holds bytes [start, at)
    window = b""
    while start < region.stop:
        more = min(at + max(_READ, cutter.largest), region.stop)
        window += source.read(at, more)
        at = more
        done = 0
        for stop in cutter.cut(window, final=at == region.stop):
            yield Chunk(start + done, window[done:stop], region.array)
            done = stop
        window, start = window[done:], start + done
