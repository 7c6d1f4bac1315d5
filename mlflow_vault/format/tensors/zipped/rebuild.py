"""How torch puts tensors into the pickles of its zips.

    torch._utils._rebuild_tensor_v2(<storage '7', float, 64>, offset, (8, 8), strides, ...)

A storage is a persistent id, a tensor one of a few calls over it.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlflow_vault.format.tensors.dtypes import TORCH, Dtype
from mlflow_vault.format.tensors.pickled.machine import Global, shape_of

_MAX_WRAPPERS: Final = 4  # tensor subclasses around a tensor

_REBUILD: Final = frozenset(
    {
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
        "torch._utils._rebuild_qtensor",
    }
)
_REBUILD_WITH_DTYPE: Final = "torch._utils._rebuild_tensor_v3"
_PARAMETER: Final = frozenset(
    {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
)
_SUBCLASS: Final = "torch._tensor._rebuild_from_type_v2"


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage: the member ``data/<key>`` of the archive."""

    key: str
    dtype: Dtype | None


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor over a storage."""

    storage: Storage
    dtype: Dtype | None
    shape: tuple[int, ...] | None


class TorchLibrary:
    """What torch would do.

    Attributes:
        storages: The types of all storages that were spoken of, by key.
    """

    def __init__(self) -> None:
        self.storages: dict[str, Dtype | None] = {}

    def call(self, function: object, arguments: object) -> object:
        """Return the tensor that *function* would rebuild, None for anything else."""
        for _ in range(_MAX_WRAPPERS):
            match function, arguments:
                case Global(name), (Storage() as storage, _, shape, *rest) if name in _REBUILD:
                    dtype = storage.dtype
                    if name == _REBUILD_WITH_DTYPE:
                        dtype = _dtype(rest[3])
                    return Tensor(storage, dtype, shape_of(shape))
                case Global(name), (Tensor() as tensor, *_) if name in _PARAMETER:
                    return tensor
                case Global(name), (inner, _, tuple(inner_arguments), *_) if name == _SUBCLASS:
                    function, arguments = inner, inner_arguments
                case _:
                    break
        return None

    def resolve(self, identifier: object) -> object:
        """Return what a persistent *identifier* stands for, if that is a storage."""
        match identifier:
            case ("storage", Global(name), str(key), *_):
                storage = Storage(key, TORCH.get(name.rpartition(".")[2]))
                self.storages.setdefault(key, storage.dtype)
                return storage
        return None

    def build(self, target: object, state: object) -> None:
        """Learn nothing from a state."""


def _dtype(value: object) -> Dtype | None:
    return TORCH.get(value.name.rpartition(".")[2]) if isinstance(value, Global) else None
