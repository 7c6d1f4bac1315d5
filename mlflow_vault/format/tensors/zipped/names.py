"""What a torch pickle calls its tensors, read off its opcodes without ever unpickling.

The pickle of a checkpoint builds dictionaries in dictionaries around calls such as::

    torch._utils._rebuild_tensor_v2(<storage '7', float, 64>, offset, (8, 8), strides, ...)

Here the same program runs on `machine.Machine`, which builds only the skeleton.  A tensor's name is
the path to it from the root, so it stays the same between versions while storage numbers move.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from mlflow_vault.format.tensors.arrays import MAX_NAME
from mlflow_vault.format.tensors.zipped.deeds import run
from mlflow_vault.format.tensors.zipped.machine import Bag, Machine, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.tensors.dtypes import Dtype

MAX_PICKLE: Final = 4 << 20  # bytes; 9,600 tensors take 0.8 MB
# What nn.Module keeps its tensors in, when a whole module was pickled: no part of their names.
_TRANSPARENT: Final = frozenset({"", "_modules", "_parameters", "_buffers"})


class Label(NamedTuple):
    """What the pickle says of one storage; what it does not say is empty or None."""

    name: str
    dtype: Dtype | None
    shape: tuple[int, ...] | None


def read_labels(pickle: bytes) -> dict[str, Label]:
    """Return what *pickle* says of storages, by their keys.

    Of a pickle that breaks off or does what no checkpoint does, what was said until then; names
    are known only when it comes to its end.
    """
    machine = Machine()
    try:
        root = run(machine, pickle)
    except (ValueError, LookupError, TypeError):
        root = None
    labels = {key: Label("", dtype, None) for key, dtype in machine.storages.items()}
    named: set[str] = set()
    for name, tensor in _walk(root):
        key = tensor.storage.key
        if key not in named:
            named.add(key)
            labels[key] = Label(name, tensor.dtype, tensor.shape)
    return labels


def _walk(root: object) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors below *root* in the order of the file, each thing visited once."""
    seen: set[int] = set()
    waiting: list[tuple[str, object, object]] = [("", "", root)]
    while waiting:
        path, key, value = waiting.pop()
        if isinstance(value, Tensor):
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
