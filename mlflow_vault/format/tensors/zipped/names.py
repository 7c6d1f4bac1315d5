"""What a torch pickle calls its tensors, read off its opcodes without ever unpickling.

A tensor's name is the path to it from the root, so it stays the same between versions while the
numbers of storages move.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from mlflow_vault.format.tensors.pickled.deeds import run
from mlflow_vault.format.tensors.pickled.machine import Machine
from mlflow_vault.format.tensors.pickled.opcodes import Opcodes
from mlflow_vault.format.tensors.pickled.paths import walk
from mlflow_vault.format.tensors.zipped.rebuild import Tensor, TorchLibrary

if TYPE_CHECKING:
    from mlflow_vault.format.tensors.arrays import Bytes
    from mlflow_vault.format.tensors.dtypes import Dtype

MAX_PICKLE: Final = 4 << 20  # bytes; 9,600 tensors take 0.8 MB


class Label(NamedTuple):
    """What the pickle says of one storage; what it does not say is empty or None."""

    name: str
    dtype: Dtype | None
    shape: tuple[int, ...] | None


def read_labels(pickle: Bytes) -> dict[str, Label]:
    """Return what *pickle* says of storages, by their keys.

    Of a pickle that breaks off or does what no checkpoint does, what was said until then; names
    are known only when it comes to its end.
    """
    library = TorchLibrary()
    try:
        root = run(Machine(library), Opcodes(pickle))
    except (ValueError, LookupError, TypeError):
        root = None
    labels = {key: Label("", dtype, None) for key, dtype in library.storages.items()}
    named: set[str] = set()
    for name, tensor in walk(root, Tensor):
        key = tensor.storage.key
        if key not in named:
            named.add(key)
            labels[key] = Label(name, tensor.dtype, tensor.shape)
    return labels
