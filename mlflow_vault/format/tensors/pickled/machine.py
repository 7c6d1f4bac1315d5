"""Pickle's stack machine, which only remembers.

It knows strings, integers, tuples, spans of bytes, the names of classes, and *bags*: whatever holds
other things under keys.  It imports nothing, calls nothing and compares nothing, so a hostile
pickle can make it hold no more than a few words for each opcode.

What a call would give is asked of a `Library`, which knows the few by which numpy or torch rebuild
their arrays; any other call is a bag of its arguments.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from mlflow_vault.format.tensors.arrays import MAX_RANK, check

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function, by its module and name with a dot between them."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Bag:
    """A dictionary, list, set or object: items, each under the key it has there."""

    items: list[tuple[object, object]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Extent:
    """A string of bytes, by where it lies in the file."""

    start: int
    stop: int


class Library(Protocol):
    """What is known of the library that made a pickle."""

    def call(self, function: object, arguments: object) -> object:
        """Return what *function* would return, None if it is not known."""
        ...

    def resolve(self, identifier: object) -> object:
        """Return what a persistent *identifier* stands for, None if that is not known."""
        ...

    def build(self, target: object, state: object) -> None:
        """Take note that *target* is given its *state*."""
        ...


class Machine:
    """The state of the machine, and the few moves that more than one opcode makes.

    Attributes:
        stack: The values above the newest mark.
        memo: The values that were given a number.
    """

    def __init__(self, library: Library) -> None:
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}
        self._library = library
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

    def call(self, values: tuple[object, ...]) -> object:
        """Return what the library would make of a function and its arguments."""
        function, arguments = values
        found = self._library.call(function, arguments)
        return Bag([("", arguments)]) if found is None else found

    def build(self) -> None:
        """Give the value under the top of the stack the one on top as its state."""
        state = self.stack.pop()
        # The state by reference: a copy each time would let a small pickle fill the memory.
        self.add([("", state)])
        self._library.build(self.stack[-1], state)

    def resolve(self) -> None:
        """Replace the persistent identifier on top of the stack by what it stands for."""
        self.stack.append(self._library.resolve(self.stack.pop()))


def shape_of(value: object) -> tuple[int, ...] | None:
    """Return *value* if it is a shape."""
    if not isinstance(value, tuple) or len(value) > MAX_RANK:
        return None
    sides = tuple(side for side in value if type(side) is int and side >= 0)
    return sides if len(sides) == len(value) else None
