"""Walks along edges, however long and whichever way they run in circles.

Parents are declared by people, so a circle of them can be forged: every node is visited once.
Nothing here calls itself, so a chain of any length is walked.

Pure: no I/O.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    Neighbours = Callable[[str], Iterable[str]]


def reach(
    starts: Iterable[str], neighbours: Neighbours, depth: int | None = None
) -> dict[str, str]:
    """Walk from *starts* to all that can be reached, nearest first.

    Args:
        starts: Where to begin.
        neighbours: The next nodes of one.
        depth: How many steps to go at most; None for no end.

    Returns:
        For each node that was reached the one before it; a start comes before itself.

    >>> reach(["c"], {"c": ["b"], "b": ["a", "c"], "a": []}.__getitem__)
    {'c': 'c', 'b': 'c', 'a': 'b'}
    """
    before = {start: start for start in starts}
    edge = list(before)
    steps = 0
    while edge and (depth is None or steps < depth):
        following = []
        for node in edge:
            for neighbour in neighbours(node):
                if neighbour not in before:
                    before[neighbour] = node
                    following.append(neighbour)
        edge = following
        steps += 1
    return before


def contract(
    kept: Collection[str], causes: Neighbours, effects: Neighbours
) -> Iterator[tuple[str, str]]:
    """Yield which of the *kept* nodes lies behind which other one, through hidden nodes alone.

    Args:
        kept: The nodes that are shown.
        causes: The causes of a node.
        effects: The effects of a node.

    Yields:
        Effect and cause, where at least one hidden node lies between them.
    """
    useful = _leading_to(kept, effects)
    for start in kept:
        seen = {start}
        waiting = deque(cause for cause in causes(start) if cause not in kept and cause in useful)
        seen.update(waiting)
        while waiting:
            for cause in causes(waiting.popleft()):
                if cause in seen:
                    continue
                seen.add(cause)
                if cause in kept:
                    yield start, cause
                elif cause in useful:
                    waiting.append(cause)


def _leading_to(kept: Collection[str], effects: Neighbours) -> set[str]:
    """The hidden nodes that have a kept one among their causes, near or far."""
    found: set[str] = set()
    waiting = deque(kept)
    while waiting:
        for effect in effects(waiting.popleft()):
            if effect not in kept and effect not in found:
                found.add(effect)
                waiting.append(effect)
    return found
