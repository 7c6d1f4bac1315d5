"""What things in a pickle are called: the path to them from the root, keys joined by dots.

    {"model": {"0.weight": <tensor>}}   ->   model.0.weight

Such a name stays the same between versions, while places in the file and numbers move.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from mlflow_vault.format.tensors.arrays import MAX_NAME
from mlflow_vault.format.tensors.pickled.machine import Bag

if TYPE_CHECKING:
    from collections.abc import Iterator

# What nn.Module keeps its tensors in, when a whole module was pickled: no part of their names.
_TRANSPARENT: Final = frozenset({"", "_modules", "_parameters", "_buffers"})

Leaf = TypeVar("Leaf")


def walk(root: object, leaf: type[Leaf]) -> Iterator[tuple[str, Leaf]]:
    """Yield each *leaf* below *root* in the order of the file, with its path.

    Whatever holds others is visited once; a leaf as often as it is held.
    """
    seen: set[int] = set()
    waiting: list[tuple[str, object, object]] = [("", "", root)]
    while waiting:
        path, key, value = waiting.pop()
        if isinstance(value, leaf):
            yield _join(path, key), value
        elif isinstance(value, (Bag, tuple)) and id(value) not in seen and len(path) < MAX_NAME:
            seen.add(id(value))
            items = value.items if isinstance(value, Bag) else list(enumerate(value))
            below = _join(path, key) if items else ""
            waiting.extend((below, key, item) for key, item in reversed(items))


def _join(path: str, key: object) -> str:
    if isinstance(key, str):
        step = key[:MAX_NAME]
    else:
        step = str(key) if isinstance(key, int) and abs(key) < 1 << 64 else "?"
    if step in _TRANSPARENT:
        return path
    return f"{path}.{step}" if path else step
