"""Pickle's stack machine, which only remembers.

It knows strings, integers, tuples, the names of classes, and *bags*: whatever holds other things
under keys.  It imports nothing, calls nothing and compares nothing, so a hostile pickle can make it
hold no more than a few words for each opcode.

Of calls it knows the few by which torch rebuilds tensors; any other call is a bag of its arguments.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.arrays import MAX_RANK, check
from mlflow_vault.format.tensors.dtypes import TORCH, Dtype

if TYPE_CHECKING:
    from collections.abc import Iterable

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
class Global:
    """A class or function, by its module and name with a dot between them."""

    name: str


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


@dataclass(frozen=True, slots=True, eq=False)
class Bag:
    """A dictionary, list, set or object: items, each under the key it has there."""

    items: list[tuple[object, object]] = field(default_factory=list)


class Machine:
    """The state of the machine, and the few moves that more than one opcode makes.

    Attributes:
        storages: The types of all storages that were spoken of, by key.
        stack: The values above the newest mark.
        memo: The values that were given a number.
    """

    def __init__(self) -> None:
        self.storages: dict[str, Dtype | None] = {}
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}
        self._below: list[list[object]] = []  # the stacks under the marks

    def mark(self) -> None:
        """Begin a new stack on top of this one."""
        self._below.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[object]:
        """End the newest stack; return what was on it."""
        items = self.stack
        self.stack = self._below.pop()
        return items

    def pop(self, number: int) -> tuple[object, ...]:
        """Take *number* values off the stack; return them in the order they came."""
        check(len(self.stack) >= number, "an empty stack")
        items = tuple(self.stack[-number:])
        del self.stack[-number:]
        return items

    def add(self, items: Iterable[tuple[object, object]]) -> None:
        """Put *items* into the bag on top of the stack."""
        bag = self.stack[-1]
        if isinstance(bag, Bag):
            bag.items.extend(items)

    def append(self, values: list[object]) -> None:
        """Put *values* into the bag on top of the stack, under their positions."""
        bag = self.stack[-1]
        if isinstance(bag, Bag):
            bag.items.extend(enumerate(values, len(bag.items)))

    def storage(self, identifier: object) -> Storage | None:
        """Return what a persistent *identifier* stands for, if that is a storage."""
        match identifier:
            case ("storage", Global(name), str(key), *_):
                storage = Storage(key, TORCH.get(name.rpartition(".")[2]))
                self.storages.setdefault(key, storage.dtype)
                return storage
        return None


def call(function: object, arguments: object) -> object:
    """Return what torch's *function* would rebuild; for any other, a bag of the *arguments*."""
    for _ in range(_MAX_WRAPPERS):
        match function, arguments:
            case Global(name), (Storage() as storage, _, shape, *rest) if name in _REBUILD:
                dtype = storage.dtype
                if name == _REBUILD_WITH_DTYPE:
                    dtype = _dtype(rest[3])
                return Tensor(storage, dtype, _shape(shape))
            case Global(name), (Tensor() as tensor, *_) if name in _PARAMETER:
                return tensor
            case Global(name), (inner, _, tuple(inner_arguments), *_) if name == _SUBCLASS:
                function, arguments = inner, inner_arguments
            case _:
                break
    return Bag([("", arguments)])


def _dtype(value: object) -> Dtype | None:
    return TORCH.get(value.name.rpartition(".")[2]) if isinstance(value, Global) else None


def _shape(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, tuple) or len(value) > MAX_RANK:
        return None
    sides = tuple(side for side in value if type(side) is int and side >= 0)
    return sides if len(sides) == len(value) else None
