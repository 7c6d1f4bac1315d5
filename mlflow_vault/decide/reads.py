"""Which byte ranges to fetch: fewer, larger reads for the same bytes.

On an object store a request costs tens of milliseconds however small it is, so
near neighbours are joined and the few bytes between them thrown away.

Pure: decides only.  `engine.payloads` does the reading.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Bytes ``[start, stop)`` of the stored object *key*."""

    key: str
    start: int
    stop: int


def plan_reads(wanted: Iterable[Span], *, max_gap: int, max_read: int) -> list[Span]:
    """Join *wanted* spans into as few reads as the limits allow.

    Args:
        wanted: In any order; may repeat or overlap.
        max_gap: Bytes worth fetching in vain to save a request.
        max_read: Bytes in one joined read.  A longer span stays whole.

    Returns:
        Reads sorted by ``(key, start)``; every wanted span lies inside one.

    >>> near = [Span("packs/7f", 12, 20), Span("packs/7f", 0, 10)]
    >>> plan_reads(near, max_gap=4, max_read=100)
    [Span(key='packs/7f', start=0, stop=20)]
    """
    reads: list[Span] = []
    for span in sorted(wanted):
        if reads:
            last = reads[-1]
            stop = max(last.stop, span.stop)
            limit = max(max_read, last.stop - last.start)
            near = span.key == last.key and span.start - last.stop <= max_gap
            if near and stop - last.start <= limit:
                reads[-1] = replace(last, stop=stop)
                continue
        reads.append(span)
    return reads
